//! The rules by which a run is judged, once all of it has arrived. They look at figures and nothing else.

use catalog_shared::cursor::Mode;
use catalog_shared::marker::Marker;
use catalog_shared::record::Kind;
use catalog_shared::verdict::Decision;
use sqlx::FromRow;

/// From how many datasets on a domain may not lose more than half of them at once.
const LARGE_DOMAIN: i64 = 20;
/// How many partitions or domains a reason names; the others are counted.
const NAMED: usize = 5;

/// The limits beyond which a whole crawl is not believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// Which share of its region's datasets a run may retire.
    pub(crate) max_retire_share: f64,
    /// Which share of what `/domains` declares it has to have seen.
    pub(crate) min_seen_share: f64,
}

/// The sums of a run's ledger.
#[derive(Debug, Default, FromRow)]
pub(crate) struct Books {
    /// How many of its markers are in.
    pub(crate) markers: i64,
    /// What its markers say it published.
    pub(crate) published: i64,
    /// What was applied of it.
    pub(crate) applied: i64,
    /// What became dead letters.
    pub(crate) dead: i64,
    /// What became dead letters in the datasets' topic: assets that exist and would be retired.
    pub(crate) dead_datasets: i64,
    /// The partitions where what was published is not what arrived, with both figures.
    pub(crate) unbalanced: Vec<String>,
}

/// What accepting a run would do to a domain.
#[derive(Debug, FromRow)]
pub(crate) struct Loss {
    pub(crate) domain: String,
    /// Its datasets that are not retired.
    pub(crate) active: i64,
    /// Those among them that the run did not see.
    pub(crate) lost: i64,
}

/// Whether a run retires what it did not see, once it is accepted: only a whole crawl knows what is gone.
pub(crate) fn retires(marker: &Marker) -> bool {
    marker.shape.mode == Mode::Full && marker.shape.kinds.contains(&Kind::Datasets)
}

/// Judges a whole crawl of datasets: it is balanced unless there is a reason to hold it. All reasons are
/// told, for a person decides on them.
pub(crate) fn judge(
    marker: &Marker,
    books: &Books,
    losses: &[Loss],
    limits: Tolerance,
) -> (Decision, Option<String>) {
    let reasons = [
        unbalanced(books),
        unreadable(marker, books),
        too_many(losses, limits.max_retire_share),
        too_few(marker, limits.min_seen_share),
        halved(losses),
    ];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    if reasons.is_empty() { (Decision::Balanced, None) } else { (Decision::Held, Some(reasons.join("; "))) }
}

fn unbalanced(books: &Books) -> Option<String> {
    let places = &books.unbalanced;
    (!places.is_empty()).then(|| format!("the books don't balance in {}", list(places)))
}

