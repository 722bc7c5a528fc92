use catalog_shared::cursor::{Mode, RunParameters};
use catalog_shared::missed::Missed;
use catalog_shared::record::RecordType;
use time::OffsetDateTime;

use super::*;
use crate::config::thresholds::LARGE_DOMAIN;

const LIMITS: RunThresholds = RunThresholds {
    max_retire_share: 0.2,
    min_seen_share: 0.95,
    confirm_after: 3,
    large_domain: LARGE_DOMAIN,
};

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(domain, count)| (domain.to_owned(), count)).collect()
}

fn full() -> EndRecord {
    let parameters = RunParameters::full();
    EndRecord {
        run: 9,
        parameters,
        previous_ended: None,
        started_at: OffsetDateTime::UNIX_EPOCH,
        ended_at: OffsetDateTime::UNIX_EPOCH,
        partitions: BTreeMap::new(),
        published: 0,
        pages: 0,
        objects: 0,
        missed: Missed::default(),
        declared: counts([("a.example", 100)]),
        seen: counts([("a.example", 95)]),
    }
}

fn scoped(domain: &str) -> EndRecord {
    let parameters = RunParameters { mode: Mode::Part, domains: vec![domain.into()], ..full().parameters };
    EndRecord { parameters, ..full() }
}

fn loss(domain: &str, active: i64, lost: i64) -> DomainLoss {
    DomainLoss { domain: domain.into(), active, lost, first_run: Some(1), ..DomainLoss::default() }
}

fn judged(end_record: &EndRecord, sums: &LedgerSums, losses: &[DomainLoss]) -> Judged {
    let (dead, streak) = (BTreeMap::new(), None);
    judge(&Evidence { end_record, sums, losses: losses.to_vec(), dead, streak, thresholds: LIMITS })
}

/// The reason to put a run on hold. `None` if it is balanced.
fn held(end_record: &EndRecord, sums: &LedgerSums, losses: &[DomainLoss]) -> Option<String> {
    let judged = judged(end_record, sums, losses);
    assert_eq!(judged.state == Judgement::Held, judged.reason.is_some());
    judged.reason
}

fn shields(judged: &Judged) -> Vec<(&str, &str)> {
    judged.shields.iter().map(|(domain, reason)| (domain.as_str(), reason.as_str())).collect()
}

#[test]
fn runs_that_cover_nothing_are_not_judged() {
    let limited = RunParameters { limit: Some(7), ..scoped("a.example").parameters };
    let without_datasets = RunParameters { kinds: vec![RecordType::Hosts], ..full().parameters };
    let since = RunParameters { mode: Mode::Since, ..full().parameters };
    for parameters in [limited, without_datasets, since] {
        let judged =
            judged(&EndRecord { parameters, ..full() }, &LedgerSums::default(), &[loss("a.example", 50, 50)]);
        assert_eq!(judged, Judged::plain(Judgement::Ended));
    }
}

#[test]
fn counts_at_the_thresholds_are_balanced() {
    let losses = [loss("small.example", 19, 19), loss("large.example", 20, 10), loss("z", 106, 0)];
    assert_eq!(judged(&full(), &LedgerSums::default(), &losses), Judged::plain(Judgement::Balanced));
    let empty = EndRecord { seen: BTreeMap::new(), declared: BTreeMap::new(), ..full() };
    assert_eq!(held(&empty, &LedgerSums::default(), &[]), None);
}

#[test]
fn counts_that_do_not_add_up_put_a_run_on_hold() {
    let unbalanced = (0..7).map(|partition| format!("socrata.datasets[{partition}]")).collect();
    let reason = held(&full(), &LedgerSums { unbalanced, ..LedgerSums::default() }, &[]).unwrap();
    assert!(reason.ends_with("socrata.datasets[4] and 2 more"), "{reason}");
}

#[test]
fn objects_of_unknown_domains_put_a_run_on_hold() {
    let end_record = EndRecord { missed: Missed { unkeyed: 2, skipped: 1, ..Missed::default() }, ..full() };
    let sums = LedgerSums { dead: 9, dead_datasets: 4, ..LedgerSums::default() };
    assert_eq!(
        held(&end_record, &sums, &[]).as_deref(),
        Some("3 objects could not be turned into records; 4 records of unknown datasets became dead letters")
    );
    assert_eq!(held(&full(), &LedgerSums { dead: 9, ..LedgerSums::default() }, &[]), None);
}

