//! The scenes of the recordings. Each is a crawl that can be recorded from the mock server and played back.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;
use catalog_tests::mock_server::{Fault, Matcher, MemoryCatalog, MockServer, Options, Recording};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, Program, World};

/// Objects of this size are omitted, because people read recordings.
const HUGE: usize = 4_000;
/// The id at which the second of two lanes begins.
const MIDDLE: &str = "i222-2222";

/// A crawl and the API's errors during it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Three lanes without errors.
    Paging,
    /// 429 with both forms of `Retry-After`, and without it.
    RateLimits,
    /// Temporary errors: error statuses, HTML, truncated bodies, a reset, an answer that never comes.
    Errors,
    /// All of these in turn, in one crawl of two lanes.
    Mixed,
    /// Pages above the size limit.
    TooLarge,
    /// A permanent error.
    Forbidden,
    /// A crawl in two parts.
    Resume,
}

impl Scene {
    pub(super) const ALL: [Self; 7] = [
        Self::Paging,
        Self::RateLimits,
        Self::Errors,
        Self::Mixed,
        Self::TooLarge,
        Self::Forbidden,
        Self::Resume,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Paging => "paging",
            Self::RateLimits => "rate_limits",
            Self::Errors => "errors",
            Self::Mixed => "mixed",
            Self::TooLarge => "too_large",
            Self::Forbidden => "forbidden",
            Self::Resume => "resume",
        }
    }

    /// The folder of its recording.
    pub(super) fn folder(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("cassettes").join(self.name())
    }

    /// A mock server that plays its recording.
    pub(super) async fn play(self) -> Result<MockServer> {
        let recording = Recording::read(&self.folder())?;
        Ok(MockServer::start(Options::playing(recording)).await?)
    }

    /// A mock server to record it from. Faults depend on the request and not on the time.
    pub(super) async fn stage(self) -> Result<MockServer> {
        let (catalog, ids) = small_catalog(if matches!(self, Self::Paging | Self::Mixed) { 48 } else { 24 })?;
        // Pages of 8 withhold the last id. After the faults that follow the first page, pages have 2, 4 and 8 results.
        let (first, second) = (ids[6].as_str(), ids[17].as_str());
        let api = MockServer::start(Options::new(catalog)).await?;
        let page = |after: &str, nth| Matcher::pages().scroll_id(after).that(move |a| a.attempt == nth);
        let whole = |after, nth| page(after, nth).limit_above(7);
        let domains = |nth| Matcher::domains().that(move |request| request.attempt == nth);
        let faults = match self {
            Self::Paging | Self::TooLarge | Self::Resume => Vec::new(),
            Self::RateLimits => vec![
                (domains(1), Fault::too_many_requests(Some("0"))),
                (page("", 1), Fault::too_many_requests(Some("1"))),
                (page("", 2), Fault::too_many_requests(None)),
                (page(first, 1), Fault::too_many_requests(Some("Wed, 21 Oct 2015 07:28:00 GMT"))),
            ],
            Self::Errors => vec![
                (domains(1), Fault::status(500)),
                (page("", 1), Fault::Html),
                (page("", 2), Fault::status(503)),
                (page("", 3), Fault::Reset),
                (page(first, 1), Fault::CutJson),
                (page(first, 2), Fault::Hang),
                (page(second, 1), Fault::CutConnection),
                (page(second, 2), Fault::NoResults),
            ],
            Self::Mixed => vec![
                (domains(1), Fault::too_many_requests(None)),
                (domains(2), Fault::Reset),
                (whole("", 1), Fault::status(503)),
                (whole("", 2), Fault::too_many_requests(Some("1"))),
                (whole("", 3), Fault::Html),
                (whole("", 4), Fault::CutConnection),
                (whole(MIDDLE, 1), Fault::Reset),
                (whole(MIDDLE, 2), Fault::status(500)),
                (whole(MIDDLE, 3), Fault::too_many_requests(None)),
                (whole(MIDDLE, 4), Fault::CutJson),
            ],
            Self::Forbidden => vec![(page(first, 1), Fault::status(403))],
        };
        for (matcher, fault) in faults {
            api.fail(matcher, fault);
        }
        Ok(api)
    }

    /// Crawls a stage or a recording, and returns the outcome of the last part.
    pub(super) async fn crawl(self, world: &World, api: &MockServer, record: Option<&Path>) -> Result<Ended> {
        if self != Self::Resume {
            return self.program(world, api, record)?.run().await;
        }
        // Held until the end, so that nothing is played to an abandoned request.
        let mut gate = api.hold(Matcher::pages().nth(3));
        let mut first = self.program(world, api, record)?.start()?;
        first.reaches(gate.arrived()).await?;
        first.terminate()?;
        let stopped = first.ended().await?;
        assert_eq!(stopped.summary()?["whole"], false, "{}", stopped.stderr);
        self.program(world, api, record)?.run().await
    }

    fn program(self, world: &World, api: &MockServer, record: Option<&Path>) -> Result<Program> {
        let lanes = match self {
            Self::Paging => "3",
            Self::Mixed => "2",
            _ => "1",
        };
        let program = world.crawl(api)?.args(["--page-size", "8", "--concurrency", lanes]);
        let program =
            program.args(["--max-page-bytes", if self == Self::TooLarge { "24KiB" } else { "128MiB" }]);
        let record = record.map(|folder| folder.to_string_lossy().into_owned());
        let program = program.args(["--timeout", if self == Self::Errors { "3s" } else { "30s" }]);
        Ok(program.args(record.iter().flat_map(|folder| ["--record", folder.as_str()])))
    }
}

/// This many small assets, and their ids.
fn small_catalog(assets: usize) -> Result<(MemoryCatalog, Vec<String>)> {
    let all = Synthetic::new(64, 4);
    let small = (0..64).map(|index| (all.id(index), all.object(index)));
    let small = small.filter(|(_, object)| object.len() < HUGE).take(assets);
    let (ids, objects): (Vec<_>, Vec<_>) = small.unzip();
    Ok((MemoryCatalog::from_objects(objects)?, ids))
}

/// Whether to store new recordings.
pub(super) fn asked_to_record() -> bool {
    env::var_os("CATALOG_RECORD_CASSETTES").is_some()
}
