//! The times at which an asset was created and changed.

use time::OffsetDateTime;

use crate::draw::Draw;

/// 1 February 2011, in seconds since 1970.
const FIRST: i64 = 1_296_518_400;
/// 30 June 2025, in seconds since 1970. Edits come after it.
const LAST: i64 = 1_751_241_600;
const DAY: i64 = 86_400;

/// With recent changes: the shares of assets that are created again every 30 days and that are
/// changed every 60 days. One in four of the former is a week old at most.
const NEW: (f64, u64) = (0.03, 30);
const CHANGED: (f64, u64) = (0.1, 60);

/// An asset's times, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) created: i64,
    pub(super) published: i64,
    pub(super) data: i64,
    pub(super) metadata: i64,
    pub(super) updated: i64,
}

impl Times {
    /// Draws them. `updated` is the later of the dates of data and metadata, or, with `own_update`, one
    /// between them and the end. An edit moves the metadata's date beyond all that were drawn.
    pub(super) fn drawn(draw: &mut Draw, own_update: bool, edit: Option<u32>) -> Self {
        let created = between(draw, FIRST, LAST - 30 * DAY);
        let published = between(draw, created, created + 30 * DAY);
        let data = between(draw, published, LAST);
        let metadata = match edit {
            Some(revision) => LAST + i64::from(revision) * DAY,
            None => between(draw, published, LAST),
        };
        let later = data.max(metadata);
        let updated = if own_update { later + 90 } else { later };
        let milliseconds =
            if draw.chance(0.3) { i64::try_from(draw.below(1_000)).unwrap_or_default() } else { 0 };
        let precise = |seconds: i64| seconds * 1_000 + milliseconds;
        Self {
            created: precise(created),
            published: precise(published),
            data: precise(data),
            metadata: precise(metadata),
            updated: precise(updated),
        }
    }

    /// The times of an asset of a catalog that is in use now, in seconds since 1970. Most stay as they were
    /// drawn. Others were created or changed recently, at the last of their periodic turns. So most times stay the same
    /// from one day to the next, and none is in the future.
    pub(super) fn with_recent(self, draw: &mut Draw, now: i64) -> Self {
        let (is_new, is_changed) = (draw.chance(NEW.0), draw.chance(CHANGED.0));
        if !is_new && !is_changed {
            return self;
        }
        let (_, days) = if is_new { NEW } else { CHANGED };
        let phase = i64::try_from(draw.below(days * DAY.unsigned_abs())).unwrap_or_default();
        let period = i64::try_from(days).unwrap_or_default() * DAY;
        let turn = (now - (now - phase).rem_euclid(period)) * 1_000;
        if is_new {
            return Self { created: turn, published: turn, data: turn, metadata: turn, updated: turn };
        }
        Self { data: turn, updated: turn, ..self }
    }
}

fn between(draw: &mut Draw, from: i64, to: i64) -> i64 {
    let span = u64::try_from(to - from).unwrap_or_default();
    from + i64::try_from(draw.below(span)).unwrap_or_default()
}

/// `2020-06-10T16:02:36.000Z`, the only form that the API writes.
pub(super) fn text(milliseconds: i64) -> String {
    let seconds = milliseconds.div_euclid(1_000);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    let rest = milliseconds.rem_euclid(1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}Z")
}
