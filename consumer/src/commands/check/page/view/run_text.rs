//! A run in words.

use super::number;
use crate::commands::check::page::ledger::LatestRun;

/// A run in words.
pub(super) fn sentence(run: &LatestRun) -> String {
    let mut text = format!("run {}", run.run);
    if let Some(mode) = &run.mode {
        text.push_str(&format!(" ({mode})"));
    }
    text.push_str(&format!(": {}", state_text(&run.state)));
    for (figure, word) in [(run.published, "records"), (run.dead, "dead letters"), (run.retired, "retired")] {
        if let Some(figure) = figure.filter(|figure| *figure > 0) {
            text.push_str(&format!(", {} {word}", number(figure)));
        }
    }
    text
}

/// A state of the ledger in the words of the manual.
pub(super) fn state_text(state: &str) -> &str {
    match state {
        "open" => "not ended",
        "balanced" => "accepted",
        "held" => "on hold",
        "released" => "approved",
        "rejected" => "declined",
        "ended" => "ended, retires nothing",
        other => other,
    }
}
