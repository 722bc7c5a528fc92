//! The status page of a running consumer: what `check` finds, and the lists behind it, as HTML without scripts.
//!
//! The tables and Kafka are read on request ([`reader`]). Each request waits at most a few seconds, and the page says what
//! it does not know and since when. So it works during an outage, and it does not delay `/healthz`, which the same thread
//! answers.

mod ledger;
mod live;
mod reader;
mod reading;
mod view;

use catalog_shared::exit::Stop;
use catalog_shared::monitoring::FrontPage;
use time::OffsetDateTime;

pub(crate) use live::{Live, LivePartition, LiveWait};
pub(crate) use reader::Connections;

use super::limits::LimitArgs;
use reader::ReadingCache;
use reading::Moment;
use view::View;

/// What never changes while the consumer runs.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) group: String,
    pub(crate) topic_prefix: String,
    pub(crate) schema: String,
    pub(crate) started_at: OffsetDateTime,
}

/// The page of a running consumer.
pub(crate) struct StatusPage {
    reader: ReadingCache,
    limits: LimitArgs,
    about: About,
}

impl StatusPage {
    /// A page with the limits that the environment sets for `check`.
    ///
    /// # Errors
    /// [`Stop::Usage`] for a variable that is not a limit.
    pub(crate) fn new(about: About) -> Result<Self, Stop> {
        Ok(Self { reader: ReadingCache::default(), limits: LimitArgs::from_environment()?, about })
    }

    /// Reads the tables and Kafka whenever the page is requested. Never ends.
    pub(crate) async fn follow(&self, source: Connections) {
        self.reader.follow(&source).await;
    }

    /// The page, after a few seconds at most. `live` is asked at the end of the wait.
    pub(crate) async fn show(&self, live: impl FnOnce() -> Live) -> FrontPage {
        let readings = self.reader.recent().await;
        let (live, now) = (live(), Moment::now());
        let view = View {
            now: now.clock,
            live: &live,
            ledger: readings.ledger(&now, self.about.started_at),
            lag: readings.lag(&now, self.about.started_at),
            limits: &self.limits,
            about: &self.about,
        };
        FrontPage::Html { document: view.document(), style_sha256: view::STYLE_SHA256 }
    }
}
