//! Publishing to Kafka: each step of a run is one transaction of records and the next cursor.

pub(crate) mod abort_reason;
pub(crate) mod claim;
pub(crate) mod commit;
pub(crate) mod cursor_record;
pub(crate) mod delivery;
pub(crate) mod failure;
pub(crate) mod hosts;
pub(crate) mod in_doubt;
pub(crate) mod late_ends;
pub(crate) mod leaders;
pub(crate) mod sink;
pub(crate) mod transaction;

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog_shared::cursor::Cursor;
use catalog_shared::events;
use catalog_shared::monitoring::names;
use metrics::counter;

use crate::model::domains::Domains;
use crate::model::idspace;
use crate::model::page::Page;
use crate::progress::counters::Counters;
use crate::progress::monitor::{Monitor, count_objects};
use crate::publish::failure::TransactionError;
use crate::publish::sink::Sink;
use crate::run::lane_page::LanePage;
use crate::run::{Run, Step};

/// Commits the steps of a run.
pub(crate) struct Publisher {
    sink: Sink,
    run: Run,
    /// Whether the outcome of the last commit is known: it succeeded, or its transaction was aborted.
    is_certain: bool,
    monitored: Option<(Arc<Counters>, Monitor)>,
}

impl Publisher {
    /// A publisher of a run whose cursor has claimed the region in Kafka.
    pub(crate) const fn new(sink: Sink, run: Run) -> Self {
        Self { sink, run, is_certain: true, monitored: None }
    }

    /// Shows the progress of the run from now on.
    pub(crate) fn count_with(&mut self, counters: &Arc<Counters>, monitor: Monitor) {
        self.monitored = Some((Arc::clone(counters), monitor));
        self.show_covered();
    }

    fn show_covered(&self) {
        if let Some((_, monitor)) = &self.monitored {
            monitor.set_covered(1.0 - idspace::share_open(&self.cursor().pending));
        }
    }

    pub(crate) const fn cursor(&self) -> &Cursor {
        self.run.cursor()
    }

    /// Publishes the answer of `/domains`, which is page 0.
    pub(crate) async fn domains(&mut self, domains: Domains) -> anyhow::Result<()> {
        self.commit_pages(self.run.domains(domains)?).await
    }

    /// Publishes pages of lanes in one transaction.
    pub(crate) async fn lane_pages(&mut self, pages: Vec<LanePage>) -> anyhow::Result<()> {
        let step = self.run.lane_pages(pages)?;
        self.commit_pages(step).await
    }

    /// Publishes a page of the listing by date.
    pub(crate) async fn listed_page(&mut self, page: &Page) -> anyhow::Result<()> {
        let step = self.run.listed_page(page)?;
        self.commit_pages(step).await
    }

    /// Splits the pending intervals for this many lanes.
    pub(crate) async fn split(&mut self, lanes: usize) -> anyhow::Result<()> {
        self.commit(self.run.split(lanes)).await
    }

    /// Records in the cursor why the crawl stopped, for `status`, and whether a webhook has accepted that. Skipped if the outcome of
    /// the last commit is unknown: this cursor could undo it, and its page would be published twice.
    pub(crate) async fn record_stop(
        &mut self,
        error: Option<String>,
        is_notified: bool,
    ) -> anyhow::Result<()> {
        if !self.is_certain {
            return Ok(());
        }
        self.commit(self.run.stopped(error, is_notified)).await
    }