#[test]
fn a_malformed_entry_of_domains_puts_no_run_on_hold() {
    let end_record =
        EndRecord { missed: Missed { unkeyed: 1, bad_domains: 1, ..Missed::default() }, ..full() };
    assert_eq!(judged(&end_record, &LedgerSums::default(), &[]), Judged::plain(Judgement::Balanced));
}

#[test]
fn objects_whose_domain_or_id_is_known_shield_domains() {
    let missed = Missed {
        unkeyed: 3,
        unkeyed_by: counts([("A.example", 2)]),
        unread_ids: vec!["aaaa-0001".into()],
        ..Missed::default()
    };
    let end_record = EndRecord { missed, ..full() };
    let sums = LedgerSums { dead: 5, dead_datasets: 5, ..LedgerSums::default() };
    let losses = [
        loss("a.example", 9, 1),
        DomainLoss { unread: 1, ..loss("b.example", 9, 0) },
        loss("d.example", 9, 1),
    ];
    let dead = [("c.example".to_owned(), 5)].into();
    let evidence = Evidence {
        end_record: &end_record,
        sums: &sums,
        losses: losses.to_vec(),
        dead,
        streak: None,
        thresholds: LIMITS,
    };
    let judged = judge(&evidence);
    assert_eq!(judged.state, Judgement::Balanced, "{judged:?}");
    let expected = [
        ("a.example", "objects without a usable id: 2"),
        ("b.example", "datasets with the id of an unreadable object: 1"),
        ("c.example", "records that became dead letters: 5"),
    ];
    assert_eq!(shields(&judged), expected);
}

#[test]
fn losing_too_many_datasets_puts_a_run_on_hold() {
    let reason = held(&full(), &LedgerSums::default(), &[loss("a", 50, 20), loss("b", 49, 0)]).unwrap();
    assert_eq!(reason, "20 of 99 datasets would be retired, a share above --max-retire-share 0.2");
}

#[test]
fn seeing_too_few_declared_assets_puts_a_run_on_hold() {
    let end_record = EndRecord { seen: counts([("a.example", 94)]), ..full() };
    let reason = held(&end_record, &LedgerSums::default(), &[]).unwrap();
    assert_eq!(
        reason,
        "it saw 94 of the 100 assets that /domains declared, a share under --min-seen-share 0.95"
    );
}

#[test]
fn a_large_domain_that_loses_over_half_is_shielded_and_counts_in_no_share() {
    let end_record = EndRecord {
        declared: counts([("A.example", 5_000), ("b.example", 100)]),
        seen: counts([("b.example", 100)]),
        ..full()
    };
    let judged = judged(
        &end_record,
        &LedgerSums::default(),
        &[loss("a.example", 5_000, 5_000), loss("b.example", 110, 10)],
    );
    assert_eq!(judged.reason, None);
    assert_eq!(shields(&judged), [("a.example", "more than half would be retired: 5000 of 5000")]);
}

#[test]
fn a_run_over_whole_domains_is_judged_within_them() {
    let sums = LedgerSums::default();
    // The share is the region's: 9 of 19 would be too many.
    assert_eq!(held(&scoped("A.example"), &sums, &[loss("a.example", 19, 9)]), None);
    let declared = counts([("a.example", 100), ("b.example", 100)]);
    let end_record = EndRecord { declared, ..scoped("A.example") };
    assert_eq!(held(&end_record, &sums, &[]), None);
    let end_record = EndRecord { declared: counts([("a.example", 101)]), ..scoped("A.example") };
    assert!(held(&end_record, &sums, &[]).unwrap().contains("it saw 95 of the 101 assets"));
    // Problems of other domains do not shield this domain.
    let missed = Missed { unkeyed: 1, unkeyed_by: counts([("b.example", 1)]), ..Missed::default() };
    let end_record = EndRecord { missed, ..scoped("a.example") };
    assert_eq!(judged(&end_record, &sums, &[]), Judged::plain(Judgement::Balanced));
}

