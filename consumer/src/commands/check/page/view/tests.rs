//! The page in each state, without a database.

mod scene;

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::commands::check::facts::{DomainCrawl, HeldRun, LastFullCrawl, OpenDeadLetters};
use crate::commands::check::lag::PartitionLag;
use crate::commands::check::page::live::LiveWait;
use scene::{
    HOSTILE, Health, assert_shows, busy_ledger, empty_ledger, gap, known, own, run, scene, text, unknown,
};

#[test]
fn the_first_line_is_that_of_check() {
    let mut ledger = busy_ledger("too few were seen");
    ledger.facts.runs.held.clear();
    ledger.facts.dead_letters = OpenDeadLetters::default();
    assert_shows(
        &scene(ledger).document(),
        &["OK - full crawl of us ended 2 h ago (run 5); no run on hold; "],
    );
    let held = scene(busy_ledger("too few were seen")).document();
    let line = "WARNING - run 6 of us has been on hold for 1 h: too few were seen; 12 open dead letters; ";
    assert_shows(&held, &[line]);
    assert!(held.contains("<title>WARNING - catalog-consumer</title>"), "{held}");
}

#[test]
fn each_thing_to_decide_has_its_command() {
    let document = scene(busy_ledger("a.example")).document();
    let expected = [
        "catalog-consumer runs show 6 --region us",
        "catalog-consumer runs approve --region us --run 6",
        "catalog-consumer runs decline --region us --run 6",
        "catalog-consumer runs approve --region us --run 5 --domain a.example",
        "catalog-consumer dead-letters show 14",
        "catalog-consumer dead-letters list",
        "1,200 datasets kept",
    ];
    assert_shows(&document, &expected);
}

