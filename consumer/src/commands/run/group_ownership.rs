//! Other copies of the tables in the same group. Each copy needs its own group, because in a shared group each copy gets
//! only a part of the partitions. The metadata of the committed offset of the first partition of `datasets` names the copy
//! that the group belongs to. A consumer of another copy applies nothing while a consumer of that copy is running. If no
//! such consumer is running, it claims the group, because the database of the other copy may be lost or replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::exit::Stop;
use rdkafka::consumer::Consumer as _;
use tokio::task::spawn_blocking;

use crate::commands::run::args::RunArgs;
use crate::kafka::detached_reader::DetachedReader;
use crate::kafka::group_members::{GroupMember, group_members};
use crate::kafka::offsets;
use crate::kafka::partitions::await_metadata;
use crate::model::copy_id::CopyId;
use crate::model::topic::TopicPartition;

/// Delay before the group is read again while it belongs to another copy.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Reads the members and the owner of the group without joining it.
#[derive(Clone)]
pub(crate) struct GroupProbe {
    copy: CopyId,
    group: Arc<str>,
    /// The partition whose committed metadata names the owner.
    first: TopicPartition,
    reader: Arc<DetachedReader>,
}

/// The members and the owner of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupState {
    /// The live members of other copies, with their hosts.
    others: Vec<(CopyId, String)>,
    /// The copy that owns the group.
    owner: Option<CopyId>,
}

impl GroupProbe {
    fn open(args: &RunArgs, copy: CopyId) -> anyhow::Result<Self> {
        let first = TopicPartition::first_of_datasets(&args.kafka.topics());
        let reader = Arc::new(DetachedReader::open(&args.kafka, &args.group)?);
        Ok(Self { copy, group: args.group.as_str().into(), first, reader })
    }

    /// Reads the members, then the owner. If two copies start at the same time, each commits its name before it reads, so at
    /// least one of them sees the other.
    ///
    /// # Errors
    /// An error of Kafka.
    pub(crate) async fn read(&self) -> anyhow::Result<GroupState> {
        let (reader, group) = (Arc::clone(self.reader.get()), Arc::clone(&self.group));
        let (client, topic) = (Arc::clone(&reader), self.first.topic.clone());
        let list_members = move || {
            await_metadata(client.client(), &topic)?;
            group_members(client.client(), &group)
        };
        let members = spawn_blocking(list_members).await??;
        let owner = offsets::owner_metadata(&reader, &self.first).await?;
        let copy = |member: GroupMember| Some((CopyId::parse(&member.client_id)?, member.host));
        let others = members.into_iter().filter_map(copy).filter(|(copy, _)| !copy.is_same(&self.copy));
        Ok(GroupState { others: others.collect(), owner: owner.as_deref().and_then(CopyId::parse) })
    }
}

impl GroupState {
    /// Whether another copy owns the group and has a live consumer.
    fn belongs_to_another(&self) -> bool {
        let owner = self.owner.as_ref();
        owner.is_some_and(|owner| self.others.iter().any(|(copy, _)| copy.is_same(owner)))
    }

    /// Whether this copy must not apply anything.
    fn is_contested(&self, copy: &CopyId) -> bool {
        !self.others.is_empty() && !self.owner.as_ref().is_some_and(|owner| owner.is_same(copy))
    }
}

/// Decides whether this copy may use the group.
pub(crate) struct GroupOwnership {
    probe: GroupProbe,
    /// The session timeout, after which the group removes a dead member.
    session: Duration,
    /// Since when another copy uses the group.
    contested: Option<Instant>,
    retry_at: Instant,
    /// Whether the claim was logged.
    logged: bool,
}

impl GroupOwnership {
    pub(crate) fn new(args: &RunArgs, copy: CopyId, session: Duration) -> anyhow::Result<Self> {
        let probe = GroupProbe::open(args, copy)?;
        Ok(Self { probe, session, contested: None, retry_at: Instant::now(), logged: false })
    }

    pub(crate) fn probe(&self) -> GroupProbe {
        self.probe.clone()
    }

    /// Whether this copy must not apply anything now.
    pub(crate) const fn is_contested(&self) -> bool {
        self.contested.is_some()
    }

    /// Whether it is time to read the group again.
    pub(crate) fn may_retry(&self) -> bool {
        Instant::now() >= self.retry_at
    }

