//! Marks of levels. Each has a shape and a colour of its own, and stands beside its name.

use maud::{Markup, html};

use crate::commands::check::limits::Level;

/// The class of a level in the style sheet.
pub(super) const fn class(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Unknown => "unknown",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}

/// A disc, a square, a triangle and an octagon.
const fn outline(level: Level) -> &'static str {
    match level {
        Level::Ok => "M8 0a8 8 0 1 0 0 16a8 8 0 1 0 0-16z",
        Level::Unknown => "M2 1h12l1 1v12l-1 1h-12l-1-1v-12z",
        Level::Warning => "M8 .6l7.8 14.4h-15.6z",
        Level::Critical => "M4.7 0h6.6l4.7 4.7v6.6l-4.7 4.7h-6.6l-4.7-4.7v-6.6z",
    }
}

/// What is drawn in it: a tick, a question mark, an exclamation mark and a cross.
const fn sign(level: Level) -> &'static str {
    match level {
        Level::Ok => "M4.2 8.3l2.6 2.6l5-5.4",
        Level::Unknown => "M5.6 6.2c0-3.4 4.9-3.2 4.9-.2c0 1.8-2.4 1.9-2.4 3.8M8.1 12.2v.5",
        Level::Warning => "M8 6v4M8 12.3v.4",
        Level::Critical => "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6",
    }
}

/// The mark of a level. Its name must stand beside it.
pub(super) fn mark(level: Level) -> Markup {
    html! {
        svg class={ "mark " (class(level)) } viewBox="0 0 16 16" aria-hidden="true" {
            path.shape d=(outline(level)) {}
            path.sign d=(sign(level)) {}
        }
    }
}

/// The mark for the browser's tab, as the URL of an image.
pub(super) fn icon(level: Level) -> String {
    let colour = match level {
        Level::Ok => "1a7f37",
        Level::Unknown => "68727d",
        Level::Warning => "b07a00",
        Level::Critical => "c5221f",
    };
    let (outline, sign) = (outline(level), sign(level));
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%23{colour}' \
         d='{outline}'/%3E%3Cpath fill='none' stroke='white' stroke-width='1.8' d='{sign}'/%3E%3C/svg%3E"
    )
}
