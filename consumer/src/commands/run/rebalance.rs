//! Answers the rebalances of the group: assigned partitions start at their positions, and revoked partitions are released
//! after their batches in flight have ended.

use std::time::Duration;

use catalog_shared::events;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::time::{Instant, timeout_at};

use crate::commands::run::consumer::Consumer;
use crate::commands::run::monitoring::{WaitCause, count_rebalance};
use crate::config::thresholds::AnswerLimits;
use crate::kafka::context::Rebalance;
use crate::kafka::partitions::watermarks;
use crate::kafka::{errors, lost_records, offsets, source};
use crate::model::partition::Partition;
use crate::model::start::Start;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::store::answer_limit::within;
use crate::store::{binding, db_error, positions};

/// How long to wait for the batch in flight of a revoked partition. After that the partition is released, and its position
/// prevents that the batch is applied twice.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether Kafka and the database are asked before a change is answered.
fn asks(change: &Rebalance) -> bool {
    matches!(change, Rebalance::Assign(list) if list.count() > 0)
}

impl Consumer {
    /// Answers a change of the assignment, or postpones it while the database is unreachable or the group belongs to another
    /// copy.
    pub(crate) async fn handle_change(&mut self, change: Rebalance) -> anyhow::Result<()> {
        self.monitor.begin_wait(WaitCause::Rebalance);
        let answered = self.try_handle(change).await;
        self.monitor.end_wait();
        self.monitor.rebalanced(self.postponed.is_some());
        self.observe();
        answered
    }