    /// Publishes the end-of-run records.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        let step = self.run.end()?;
        tracing::debug!(event = events::RUN_ENDING, run = step.next.run, "ending the run");
        self.commit(step).await
    }

    async fn commit_pages(&mut self, mut step: Step) -> anyhow::Result<()> {
        let (run, pages) = (self.cursor().run, std::mem::take(&mut step.pages));
        let counts = self.sink.is_kafka().then(|| self.run.count(&step.records));
        self.commit(step).await?;
        if let Some(counts) = counts {
            self.count(pages.len(), counts);
        }
        for page in pages {
            tracing::debug!(event = events::PAGE_PUBLISHED, run, page, "page published");
        }
        Ok(())
    }

    async fn commit(&mut self, Step { records, next, .. }: Step) -> anyhow::Result<()> {
        self.is_certain = false;
        self.set_publishing(true);
        let committed = self.sink.commit(records, &next).await;
        self.set_publishing(false);
        self.is_certain = committed.as_ref().err().is_none_or(is_aborted);
        committed?;
        self.run.advance(next);
        self.show_covered();
        Ok(())
    }

    fn set_publishing(&self, is_publishing: bool) {
        self.monitored.iter().for_each(|(counters, _)| counters.set_publishing(is_publishing));
    }

    /// Counts committed pages and their records.
    fn count(&self, pages: usize, records: BTreeMap<&'static str, u64>) {
        let region = self.cursor().region;
        counter!(names::PRODUCER_PAGES, "region" => region.name()).increment(pages as u64);
        records.into_iter().for_each(|(kind, count)| count_objects(region, kind, count));
    }
}

/// Whether an error means that nothing was committed. A fatal one leaves that open.
fn is_aborted(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(TransactionError::is_definite)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use catalog_shared::cursor::RunParameters;
    use catalog_shared::record::RecordType;
    use catalog_shared::region::Region;
    use catalog_shared::topics::Topics;

    use super::*;
    use crate::model::page::tests::page;
    use crate::run::lane_page::Covered;
    use crate::run::lifecycle::new_cursor;

    fn run() -> Run {
        let parameters = RunParameters::full();
        let partitions = RecordType::ALL.map(|kind| (kind, 2)).into();
        Run::new(Topics::new(""), new_cursor(Region::Us, parameters, 1, &partitions))
    }

    #[tokio::test]
    async fn a_stop_is_recorded_unless_the_last_commit_is_uncertain() {
        let commits = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&commits);
        let sink = Sink::Mock(Box::new(move |records, _| {
            *counted.lock().unwrap() += 1;
            if records.is_empty() { Ok(()) } else { anyhow::bail!("no answer") }
        }));
        let mut publisher = Publisher::new(sink, run());
        publisher.record_stop(Some("API is down".into()), false).await.unwrap();
        assert_eq!(publisher.cursor().stopped.as_ref().unwrap().error.as_deref(), Some("API is down"));
        assert!(publisher.listed_page(&page(&["2222-2222"])).await.is_err());
        publisher.record_stop(None, false).await.unwrap();
        assert_eq!(*commits.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_stop_is_recorded_after_a_commit_that_was_aborted() {
        for (error, is_recorded) in [
            (TransactionError::Aborted(String::new()), true),
            (TransactionError::Unreachable(String::new()), true),
            (TransactionError::Fatal(String::new()), false),
        ] {
            let mut errors = vec![error];
            let sink = Sink::Mock(Box::new(move |_, _| match errors.pop() {
                Some(error) => Err(anyhow::Error::from(error).context("can't publish to Kafka")),
                None => Ok(()),
            }));
            let mut publisher = Publisher::new(sink, run());
            assert!(publisher.listed_page(&page(&["2222-2222"])).await.is_err());
            publisher.record_stop(Some("Kafka".into()), true).await.unwrap();
            assert_eq!(publisher.cursor().stopped.is_some(), is_recorded);
            assert_eq!(publisher.cursor().notified, is_recorded);
        }
    }

    #[tokio::test]
    async fn a_failed_transaction_of_several_pages_moves_the_run_past_none_of_them() {
        let mut publisher =
            Publisher::new(Sink::Mock(Box::new(|_, _| Err(anyhow::anyhow!("aborted")))), run());
        let before = publisher.cursor().clone();
        let lane_page = |from: &str, id: &str| LanePage {
            from: from.into(),
            until: None,
            covered: Covered::UpTo(id.into()),
            page: page(&[id]),
            largest_id: Some(id.into()),
            skipped: None,
        };
        let pages = vec![lane_page("", "2222-2222"), lane_page("2222-2222", "2222-2223")];
        assert!(publisher.lane_pages(pages).await.is_err());
        assert_eq!(publisher.cursor(), &before);
    }
}
