//! Other copies of the tables in the same group. Each copy needs a group of its own, because in a shared group each copy gets
//! only a part of the partitions. The group belongs to the copy that is named beside the committed offset of the first
//! partition of `datasets`. A consumer of another copy applies nothing while a consumer of that copy is running. If none is,
//! it takes the group over: the other copy's database may be lost or replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use catalog_shared::exit::Stop;
use catalog_shared::record::RecordType;
use rdkafka::consumer::Consumer as _;
use tokio::task::spawn_blocking;

use crate::commands::run::args::RunArgs;
use crate::kafka::reader::{self, Reader};
use crate::kafka::{admin, offsets};
use crate::model::copy_id::CopyId;
use crate::model::topic::{TopicKind, TopicPartition};

/// How soon the group is read again while it is not this copy's.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Reads who is in the group, without joining it.
#[derive(Clone)]
pub(crate) struct GroupProbe {
    copy: CopyId,
    group: Arc<str>,
    /// The partition whose note counts.
    first: TopicPartition,
    reader: Arc<OwnReader>,
}

/// Who is in the group, and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupState {
    /// The live members that work for other copies, with their hosts.
    others: Vec<(CopyId, String)>,
    /// The copy that the group belongs to.
    named: Option<CopyId>,
}

impl GroupProbe {
    fn open(args: &RunArgs, copy: CopyId) -> anyhow::Result<Self> {
        let kind = TopicKind::Data(RecordType::Datasets);
        let first = TopicPartition { kind, topic: kind.topic(&args.kafka.topics()), partition: 0 };
        let reader = Arc::new(OwnReader(Some(Arc::new(reader::open(&args.kafka, &args.group)?))));
        Ok(Self { copy, group: args.group.as_str().into(), first, reader })
    }

    /// Reads the members, then the note. If two copies start at the same time, each commits its note before it reads, so at
    /// least one of them sees the other.
    ///
    /// # Errors
    /// What Kafka says.
    pub(crate) async fn read(&self) -> anyhow::Result<GroupState> {
        let (reader, group) = (self.reader.get()?, Arc::clone(&self.group));
        let client = Arc::clone(&reader);
        let members = spawn_blocking(move || admin::group_members(client.client(), &group)).await??;
        let note = offsets::note(&reader, &self.first).await?;
        let copy = |member: admin::GroupMember| Some((CopyId::parse(&member.client_id)?, member.host));
        let others = members.into_iter().filter_map(copy).filter(|(copy, _)| !copy.is_same(&self.copy));
        Ok(GroupState { others: others.collect(), named: note.as_deref().and_then(CopyId::parse) })
    }
}

impl GroupState {
    /// Whether the group belongs to another copy, one of whose consumers lives.
    fn belongs_to_another(&self) -> bool {
        let named = self.named.as_ref();
        named.is_some_and(|named| self.others.iter().any(|(copy, _)| copy.is_same(named)))
    }

    /// Whether this copy must not apply anything.
    fn is_contested(&self, copy: &CopyId) -> bool {
        !self.others.is_empty() && !self.named.as_ref().is_some_and(|named| named.is_same(copy))
    }
}

/// Whether the group is this copy's.
pub(crate) struct GroupOwnership {
    probe: GroupProbe,
    /// How long the group takes to notice that a member is gone: one session.
    session: Duration,
    /// Since when the group is not this copy's.
    contested: Option<Instant>,
    retry_at: Instant,
    /// Whether the takeover was logged.
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

    /// Whether nothing may be applied now.
    pub(crate) const fn is_contested(&self) -> bool {
        self.contested.is_some()
    }

    /// Whether it is time to read the group again.
    pub(crate) fn may_retry(&self) -> bool {
        Instant::now() >= self.retry_at
    }

    /// Waits before the next try.
    pub(crate) fn retry_later(&mut self) {
        self.retry_at = Instant::now() + RETRY_AFTER;
    }