/// The result for a full crawl that saw 40 of 100 datasets, if two earlier crawls confirm the loss of the other 60.
/// `declared` contains the counts of `/domains` in the crawls.
fn confirming(declared: [Option<u64>; 3], first_run: i64, bad_domains: u64) -> Judged {
    let end_record = |declared: Option<u64>| EndRecord {
        missed: Missed { bad_domains, unkeyed: bad_domains, ..Missed::default() },
        declared: counts([("b.example", 50)])
            .into_iter()
            .chain(declared.map(|declared| ("A.example".to_owned(), declared)))
            .collect(),
        seen: counts([("a.example", 40), ("b.example", 50)]),
        ..full()
    };
    let [first, second, own] = declared.map(end_record);
    let streak = Some(Streak { first: 7, counts: vec![Counts::of(&first), Counts::of(&second)] });
    let losses = vec![
        DomainLoss { long_lost: 60, first_run: Some(first_run), ..loss("a.example", 100, 60) },
        loss("b.example", 50, 0),
    ];
    let sums = LedgerSums::default();
    judge(&Evidence {
        end_record: &own,
        sums: &sums,
        losses,
        dead: BTreeMap::new(),
        streak,
        thresholds: LIMITS,
    })
}

#[test]
fn a_loss_is_confirmed_by_several_full_crawls() {
    for declared in [None, Some(40), Some(42)] {
        assert_eq!(confirming([declared; 3], 1, 0), Judged::plain(Judgement::Balanced), "{declared:?}");
    }
}

#[test]
fn a_loss_of_what_any_of_them_declared_is_not_confirmed() {
    for index in 0..3 {
        let mut declared = [None; 3];
        declared[index] = Some(100);
        assert_eq!(confirming(declared, 1, 0).shields.len(), 1, "{index}");
    }
    // The entry that can't be read may be the domain's.
    assert_eq!(confirming([None; 3], 1, 1).shields.len(), 1);
    assert_eq!(confirming([Some(40); 3], 1, 1).shields.len(), 0);
}

#[test]
fn crawls_that_did_not_cover_the_domain_confirm_nothing() {
    assert_eq!(confirming([None; 3], 7, 0).shields.len(), 0);
    assert_eq!(confirming([None; 3], 8, 0).shields.len(), 1);
}

#[test]
fn what_was_seen_without_a_usable_record_is_not_confirmed_as_gone() {
    let lost = DomainLoss { long_lost: 1, first_run: Some(1), ..loss("a.example", 30, 1) };
    let (end_record, sums) =
        (EndRecord { declared: counts([("a.example", 30)]), ..full() }, LedgerSums::default());
    let confirmed = |unread: i64, dead: &[(&str, i64)]| {
        let judged = judge(&Evidence {
            end_record: &end_record,
            sums: &sums,
            losses: vec![DomainLoss { unread, ..lost.clone() }],
            dead: dead.iter().map(|(domain, count)| ((*domain).to_owned(), *count)).collect(),
            streak: Some(Streak { first: 7, counts: vec![Counts::of(&end_record)] }),
            thresholds: LIMITS,
        });
        (judged.confirmed, judged.shields.len())
    };
    // A row of a user's own constraint, or a text that is not UTF-8, may fail in every crawl.
    assert_eq!(confirmed(1, &[]), (BTreeMap::new(), 1));
    assert_eq!(confirmed(0, &[("a.example", 1)]), (BTreeMap::new(), 1));
}

#[test]
fn new_absences_are_checked_by_the_guards() {
    let streak = Some(Streak { first: 7, counts: vec![] });
    let losses = vec![DomainLoss { long_lost: 60, ..loss("a.example", 100, 81) }];
    let end_record = EndRecord { declared: counts([("b.example", 0)]), ..full() };
    let sums = LedgerSums::default();
    let judged = judge(&Evidence {
        end_record: &end_record,
        sums: &sums,
        losses,
        dead: BTreeMap::new(),
        streak,
        thresholds: LIMITS,
    });
    assert_eq!(shields(&judged), [("a.example", "more than half would be retired: 21 of 40")]);
    // Confirmed losses are retired in spite of the shield.
    assert_eq!(judged.confirmed, BTreeMap::from([("a.example".to_owned(), 7)]));
}
