//! Small pictures as inline SVG. What they show also stands in text beside them.

use catalog_shared::human::span;
use maud::{Markup, html};

use super::run_text::{sentence, state_text};
use crate::commands::check::limits::{Limit, Limits};
use crate::commands::check::page::ledger::LatestRun;

/// The width of the scale of ages.
const SCALE: u64 = 300;
/// The width of a run, and the height of the tallest one above the smallest.
const STEP: usize = 16;
const TALLEST: i64 = 34;
/// The height of the smallest bar, and where bars stand.
const SMALLEST: i64 = 6;
const GROUND: i64 = 56;

/// An age on a scale with the limits. Draws nothing if no limits are set.
pub(super) fn age(age: u64, limits: Limits) -> Markup {
    let (Limit(warning), Limit(critical)) = (limits.warning, limits.critical);
    let Some(highest) = warning.max(critical).filter(|highest| *highest > 0) else {
        return Markup::default();
    };
    let end = highest.saturating_add(highest / 3);
    let place = |seconds: u64| seconds.min(end).saturating_mul(SCALE) / end;
    let (first, second) = (warning.unwrap_or(highest).min(highest), critical.unwrap_or(end).min(end));
    let zones =
        [("ok", 0, first.min(second)), ("warning", first.min(second), second), ("critical", second, end)];
    let now = place(age);
    html! {
        svg.scale viewBox="-6 0 312 34" role="img" aria-label=(age_text(age, limits)) {
            @for (class, from, to) in zones {
                rect class=(class) x=(place(from)) y="12" width=(place(to) - place(from)) height="8" {}
            }
            path.now d={ "M" (now) " 12l-5-9h10z" } {}
            @for (limit, anchor) in [(warning, "middle"), (critical, "middle")] {
                @if let Some(limit) = limit {
                    text x=(place(limit)) y="31" text-anchor=(anchor) { (span(limit)) }
                }
            }
        }
    }
}

fn age_text(age: u64, limits: Limits) -> String {
    let mut text = format!("Age {}", span(age));
    for (Limit(limit), name) in [(limits.warning, "warning"), (limits.critical, "critical")] {
        if let Some(limit) = limit {
            text.push_str(&format!(", {name} from {} on", span(limit)));
        }
    }
    text
}

/// How a state is drawn.
fn class(state: &str) -> &'static str {
    match state {
        "balanced" | "released" => "accepted",
        "held" => "held",
        "rejected" | "abandoned" => "declined",
        "open" => "open",
        "ended" => "ended",
        _ => "superseded",
    }
}

/// The sign above a bar: two bars for a run on hold, a cross for one that was declined or discarded, a triangle for one that
/// has not ended.
fn sign(class: &str) -> &'static str {
    match class {
        "held" => "M-3 2v8M3 2v8",
        "declined" => "M-4 2l8 8M4 2l-8 8",
        "open" => "M-3 2l7 4l-7 4z",
        _ => "",
    }
}

/// The runs from left to right, oldest first, each as high as the number of its records.
pub(super) fn runs(newest_first: &[&LatestRun]) -> Markup {
    let most = newest_first.iter().filter_map(|run| run.published).max().unwrap_or_default().max(1);
    let width = newest_first.len().max(1) * STEP;
    let label =
        format!("The latest {} runs, oldest first. The table below has them in words.", newest_first.len());
    html! {
        svg.runs viewBox={ "0 0 " (width) " 60" } width=(width) role="img" aria-label=(label) {
            path.ground d={ "M0 " (GROUND) "h" (width) } {}
            @for (index, run) in newest_first.iter().rev().enumerate() {
                (bar(run, index * STEP + STEP / 2, most))
            }
        }
        (legend(newest_first))
    }
}

fn bar(run: &LatestRun, middle: usize, most: i64) -> Markup {
    let published = run.published.unwrap_or_default().clamp(0, most);
    // A run may have more records than fit times 34.
    let height =
        SMALLEST + (i128::from(published) * i128::from(TALLEST) / i128::from(most)).try_into().unwrap_or(0);
    let (class, top) = (class(&run.state), GROUND - height);
    html! {
        g class=(class) transform={ "translate(" (middle) " 0)" } {
            title { (sentence(run)) }
            (rect(class, top, height))
            path.sign d=(sign(class)) transform={ "translate(0 " (top - 14) ")" } {}
        }
    }
}

/// Runs that cover nothing are thin.
fn rect(class: &str, top: i64, height: i64) -> Markup {
    let (x, width) = if class == "ended" { (-2, 4) } else { (-5, 10) };
    html! { rect x=(x) y=(top) width=(width) height=(height) rx="1" {} }
}

/// The states that occur, each as it is drawn.
fn legend(runs: &[&LatestRun]) -> Markup {
    let mut states: Vec<&str> = Vec::new();
    for run in runs {
        if !states.contains(&run.state.as_str()) {
            states.push(&run.state);
        }
    }
    html! {
        ul.legend {
            @for state in states {
                li {
                    svg.runs viewBox="0 0 16 30" width="16" aria-hidden="true" {
                        g class=(class(state)) transform="translate(8 0)" {
                            (rect(class(state), 15, 14))
                            path.sign d=(sign(class(state))) transform="translate(0 1)" {}
                        }
                    }
                    (state_text(state))
                }
            }
        }
    }
}