#[test]
fn the_text_of_others_is_escaped_and_never_part_of_a_command() {
    let mut scene = scene(busy_ledger(HOSTILE));
    scene.lag.gap = Some(gap(HOSTILE));
    scene.live.readiness.summary = HOSTILE.to_owned();
    let document = scene.document();
    assert!(!document.contains("<script") && !document.contains("<img"), "{document}");
    assert_eq!(document.matches("</style>").count(), 1);
    // Of the finding twice, held run, shield, dead letter, name, domain and type of a dataset, lag in the finding twice and in
    // its section, and readiness.
    assert!(document.matches("&lt;script&gt;alert").count() >= 10, "{document}");
    assert!(!document.contains("--domain"), "{document}");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let document = scene(busy_ledger("a.example")).document();
    let links: Vec<&str> =
        document.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links[0].starts_with("data:image/svg+xml,"), "{links:?}");
    assert_eq!(links[1..], ["/metrics", "/healthz", "/readyz"]);
    assert!(!document.contains("src=") && !document.contains(" style="), "{document}");
    assert!(!STYLE.contains('<') && !STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn without_a_run_the_page_names_the_first_command() {
    let document = scene(empty_ledger()).document();
    let expected = [
        "CRITICAL - no run has arrived in the tables",
        "catalog-producer crawl --region us",
        "No run has arrived in the tables yet.",
        "No run is on hold.",
        "No domain is shielded.",
        "No dead letter is open.",
        "No dataset was ever retired.",
        "Nothing is unread in 26 partitions.",
        "It waits for nothing.",
    ];
    assert_shows(&document, &expected);
}

#[test]
fn a_region_that_is_only_crawled_by_domain_shows_the_age_of_each_domain() {
    let mut ledger = busy_ledger("a.example");
    let runs = &mut ledger.facts.runs;
    runs.full_crawls[0] = LastFullCrawl { region: "us".into(), run: None, age: None };
    let crawl = |domain: &str, domains, run| DomainCrawl {
        region: "us".into(),
        domain: domain.into(),
        domains,
        run,
        age: run.map(|_| 40.0 * 3_600.0),
    };
    runs.domain_crawls = vec![crawl("a.example", 2, Some(5)), crawl(HOSTILE, 1, None)];
    let document = scene(ledger).document();
    let expected = [
        "WARNING last accepted crawl of a.example and 1 more domain ended 1 d 16 h ago (run 5)",
        "WARNING crawl of a.example and 1 more domain in us ended 1 d 16 h ago (run 5)",
    ];
    assert_shows(&document, &expected);
    assert!(!document.contains("<script") && !text(&document).contains("full crawl"), "{document}");
}

#[test]
fn while_the_consumer_starts_nothing_is_known() {
    let mut scene = scene(empty_ledger());
    let why = "not read yet, because the consumer is starting";
    (scene.ledger, scene.lag) = (unknown(why), unknown(why));
    let document = scene.document();
    assert_shows(&document, &["UNKNOWN - the tables are unknown: not read yet", "PostgreSQLunknown"]);
    assert!(document.contains("http-equiv=\"refresh\" content=\"10\""), "{document}");
    assert!(!text(&document).contains("Runs on hold"), "{document}");
}

#[test]
fn an_outage_of_the_database_shows_what_was_known_and_since_when_it_is_not() {
    let mut scene = scene(busy_ledger("too few were seen"));
    let read = scene.ledger.last.take().map(|(at, ledger)| (at - Duration::from_secs(3_600), ledger));
    scene.ledger = Known { last: read, gap: Some(gap("connection refused")) };
    scene.live.waits =
        vec![LiveWait { cause: "database", what: "the database does not answer", seconds: 130, limit: None }];
    let expected = [
        "UNKNOWN - the tables are unknown: connection refused (since 2024-10-03 23:57:55 UTC)",
        "The tables were last read 1 h ago, at 2024-10-03 23:00:00 UTC:",
        // An hour older than when it was read.
        "last accepted full crawl ended 3 h ago (run 5)",
        "Run 6 of us",
        "the database does not answer (database) for 2 min 10 s",
    ];
    assert_shows(&scene.document(), &expected);
}

#[test]
fn an_outage_of_kafka_shows_the_last_lag_and_the_own_partitions() {
    let mut scene = scene(busy_ledger("a.example"));
    let last = Lag { records: 9, seconds: Some(5), partitions: 26, ..Lag::default() };
    scene.lag = Known { gap: Some(gap("Kafka is unreachable")), ..known(last) };
    scene.live.partitions = vec![own(0, Some("kafka"), None), own(1, None, None)];
    let expected = [
        "CRITICAL - the lag is unknown: Kafka is unreachable (since 2024-10-03 23:57:55 UTC)",
        "Last known, 0 s ago: Up to 9 records unread in 0 of 26 partitions; the oldest is 5 s old.",
        "socrata.hosts[0]405 min 50 sthis consumer, waits (kafka)",
    ];
    assert_shows(&scene.document(), &expected);
}

#[test]
fn the_lag_is_shown_by_partition_in_order_and_a_stall_is_critical() {
    let mut scene = scene(busy_ledger("a.example"));
    let behind = |partition, records| PartitionLag {
        topic: "socrata.hosts".into(),
        partition,
        records,
        seconds: 1_000,
    };
    let lag = Lag {
        records: 1_203,
        seconds: Some(1_000),
        oldest_in: Some("socrata.hosts[10]".into()),
        behind: vec![behind(10, 3), behind(2, 1_200)],
        partitions: 26,
    };
    scene.lag = known(lag);
    scene.live.partitions = vec![own(2, None, None), own(3, None, Some(50)), own(4, None, None)];
    let summary = "socrata.hosts[3] has had no progress for 50 s, although there are records to apply";
    scene.live.health = Health { is_ok: false, summary: summary.to_owned(), body: Value::Null };
    let expected = [
        "CRITICAL - this consumer makes no progress: socrata.hosts[3] has had no progress for 50 s",
        "Up to 1,203 records unread in 2 of 26 partitions; the oldest is 16 min old.",
        "socrata.hosts[2]1,20016 minthis consumer\
         socrata.hosts[3]this consumer, no progress for 50 s\
         socrata.hosts[10]316 minanother consumer, or none",
    ];
    let document = scene.document();
    assert_shows(&document, &expected);
    assert!(!text(&document).contains("socrata.hosts[4]"), "{document}");
}

#[test]
fn each_state_of_a_run_has_a_shape_and_a_name() {
    let mut ledger = busy_ledger("a.example");
    let states =
        ["open", "balanced", "held", "released", "rejected", "superseded", "ended", "abandoned", "new"];
    ledger.runs = states.iter().zip(1..).map(|(state, number)| run(number, state, i64::MAX)).collect();
    let document = scene(ledger).document();
    for class in ["open", "accepted", "held", "declined", "superseded", "ended"] {
        assert!(document.contains(&format!("<g class=\"{class}\"")), "{class}: {document}");
    }
    assert!(
        document
            .contains("<title>run 3 (full): on hold, 9,223,372,036,854,775,807 records, 12 retired</title>")
    );
    assert_shows(
        &document,
        &["not ended", "accepted", "on hold", "approved", "declined", "abandoned", "new"],
    );
}

#[test]
fn a_run_ends_with_its_last_record() {
    let mut ledger = busy_ledger("a.example");
    ledger.runs = vec![run(7, "open", 0), run(6, "held", 9_000)];
    let text = text(&scene(ledger).document());
    assert!(text.contains("Latest: run 7 (full): not ended, 12 retiredLatest runs as a table"), "{text}");
    assert_eq!(text.matches("2024-10-03 22:00:00 UTC").count(), 1, "{text}");
}

#[test]
fn a_long_list_is_cut_and_names_the_command_that_lists_all() {
    let mut ledger = busy_ledger("a.example");
    let held = |run| HeldRun { region: "us".into(), run, reason: "x".into(), age: None };
    ledger.facts.runs.held = (1..=25).map(held).collect();
    assert_shows(&scene(ledger).document(), &["And 5 more:catalog-consumer runs list"]);
}

#[test]
fn a_scale_of_ages_stays_in_its_picture() {
    use crate::commands::check::limits::{Limit, Limits};
    let limits = |warning, critical| Limits { warning: Limit(warning), critical: Limit(critical) };
    assert_eq!(chart::age(5, limits(None, None)).into_string(), "");
    assert_eq!(chart::age(5, limits(Some(0), None)).into_string(), "");
    for limits in [
        limits(Some(30), Some(54)),
        limits(Some(54), Some(30)),
        limits(Some(30), None),
        limits(None, Some(1)),
    ] {
        for age in [0, 29, 54, u64::MAX] {
            let scale = chart::age(age, limits).into_string();
            let widths = scale.split("width=\"").skip(1).filter_map(|rest| rest.split('"').next());
            let sum: u64 = widths.map(|width| width.parse::<u64>().unwrap()).sum();
            assert_eq!(sum, 300, "{scale}");
        }
    }
}
