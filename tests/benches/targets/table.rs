//! The table, as Markdown that can also be read in a terminal.

use std::fmt::{self, Display, Formatter};

use crate::figure::{Bound, Of, Row, Spread, Target, Unit};
use crate::report::Report;

const HEADINGS: [&str; 5] = ["what", "measured", "limit", "ratio", "target"];

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cells: Vec<[String; 5]> = self.rows.iter().map(cells).collect();
        let headings = HEADINGS.map(str::to_owned);
        let width = |column: usize| {
            let all = cells.iter().chain([&headings]).map(|row| row[column].chars().count());
            all.max().unwrap_or_default()
        };
        let widths: [usize; 5] = std::array::from_fn(width);
        let most = self.rows.iter().map(|row| row.ours.runs).max().unwrap_or_default();
        writeln!(
            f,
            "{}. Medians of up to {}, with the smallest and the largest; it took {:.0} s.\n",
            self.machine,
            runs(most),
            self.seconds
        )?;
        line(f, &headings, &widths)?;
        line(f, &widths.map(|width| "-".repeat(width)), &widths)?;
        cells.iter().try_for_each(|row| line(f, row, &widths))?;
        writeln!(f)?;
        let notes = self.rows.iter().filter_map(|row| Some((&row.what, row.note.as_ref()?)));
        notes.into_iter().try_for_each(|(what, note)| writeln!(f, "- {what}: {note}"))
    }
}

fn line(f: &mut Formatter<'_>, cells: &[String; 5], widths: &[usize; 5]) -> fmt::Result {
    for (cell, width) in cells.iter().zip(widths) {
        write!(f, "| {cell:width$} ")?;
    }
    writeln!(f, "|")
}

fn cells(row: &Row) -> [String; 5] {
    let limit = row.limit.as_ref().map(|limit| format!("{}: {}", limit.name, spread(row.unit, limit.spread)));
    let ratio = row.ratio.map(|ratio| ranged(ratio, |ratio| format!("{ratio:.2}")));
    let targets: Vec<String> = row.targets.iter().map(|target| wanted(row.unit, target)).collect();
    let met = match row.targets.iter().filter(|target| !target.met).count() {
        _ if row.targets.is_empty() => "",
        0 => ": met",
        _ => ": **missed**",
    };
    [
        row.what.clone(),
        spread(row.unit, row.ours),
        limit.unwrap_or_default(),
        ratio.unwrap_or_default(),
        format!("{}{met}", targets.join(", ")),
    ]
}

fn runs(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

fn wanted(unit: Unit, Target { of, bound, .. }: &Target) -> String {
    let (sign, value) = match *bound {
        Bound::AtLeast(least) => (">=", least),
        Bound::AtMost(most) => ("<=", most),
    };
    match of {
        Of::Ratio => format!("ratio {sign} {value:.2}"),
        Of::Ours | Of::Largest => format!("{sign} {}{}", number(unit, value), suffix(unit)),
    }
}

fn spread(unit: Unit, values: Spread) -> String {
    format!("{}{}", ranged(values, |value| number(unit, value)), suffix(unit))
}

fn ranged(values: Spread, text: impl Fn(f64) -> String) -> String {
    if values.runs == 1 {
        return text(values.median);
    }
    format!("{} ({} to {})", text(values.median), text(values.min), text(values.max))
}

const fn suffix(unit: Unit) -> &'static str {
    match unit {
        Unit::RecordsPerSecond => "/s",
        Unit::Seconds => " s",
        Unit::Milliseconds => " ms",
        Unit::Bytes => " B",
        Unit::Mebibytes => " MiB",
        Unit::Percent => " %",
        Unit::Rows => " rows",
    }
}

fn number(unit: Unit, value: f64) -> String {
    match unit {
        Unit::RecordsPerSecond | Unit::Milliseconds | Unit::Bytes | Unit::Rows => thousands(value),
        Unit::Seconds | Unit::Percent => format!("{value:.2}"),
        Unit::Mebibytes => format!("{value:.1}"),
    }
}

/// A whole number with commas between its thousands.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len() - place;
        if place > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