    /// Delays the next read of the group.
    pub(crate) fn retry_later(&mut self) {
        self.retry_at = Instant::now() + RETRY_AFTER;
    }

    /// Whether this copy may commit its name on its assigned partitions. It must not replace the name of a live copy.
    ///
    /// # Errors
    /// [`Stop::Guard`] if the other copy is still alive after one session timeout.
    pub(crate) fn may_enter(&mut self, seen: &GroupState) -> Result<bool, Stop> {
        if seen.belongs_to_another() { self.block(seen) } else { Ok(true) }
    }

    /// Whether this copy may apply records after it has committed its name.
    ///
    /// # Errors
    /// Same as [`GroupOwnership::may_enter`].
    pub(crate) fn may_apply(&mut self, seen: &GroupState) -> Result<bool, Stop> {
        if seen.is_contested(&self.probe.copy) {
            return self.block(seen);
        }
        if self.contested.take().is_some() {
            tracing::info!(
                event = events::GROUP_UNCONTESTED,
                "no other copy of the tables uses the group any more; continuing"
            );
        }
        Ok(true)
    }

    /// Logs once that this copy claims the group of a copy without consumers.
    pub(crate) fn log_takeover(&mut self, seen: &GroupState) {
        let Some(owner) = seen.owner.as_ref().filter(|owner| !owner.is_same(&self.probe.copy)) else {
            return;
        };
        if seen.others.is_empty() && !self.logged {
            self.logged = true;
            tracing::warn!(event = events::GROUP_CLAIMED,
                group = &*self.probe.group,
                was = %owner,
                is = %self.probe.copy,
                "claiming the group from another copy of the tables, which has no running consumer; the positions in \
                 these tables decide where to resume"
            );
        }
    }

    fn block(&mut self, seen: &GroupState) -> Result<bool, Stop> {
        let now = Instant::now();
        self.retry_at = now + RETRY_AFTER;
        if self.contested.is_none() {
            tracing::warn!(
                event = events::GROUP_CONTESTED,
                group = &*self.probe.group,
                other = self.describe(seen),
                seconds = self.session.as_secs(),
                "another copy of the tables uses this group; applying nothing, and exiting if it keeps running"
            );
        }
        let since = *self.contested.get_or_insert(now);
        if now.duration_since(since) < self.session {
            return Ok(false);
        }
        Err(Stop::Guard(format!(
            "the group {} belongs to another copy of the tables, which is running: {}. This copy is the schema {}. In a shared \
             group each copy would get only a part of the records, so nothing was applied. To keep both copies: give this one its \
             own group (--group NAME, CATALOG_GROUP). To replace the other copy with this one: stop its consumers, then \
             restart this one",
            self.probe.group,
            self.describe(seen),
            self.probe.copy.schema
        )))
    }

    fn describe(&self, seen: &GroupState) -> String {
        let other = |(copy, host): &(CopyId, String)| {
            format!("the schema {} on {} ({copy})", copy.schema, host.trim_start_matches('/'))
        };
        let mut others: Vec<String> = seen.others.iter().map(other).collect();
        others.dedup();
        others.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::copy_id::tests::copy;

    fn seen(others: &[&str], owner: Option<&str>) -> GroupState {
        let others = others.iter().map(|tables| (copy(tables, None), "/10.0.0.1".to_owned())).collect();
        GroupState { others, owner: owner.map(|tables| copy(tables, None)) }
    }

    #[test]
    fn without_another_live_copy_the_group_is_claimed_whoever_owns_it() {
        for owner in [None, Some("me"), Some("gone")] {
            let seen = seen(&[], owner);
            assert!(!seen.belongs_to_another() && !seen.is_contested(&copy("me", None)), "{owner:?}");
        }
    }

    #[test]
    fn of_two_live_copies_the_owner_stays() {
        let me = copy("me", None);
        assert!(!seen(&["other"], Some("me")).is_contested(&me));
        let others = seen(&["other"], Some("other"));
        assert!(others.is_contested(&me) && others.belongs_to_another());
    }

    #[test]
    fn of_two_copies_that_start_together_both_may_enter_and_neither_applies_before_one_is_the_owner() {
        for owner in [None, Some("gone")] {
            let seen = seen(&["other"], owner);
            assert!(!seen.belongs_to_another() && seen.is_contested(&copy("me", None)), "{owner:?}");
        }
    }
}
