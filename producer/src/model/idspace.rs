//! The space of 4x4 ids, split into intervals that lanes crawl concurrently.
//!
//! An id has the form `xxxx-xxxx` over an alphabet of 32 letters, so it is a number below 2^40. The numbers are only used
//! to split evenly: bounds are ids, and ids compare as bytes, as in the API's scroll.

use catalog_shared::cursor::Interval;

const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
const LETTERS: usize = 8;
pub(crate) const SIZE: u64 = 1 << 40;

/// Splits the widest interval in half until there are at least `lanes`. Intervals that are too narrow stay as they are.
pub(crate) fn split(mut intervals: Vec<Interval>, lanes: usize) -> Vec<Interval> {
    while intervals.len() < lanes {
        let Some(widest) = (0..intervals.len()).max_by_key(|&index| width(&intervals[index])) else { break };
        let Some(middle) = middle(&intervals[widest]) else { break };
        let upper = Interval { after: middle.clone(), until: intervals[widest].until.clone() };
        intervals[widest].until = Some(middle);
        intervals.insert(widest + 1, upper);
    }
    intervals
}

/// The share of the id space that is pending, from 0 to 1.
pub(crate) fn share_open(pending: &[Interval]) -> f64 {
    pending.iter().map(width).sum::<u64>() as f64 / SIZE as f64
}

/// Whether an id has the form `xxxx-xxxx` in lower case. Newer servers accept no other bounds.
pub(crate) fn is_well_formed(id: &str) -> bool {
    let is_half = |half: &str| {
        half.len() == 4 && half.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    id.split_once('-').is_some_and(|(left, right)| is_half(left) && is_half(right))
}

fn width(interval: &Interval) -> u64 {
    bounds(interval).map_or(0, |(low, high)| high.saturating_sub(low))
}

fn bounds(interval: &Interval) -> Option<(u64, u64)> {
    let high = interval.until.as_deref().map_or(Some(SIZE), number);
    Some((number(&interval.after)?, high?))
}

/// The id in the middle, if there is one strictly between the bounds.
fn middle(interval: &Interval) -> Option<String> {
    let (low, high) = bounds(interval)?;
    let middle = id(low + high.checked_sub(low)? / 2);
    (middle > interval.after && interval.until.as_ref().is_none_or(|until| middle < *until)).then_some(middle)
}

/// The number of a well-formed id; the empty id is 0. Ids of another form have none.
pub(crate) fn number(id: &str) -> Option<u64> {
    if id.is_empty() {
        return Some(0);
    }
    let (left, right) = id.split_once('-').filter(|(left, right)| left.len() == 4 && right.len() == 4)?;
    left.bytes().chain(right.bytes()).try_fold(0, |sum, byte| {
        let digit = ALPHABET.binary_search(&byte).ok()?;
        Some(sum << 5 | digit as u64)
    })
}

/// The id of a number.
pub(crate) fn id(number: u64) -> String {
    let letter = |place: usize| char::from(ALPHABET[(number >> (5 * (LETTERS - 1 - place)) & 31) as usize]);
    let left: String = (0..4).map(letter).collect();
    let right: String = (4..LETTERS).map(letter).collect();
    format!("{left}-{right}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(after: &str, until: Option<&str>) -> Interval {
        Interval { after: after.into(), until: until.map(Into::into) }
    }

    #[test]
    fn ids_are_numbers_in_byte_order() {
        assert_eq!(number("2222-2222"), Some(0));
        assert_eq!(number("zzzz-zzzz"), Some(SIZE - 1));
        assert_eq!(number("abcd-1234"), None);
        assert_eq!(number("abcd-2345:draft"), None);
        for n in [0, 1, 31, 32, 1 << 20, SIZE - 1] {
            assert_eq!(number(&id(n)), Some(n));
        }
        assert!(ALPHABET.is_sorted());
    }

    #[test]
    fn lanes_are_even_disjoint_and_cover_the_whole_space() {
        let lanes = split(vec![Interval::whole()], 4);
        let bounds = ["", "a222-2222", "i222-2222", "s222-2222"];
        assert_eq!(lanes.iter().map(|lane| lane.after.as_str()).collect::<Vec<_>>(), bounds);
        assert!(lanes.windows(2).all(|pair| pair[0].until.as_ref() == Some(&pair[1].after)));
        assert_eq!(lanes[3].until, None);
    }

    #[test]
    fn the_widest_pending_interval_is_split_again_on_resume() {
        let rest = vec![interval("9zzz-zzz5", Some("a222-2222")), interval("r222-2222", None)];
        let lanes = split(rest, 3);
        assert_eq!(lanes.len(), 3);
        assert_eq!(lanes[0], interval("9zzz-zzz5", Some("a222-2222")));
        assert_eq!(lanes[1].until.as_ref(), Some(&lanes[2].after));
    }

    #[test]
    fn the_open_share_is_of_the_whole_space() {
        assert_eq!(share_open(&[interval("i222-2222", Some("s222-2222")), interval("s222-2222", None)]), 0.5);
        assert_eq!(share_open(&[]), 0.0);
    }

    #[test]
    fn intervals_that_are_too_narrow_or_have_no_number_are_not_split() {
        let narrow = vec![interval("2222-2222", Some("2222-2223"))];
        assert_eq!(split(narrow.clone(), 4), narrow);
        let odd = vec![interval("ABCD-1234", None)];
        assert_eq!(split(odd.clone(), 2), odd);
    }
}