    async fn try_handle(&mut self, change: Rebalance) -> anyhow::Result<()> {
        if asks(&change)
            && (!self.ownership.may_retry() || self.query_with_deadline(self.pool.acquire()).await?.is_none())
        {
            self.postponed = Some(change);
            return Ok(());
        }
        match self.apply_change(&change).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.postponed = Some(change);
                Ok(())
            }
            // The database became unreachable just now.
            Err(error) if db_error::is_transient(&error) => {
                self.context.outage.log(&error);
                self.postponed = Some(change);
                Ok(())
            }
            Err(error) if errors::is_retried(&error) => {
                tracing::warn!(
                    event = events::ASSIGNMENT_WAITS,
                    error = format!("{error:#}"),
                    "can't start partitions yet, retrying"
                );
                self.readiness.retry_later();
                self.postponed = Some(change);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Answers the postponed change, if there is one and nothing is known to prevent it.
    pub(crate) async fn retry_postponed(&mut self) -> anyhow::Result<()> {
        match self.postponed.take_if(|change| !asks(change) || self.readiness.may_retry()) {
            Some(change) => self.handle_change(change).await,
            None => Ok(()),
        }
    }

    /// Answers a change of the assignment. False if it must be postponed.
    async fn apply_change(&mut self, change: &Rebalance) -> anyhow::Result<bool> {
        match change {
            Rebalance::Assign(list) if list.count() == 0 => {
                self.polling.acknowledge(change.clone()).await.map(|()| true)
            }
            Rebalance::Assign(list) => {
                let is_answered = self.is_reachable(list).await? && self.assign(list).await?;
                if is_answered {
                    self.readiness.reset();
                    count_rebalance(true, false);
                }
                Ok(is_answered)
            }
            Rebalance::Revoke { partitions, lost } => {
                self.revoke(partitions, *lost).await?;
                count_rebalance(false, *lost);
                Ok(true)
            }
        }
    }

    /// Whether Kafka answers for these partitions; false as long as it has not.
    async fn is_reachable(&mut self, list: &TopicPartitionList) -> anyhow::Result<bool> {
        let (kafka, topic_partitions) = (self.args.kafka.clone(), self.topic_partitions(list));
        self.readiness.ask(|| async move { watermarks(&kafka, topic_partitions).await.map(drop) }).await
    }

    /// Starts assigned partitions; false while the group belongs to another copy.
    async fn assign(&mut self, list: &TopicPartitionList) -> anyhow::Result<bool> {
        let probe = self.ownership.probe();
        let seen = probe.read().await?;
        if !self.ownership.may_enter(&seen)? {
            return Ok(false);
        }
        self.ownership.log_takeover(&seen);
        let limit = AnswerLimits::DEFAULT.rows;
        let starts = within(limit, self.bound_starts(self.topic_partitions(list))).await?;
        let offsets: Vec<_> =
            starts.iter().map(|(topic_partition, start)| (topic_partition.clone(), start.offset())).collect();
        // The metadata must be committed before the group is read again. An operator's reset is committed with it.
        offsets::commit_and_wait(&self.member, &offsets).await?;
        if !self.ownership.may_apply(&probe.read().await?)? {
            return Ok(false);
        }
        self.start_partitions(&starts, offsets).await?;
        Ok(true)
    }

    async fn start_partitions(
        &mut self,
        starts: &[(TopicPartition, Start)],
        offsets: Vec<(TopicPartition, i64)>,
    ) -> anyhow::Result<()> {
        self.epoch += 1;
        self.polling.assign(offsets, self.epoch).await?;
        for (topic_partition, start) in starts {
            start.log(topic_partition);
            let partition = Partition::new(topic_partition.clone(), start.offset(), self.epoch);
            self.partitions.insert(topic_partition.id(), partition);
        }
        Ok(())
    }

    /// The starts of the partitions, after checking that the tables belong to their topics.
    async fn bound_starts(
        &self,
        topic_partitions: Vec<TopicPartition>,
    ) -> anyhow::Result<Vec<(TopicPartition, Start)>> {
        let source = source::find(&self.args.kafka).await?;
        binding::bind(&mut *self.pool.acquire().await?, &source).await?;
        let starts = self.starts(topic_partitions).await?;
        // Checks again, because some positions are new.
        binding::bind(&mut *self.pool.acquire().await?, &source).await?;
        Ok(starts)
    }

    async fn starts(
        &self,
        topic_partitions: Vec<TopicPartition>,
    ) -> anyhow::Result<Vec<(TopicPartition, Start)>> {
        let committed = offsets::committed(&self.member, &topic_partitions).await?;
        let marks = watermarks(&self.args.kafka, topic_partitions).await?;
        let positions =
            positions::read(&self.pool, &TopicKind::ALL.map(|kind| kind.topic(&self.topics))).await?;
        lost_records::check_starts(&self.args.kafka, &positions, &marks, self.args.accept_loss).await?;
        let mut starts = Vec::with_capacity(marks.len());
        for ((topic_partition, marks), committed) in marks.into_iter().zip(committed) {
            let start = Start::decide(positions.get(&topic_partition), committed, marks.low);
            marks.check_reset(&topic_partition, start)?;
            let start = positions::start(&self.pool, &topic_partition, committed, marks.low).await?;
            let start = positions::skip_expired(&self.pool, &topic_partition, start, marks.low).await?;
            starts.push((topic_partition, start));
        }
        self.check(&starts).await?;
        Ok(starts)
    }

    /// Checks that the starts are within the watermarks. These are read again, because the previous member may have applied
    /// records that arrived after the first read.
    async fn check(&self, starts: &[(TopicPartition, Start)]) -> anyhow::Result<()> {
        let topic_partitions = starts.iter().map(|(topic_partition, _)| topic_partition.clone()).collect();
        for ((topic_partition, marks), (_, start)) in
            watermarks(&self.args.kafka, topic_partitions).await?.iter().zip(starts)
        {
            marks.check(topic_partition, start.offset())?;
        }
        Ok(())
    }

    /// Releases partitions after their batches in flight have ended. Received records that are not in a batch are dropped.
    async fn revoke(&mut self, list: &TopicPartitionList, lost: bool) -> anyhow::Result<()> {
        let revoked = self.topic_partitions(list);
        tracing::debug!(
            event = events::REVOCATION_STARTED,
            partitions = revoked.len(),
            lost,
            "revoking partitions"
        );
        // Without waiting records no further batches start.
        for topic_partition in &revoked {
            if let Some(partition) = self.partitions.get_mut(&topic_partition.id()) {
                partition.clear();
            }
        }
        let deadline = Instant::now() + if lost { Duration::ZERO } else { REVOKE_TIMEOUT };
        while revoked.iter().any(|topic_partition| self.is_in_flight(topic_partition)) {
            let Ok(Some(done)) = timeout_at(deadline, self.batches.join_next()).await else { break };
            self.record_outcome(done?)?;
        }
        for topic_partition in revoked {
            self.partitions.remove(&topic_partition.id());
            tracing::info!(
                event = events::PARTITION_REVOKED,
                topic = topic_partition.topic,
                partition = topic_partition.partition,
                lost,
                "partition revoked"
            );
        }
        self.polling.acknowledge(Rebalance::Revoke { partitions: list.clone(), lost }).await
    }

    fn is_in_flight(&self, topic_partition: &TopicPartition) -> bool {
        self.partitions.get(&topic_partition.id()).is_some_and(|partition| partition.in_flight)
    }

    fn topic_partitions(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        let topic_partition = |topic: &str, partition| {
            Some(TopicPartition {
                kind: TopicKind::of(&self.topics, topic)?,
                topic: topic.to_owned(),
                partition,
            })
        };
        list.elements()
            .iter()
            .filter_map(|element| topic_partition(element.topic(), element.partition()))
            .collect()
    }
}