    /// Whether this copy may put its note on partitions that it was assigned: not over that of a live one.
    ///
    /// # Errors
    /// [`Stop::Guard`] once the other copy has lived for a session's length.
    pub(crate) fn may_enter(&mut self, seen: &GroupState) -> Result<bool, Stop> {
        if seen.belongs_to_another() { self.hold(seen) } else { Ok(true) }
    }

    /// Whether this copy may apply records, with its note on its partitions.
    ///
    /// # Errors
    /// As [`GroupOwnership::may_enter`].
    pub(crate) fn may_apply(&mut self, seen: &GroupState) -> Result<bool, Stop> {
        if seen.is_contested(&self.probe.copy) {
            return self.hold(seen);
        }
        if self.contested.take().is_some() {
            tracing::info!("no other copy of the tables uses the group any more; going on");
        }
        Ok(true)
    }

    /// Logs once that this copy takes over the group of one that has no consumers any more.
    pub(crate) fn log_takeover(&mut self, seen: &GroupState) {
        let Some(named) = seen.named.as_ref().filter(|named| !named.is_same(&self.probe.copy)) else {
            return;
        };
        if seen.others.is_empty() && !self.logged {
            self.logged = true;
            tracing::warn!(
                group = &*self.probe.group,
                was = %named,
                is = %self.probe.copy,
                "the group was last used for another copy of the tables, none of whose consumers runs: taking the group \
                 over. These tables' own positions decide where to go on"
            );
        }
    }

    fn hold(&mut self, seen: &GroupState) -> Result<bool, Stop> {
        let now = Instant::now();
        self.retry_at = now + RETRY_AFTER;
        if self.contested.is_none() {
            tracing::warn!(
                group = &*self.probe.group,
                other = self.describe(seen),
                seconds = self.session.as_secs(),
                "another copy of the tables uses this group: applying nothing, and leaving unless it ends"
            );
        }
        let since = *self.contested.get_or_insert(now);
        if now.duration_since(since) < self.session {
            return Ok(false);
        }
        Err(Stop::Guard(format!(
            "the group {} belongs to another copy of the tables, which is running: {}. This copy is the schema {}. Of a shared \
             group each copy would get a part of the records, so nothing was applied. To keep both copies: give this one a \
             group of its own (--group NAME, CATALOG_GROUP). To replace the other copy by this one: stop its consumers, then \
             start this one again",
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

/// The client of a probe. Closing it waits for its threads, so that is not done on a thread of the runtime.
struct OwnReader(Option<Arc<Reader>>);

impl OwnReader {
    fn get(&self) -> anyhow::Result<Arc<Reader>> {
        self.0.clone().context("the client is closed")
    }
}

impl Drop for OwnReader {
    fn drop(&mut self) {
        let reader = self.0.take();
        std::thread::spawn(move || drop(reader));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::copy_id::tests::copy;

    fn seen(others: &[&str], named: Option<&str>) -> GroupState {
        let others = others.iter().map(|tables| (copy(tables, None), "/10.0.0.1".to_owned())).collect();
        GroupState { others, named: named.map(|tables| copy(tables, None)) }
    }

    #[test]
    fn without_another_live_copy_the_group_is_taken_whatever_it_names() {
        for named in [None, Some("me"), Some("gone")] {
            let seen = seen(&[], named);
            assert!(!seen.belongs_to_another() && !seen.is_contested(&copy("me", None)), "{named:?}");
        }
    }

    #[test]
    fn of_two_live_copies_the_named_one_stays() {
        let me = copy("me", None);
        assert!(!seen(&["other"], Some("me")).is_contested(&me));
        let others = seen(&["other"], Some("other"));
        assert!(others.is_contested(&me) && others.belongs_to_another());
    }

    #[test]
    fn of_two_copies_that_come_at_once_both_may_enter_and_neither_applies_before_one_is_named() {
        for named in [None, Some("gone")] {
            let seen = seen(&["other"], named);
            assert!(!seen.belongs_to_another() && seen.is_contested(&copy("me", None)), "{named:?}");
        }
    }
}