/// What exists and could not be read must not be taken for gone.
fn unreadable(marker: &Marker, books: &Books) -> Option<String> {
    let missed = marker.unkeyed + marker.skipped;
    let by_producer = (missed > 0).then(|| format!("{missed} objects could not be made a record"));
    let dead = books.dead_datasets;
    let by_consumer = (dead > 0).then(|| format!("{dead} records of datasets became dead letters"));
    let both: Vec<String> = by_producer.into_iter().chain(by_consumer).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

fn too_many(losses: &[Loss], limit: f64) -> Option<String> {
    let active: i64 = losses.iter().map(|loss| loss.active).sum();
    let lost: i64 = losses.iter().map(|loss| loss.lost).sum();
    (share(lost, active) > limit).then(|| {
        format!("{lost} of {active} datasets would be retired, a share above --max-retire-share {limit}")
    })
}

fn too_few(marker: &Marker, limit: f64) -> Option<String> {
    let (seen, declared): (u64, u64) = (marker.seen.values().sum(), marker.declared.values().sum());
    // Without a declaration there is nothing to compare with.
    (declared > 0 && share(seen, declared) < limit).then(|| {
        format!(
            "it saw {seen} of the {declared} assets that /domains declared, a share under --min-seen-share {limit}"
        )
    })
}

fn halved(losses: &[Loss]) -> Option<String> {
    let halved = losses.iter().filter(|loss| loss.active >= LARGE_DOMAIN && 2 * loss.lost > loss.active);
    let told: Vec<String> =
        halved.map(|loss| format!("{} (would lose {} of {})", loss.domain, loss.lost, loss.active)).collect();
    (!told.is_empty()).then(|| format!("more than half would go from {}", list(&told)))
}

/// A part of a whole; none of nothing is nothing.
fn share(part: impl TryInto<i64>, whole: impl TryInto<i64>) -> f64 {
    let number = |count: Result<i64, _>| count.unwrap_or(i64::MAX) as f64;
    number(part.try_into().map_err(drop)) / number(whole.try_into().map_err(drop)).max(1.0)
}

fn list(items: &[String]) -> String {
    let named = items.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::Shape;
    use time::OffsetDateTime;

    use super::*;

    const LIMITS: Tolerance = Tolerance { max_retire_share: 0.2, min_seen_share: 0.95 };

    fn marker(mode: Mode, kinds: &[Kind]) -> Marker {
        let shape = Shape {
            mode,
            kinds: kinds.to_vec(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        Marker {
            run: 1,
            shape,
            previous_ended: None,
            started_at: OffsetDateTime::UNIX_EPOCH,
            ended_at: OffsetDateTime::UNIX_EPOCH,
            partitions: BTreeMap::new(),
            published: 0,
            pages: 0,
            objects: 0,
            unkeyed: 0,
            skipped: 0,
            bad_domains: 0,
            unkeyed_by: BTreeMap::new(),
            unread_ids: Vec::new(),
            declared: BTreeMap::from([("a.example".into(), 100)]),
            seen: BTreeMap::from([("a.example".into(), 95)]),
        }
    }

    fn full() -> Marker {
        marker(Mode::Full, &Kind::ALL)
    }

    fn loss(domain: &str, active: i64, lost: i64) -> Loss {
        Loss { domain: domain.into(), active, lost }
    }

    /// The reason to hold a run; none where it is balanced.
    fn held(marker: &Marker, books: &Books, losses: &[Loss]) -> Option<String> {
        let (decision, reason) = judge(marker, books, losses, LIMITS);
        assert_eq!(decision == Decision::Held, reason.is_some());
        reason
    }

    #[test]
    fn only_a_whole_crawl_of_datasets_retires() {
        assert!(retires(&full()));
        assert!(!retires(&marker(Mode::Full, &[Kind::Hosts])));
        assert!([Mode::Since, Mode::Part].iter().all(|mode| !retires(&marker(*mode, &Kind::ALL))));
    }

    #[test]
    fn figures_at_their_limits_are_balanced() {
        let losses = [loss("small.example", 19, 19), loss("large.example", 20, 10), loss("z", 106, 0)];
        assert_eq!(held(&full(), &Books::default(), &losses), None);
        assert_eq!(
            held(
                &Marker { seen: BTreeMap::new(), declared: BTreeMap::new(), ..full() },
                &Books::default(),
                &[]
            ),
            None
        );
    }

    #[test]
    fn books_that_do_not_balance_hold_a_run() {
        let unbalanced = (0..7).map(|partition| format!("socrata.datasets[{partition}]")).collect();
        let reason = held(&full(), &Books { unbalanced, ..Books::default() }, &[]).unwrap();
        assert!(reason.ends_with("socrata.datasets[4] and 2 more"), "{reason}");
    }

    #[test]
    fn what_could_not_be_read_holds_a_run() {
        let marker = Marker { unkeyed: 2, skipped: 1, ..full() };
        let books = Books { dead: 9, dead_datasets: 4, ..Books::default() };
        assert_eq!(
            held(&marker, &books, &[]).as_deref(),
            Some("3 objects could not be made a record; 4 records of datasets became dead letters")
        );
        assert_eq!(held(&full(), &Books { dead: 9, ..Books::default() }, &[]), None);
    }

    #[test]
    fn losing_too_many_datasets_holds_a_run() {
        let reason = held(&full(), &Books::default(), &[loss("a", 50, 20), loss("b", 49, 0)]).unwrap();
        assert_eq!(reason, "20 of 99 datasets would be retired, a share above --max-retire-share 0.2");
    }

    #[test]
    fn seeing_too_little_of_what_is_declared_holds_a_run() {
        let marker = Marker { seen: BTreeMap::from([("a.example".into(), 94)]), ..full() };
        let reason = held(&marker, &Books::default(), &[]).unwrap();
        assert_eq!(
            reason,
            "it saw 94 of the 100 assets that /domains declared, a share under --min-seen-share 0.95"
        );
    }

    #[test]
    fn a_large_domain_that_loses_over_half_holds_a_run() {
        let losses = [loss("a.example", 20, 11), loss("b.example", 1000, 0)];
        let reason = held(&full(), &Books::default(), &losses).unwrap();
        assert_eq!(reason, "more than half would go from a.example (would lose 11 of 20)");
    }
}
