use catalog_shared::cursor::{Mode, RunParameters};
use catalog_shared::missed::UNREAD_IDS;
use catalog_shared::record::{RecordHeaders, RecordType};
use catalog_shared::region::Region;

use super::*;
use crate::model::page::tests::page;
use crate::run::cursor_changes::add_unread_ids;
use crate::run::end_records::end_record;
use crate::run::lane_page::Covered;

/// A partial run with a limit, in two lanes.
fn limited(limit: u64) -> Run {
    let parameters = RunParameters { mode: Mode::Part, limit: Some(limit), ..RunParameters::full() };
    let partitions = RecordType::ALL.map(|kind| (kind, 2)).into();
    let mut cursor = lifecycle::new_cursor(Region::Us, parameters, 1, &partitions);
    cursor.pending = idspace::split(cursor.pending, 2);
    Run::new(Topics::new(""), cursor)
}

fn lane_page(from: &str, ids: [&str; 3]) -> LanePage {
    let covered = Covered::UpTo(ids[2].into());
    let lanes = idspace::split(vec![Interval::whole()], 2);
    let lane = lanes.into_iter().find(|lane| !lane.ends_before(from));
    LanePage {
        from: from.into(),
        until: lane.and_then(|lane| lane.until),
        covered,
        page: page(&ids),
        largest_id: Some(ids[2].into()),
        skipped: None,
    }
}

fn publish(run: &mut Run, page: LanePage) {
    let step = run.lane_pages(vec![page]).unwrap();
    run.advance(step.next);
}

#[test]
fn a_limit_truncates_the_last_page_and_leaves_nothing_pending() {
    let mut run = limited(5);
    publish(&mut run, lane_page("", ["2222-2222", "2222-2223", "2222-2224"]));
    assert_eq!((lifecycle::remaining(run.cursor()), run.cursor().pending.len()), (Some(2), 2));
    publish(&mut run, lane_page("2222-2224", ["2222-2225", "2222-2226", "2222-2227"]));
    let cursor = run.cursor();
    assert_eq!((cursor.objects, cursor.seen["a.example"]), (5, 5));
    assert_eq!(cursor.published[&RecordType::Datasets].iter().sum::<u64>(), 5);
    assert_eq!((lifecycle::remaining(run.cursor()), &cursor.pending), (Some(0), &Vec::new()));
}

#[test]
fn pages_in_one_transaction_are_published_as_in_one_each() {
    let cursor = limited(8).cursor().clone();
    // The limit is reached in the third page.
    let pages = || {
        let pages = [
            lane_page("", ["2222-2222", "2222-2223", "2222-2224"]),
            lane_page("g222-2222", ["h222-2222", "h222-2222", "h222-2223"]),
            lane_page("2222-2224", ["2222-2225", "2222-2226", "2222-2227"]),
            lane_page("h222-2223", ["h222-2224", "h222-2225", "h222-2226"]),
        ];
        pages.map(|mut page| {
            page.page.observed_at = OffsetDateTime::UNIX_EPOCH;
            page
        })
    };
    let mut one_each = Run::new(Topics::new(""), cursor.clone());
    let mut records = Vec::new();
    for page in pages().into_iter().take(3) {
        let step = one_each.lane_pages(vec![page]).unwrap();
        records.extend(step.records);
        one_each.advance(step.next);
    }
    let step = Run::new(Topics::new(""), cursor).lane_pages(pages().into()).unwrap();
    assert_eq!((&step.next, &step.pages), (one_each.cursor(), &vec![0, 1, 2]));
    let content = |record: &Outgoing| {
        let stamp = RecordHeaders::from_headers(Some(&*record.headers)).unwrap();
        format!("{:?}", (&record.topic, record.partition, &record.key, &record.value, stamp))
    };
    let contents = |records: &[Outgoing]| records.iter().map(content).collect::<Vec<_>>();
    assert_eq!(contents(&step.records), contents(&records));
}

#[test]
fn a_limit_takes_objects_with_the_same_id_together() {
    let mut run = limited(2);
    publish(&mut run, lane_page("", ["2222-2222", "2222-2223", "2222-2223"]));
    assert_eq!((run.cursor().objects, lifecycle::remaining(run.cursor())), (3, Some(0)));
    assert!(run.cursor().pending.is_empty());
}

#[test]
fn skipped_objects_are_recorded_by_id_up_to_a_maximum() {
    let mut run = limited(100);
    let page = |skipped| LanePage { skipped: Some(skipped), ..lane_page("", ["2222-2222"; 3]) };
    publish(&mut run, page(Skipped::Object("2222-2224".into())));
    publish(&mut run, page(Skipped::Range));
    // Two objects of each page repeat the one before them.
    let repeated = "2222-2222";
    assert_eq!(run.cursor().missed.unread_ids, ["2222-2224", repeated, repeated, repeated, repeated]);
    assert_eq!((run.cursor().missed.skipped, run.cursor().missed.unkeyed), (2, 4));

    let mut cursor = run.cursor().clone();
    add_unread_ids(&mut cursor, vec!["2222-2225".to_owned(); 2_000]);
    assert_eq!(cursor.missed.unread_ids.len(), UNREAD_IDS);
    cursor.missed.unkeyed = 2_000;
    let record = end_record(&cursor, OffsetDateTime::UNIX_EPOCH, 0);
    assert_eq!(record.missed.unknown(), 2_002 - 1_000);
}

#[test]
fn an_id_beyond_the_interval_counts_for_the_largest_id() {
    let mut run = limited(100);
    let page = lane_page("", ["2222-2222", "2222-2223", "2222-2224"]);
    publish(&mut run, LanePage { largest_id: Some("zzzz-zzzz".into()), ..page });
    assert_eq!(run.cursor().max_id.as_deref(), Some("zzzz-zzzz"));
}

#[test]
fn a_listed_page_counts_and_covers_no_interval() {
    let mut run = limited(100);
    let pending = run.cursor().pending.clone();
    let next = run.listed_page(&page(&["z222-2222", "2222-2223", "2222-2224"])).unwrap().next;
    assert_eq!((next.objects, next.next_page, &next.max_id), (3, 1, &None));
    assert_eq!(next.pending, pending);
}
