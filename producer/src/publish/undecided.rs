//! A transaction of which nobody can tell how it ended.
//!
//! A broker that is killed right after a commit, and is the only one, may start again without the commit's
//! markers: its coordinator finds no leader for the partitions yet, takes them for deleted, and calls the
//! transaction complete (Kafka 4.3.1, `TransactionMarkerChannelManager`). Readers of committed records stop
//! before it until the same transactional id commits there again, which makes visible whatever was left. So
//! the cursor that can be read is old, and its run can't be carried on exactly.

use std::time::{Duration, Instant};

use anyhow::Context;
use catalog_shared::cursor::Cursor;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use catalog_shared::watermarks::watermarks;
use rdkafka::consumer::BaseConsumer;
use tokio::task::spawn_blocking;

use crate::run::plan::Asked;
use catalog_shared::cursors;

/// How long the end of the last transaction may be on its way, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

type Reader = BaseConsumer<LogContext>;

/// The last cursor behind the committed ones, if there is one whose transaction has no end. To be asked by
/// whoever has fenced all other producers of the region: theirs are ended then.
///
/// # Errors
/// What Kafka says.
pub(crate) async fn read(
    kafka: &KafkaArgs,
    topics: &Topics,
    region: Region,
) -> anyhow::Result<Option<Cursor>> {
    let committed = cursors::client_config(kafka, "read_committed")?;
    let all = cursors::client_config(kafka, "read_uncommitted")?;
    let topic = topics.cursors();
    let read = move || -> anyhow::Result<_> {
        let committed: Reader = kafka::create(&committed, LogContext::default())?;
        let all: Reader = kafka::create(&all, LogContext::default())?;
        last_undecided(&committed, &all, &topic, region.cursor_partition())
    };
    spawn_blocking(read).await?.with_context(|| format!("can't read the cursors of region {region}"))
}

fn last_undecided(
    committed: &Reader,
    all: &Reader,
    topic: &str,
    partition: i32,
) -> anyhow::Result<Option<Cursor>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, decided) = watermarks(committed, topic, partition)?;
        let (_, end) = watermarks(all, topic, partition)?;
        if decided >= end {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            let last = cursors::last_between(all, topic, partition, decided)?;
            return Ok(last.map(|written| written.cursor));
        }
        std::thread::sleep(PAUSE);
    }
}

impl Asked {
    /// The same, but for a new run: what is published of the one under way is not known. Its number is one
    /// that nobody has used, for the records of the undecided transaction may become visible yet.
    pub(crate) fn passing_over(&self, undecided: &Cursor) -> Self {
        tracing::warn!(
            region = %self.region,
            run = undecided.run,
            page = undecided.next_page,
            "Kafka has lost the end of a transaction; giving the run up, for nobody can tell what of it counts"
        );
        let first_run = self.first_run.max(undecided.run.saturating_add(1));
        Self { restart: true, first_run, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::{Mode, Shape};
    use catalog_shared::record::Kind;
    use time::OffsetDateTime;

    use super::*;
    use crate::run::lifecycle::{ended, fresh};
    use crate::run::plan::{Plan, plan};

    fn asked() -> Asked {
        let shape = Shape {
            mode: Mode::Full,
            kinds: Kind::ALL.to_vec(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        Asked { region: Region::Us, shape, since: None, restart: false, first_run: 1 }
    }

    fn crawling(run: u32) -> Cursor {
        let fresh = fresh(Region::Us, asked().shape, run, &BTreeMap::new());
        Cursor { previous_ended: run.checked_sub(2), ..fresh }
    }

    fn begun(undecided: &Cursor, last: Option<Cursor>) -> (u32, Option<u32>) {
        match plan(&asked().passing_over(undecided), last) {
            Ok(Plan::Begin { run, previous_ended, .. }) => (run, previous_ended),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_run_is_given_up_and_its_number_is_not_used_again() {
        assert_eq!(begun(&crawling(7), Some(crawling(7))), (8, Some(5)));
        // The claim of run 8 is undecided.
        let last = ended(&crawling(7), OffsetDateTime::now_utc());
        assert_eq!(begun(&crawling(8), Some(last)), (9, Some(7)));
        assert_eq!(begun(&crawling(3), None).0, 4);
    }
}
