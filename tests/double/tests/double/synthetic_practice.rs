//! The synthetic catalog has tags like a real one, and on request recent dates.

use discovery_double::synthetic::Synthetic;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

const ASSETS: u64 = 5_000;

fn all(catalog: &Synthetic) -> Vec<Value> {
    catalog.objects().map(|object| serde_json::from_slice(&object).expect("JSON")).collect()
}

fn share(objects: &[Value], of: impl Fn(&Value) -> bool) -> f64 {
    let count = u32::try_from(objects.iter().filter(|object| of(object)).count()).expect("few");
    f64::from(count) / f64::from(u32::try_from(objects.len()).expect("few"))
}

#[test]
fn tags_are_the_domains_as_in_a_real_catalog() {
    let objects = all(&Synthetic::new(ASSETS, 40));
    let set = |name: &'static str| {
        share(&objects, |object| {
            object["classification"][name].as_array().is_some_and(|list| !list.is_empty())
        })
    };
    let (tags, domain_tags, categories) = (set("tags"), set("domain_tags"), set("categories"));
    assert!((0.000_2..0.003).contains(&tags), "{tags} have tags");
    assert!((0.7..0.95).contains(&domain_tags), "{domain_tags} have domain_tags");
    assert!((0.3..0.5).contains(&categories), "{categories} have categories");
}

#[test]
fn recent_changes_end_now_and_leave_all_other_assets_alone() {
    const DAY: i64 = 86_400;
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a time");
    let later = now + Duration::days(1);
    let at = |now| all(&Synthetic::new(ASSETS, 40).with_recent_changes(now));
    let (still, today, tomorrow) = (all(&Synthetic::new(ASSETS, 40)), at(now), at(later));
    let age = |object: &Value, field: &str| {
        let time = object["resource"][field].as_str().expect("a time");
        now.unix_timestamp() - OffsetDateTime::parse(time, &Rfc3339).expect("a time").unix_timestamp()
    };
    assert!(today.iter().all(|object| age(object, "createdAt") >= 0 && age(object, "updatedAt") >= 0));
    let new = share(&today, |object| age(object, "createdAt") <= 7 * DAY);
    let changed = share(&today, |object| age(object, "updatedAt") <= 30 * DAY);
    assert!((0.003..0.012).contains(&new) && (0.05..0.11).contains(&changed), "{new} {changed}");
    let differ =
        |one: &[Value], other: &[Value]| one.iter().zip(other).filter(|(one, other)| one != other).count();
    let recent = differ(&still, &today);
    assert!((500..800).contains(&recent), "{recent} of {ASSETS} are recent");
    let (moved, most) = (differ(&today, &tomorrow), recent / 10);
    assert!(moved > 0 && moved < most, "{moved} of {recent} moved in a day");
}
