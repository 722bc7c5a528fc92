//! Receiving: from a message of Kafka to a record of a partition that is ours.

use std::time::Instant;

use catalog_shared::exit::Stop;
use catalog_shared::rights;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

use crate::commands::run::consumer::Consumer;
use crate::kafka::partitions::watermarks;
use crate::kafka::receive::{message, take};
use crate::model::topic::TopicKind;
use crate::sync::source_check;

impl Consumer {
    /// Takes what the member received.
    pub(crate) async fn receive(
        &mut self,
        received: Result<BorrowedMessage<'_>, KafkaError>,
    ) -> anyhow::Result<()> {
        match &received {
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)) => {
                self.find_lost().await?
            }
            // The client asks again for ever, but a right does not come by itself.
            Err(error) if rights::is_missing(error) => return Err(error.clone().into()),
            _ => {}
        }
        let Some(message) = message(received)? else { return Ok(()) };
        let kind = TopicKind::of(&self.topics, message.topic());
        let partition = kind.and_then(|kind| self.partitions.get_mut(&(kind, message.partition())));
        let Some(partition) = partition else { return Ok(()) };
        let now = Instant::now();
        self.summary.received(now);
        take(partition, &message, now);
        let is_full = partition.pause_changes().is_some();
        if partition.is_due(usize::from(self.args.apply.batch_size), now) {
            self.apply_all_due();
        }
        if is_full { self.pause_and_resume() } else { Ok(()) }
    }

    /// Names a partition that no longer holds what the tables stand at, or a topic that was made again.
    async fn find_lost(&self) -> anyhow::Result<()> {
        // Whatever else keeps it from being checked, the offsets below are still wrong.
        let check =
            async { source_check::check_now(&mut *self.pool.acquire().await?, &self.args.kafka).await };
        check.await.or_else(|error| if error.is::<Stop>() { Err(error) } else { Ok(()) })?;
        let places = self.partitions.values().map(|partition| partition.place.clone()).collect();
        for (place, marks) in watermarks(&self.args.kafka, places).await? {
            if let Some(partition) = self.partitions.get(&(place.kind, place.partition)) {
                marks.check(&place, partition.position)?;
            }
        }
        Ok(())
    }
}
