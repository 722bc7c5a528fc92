//! Numbers for people, formatted equally by both programs.

/// A count with a noun: `1 page`, `2 pages`, `1,002 pages`.
#[must_use]
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A duration in its two largest units: `45 s`, `12 min`, `2 h 5 min`, `8 h`, `3 d 4 h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let (large, small) = match seconds {
        0..60 => (format!("{seconds} s"), (0, "")),
        60..600 => (format!("{minutes} min"), (seconds % 60, "s")),
        600..3600 => (format!("{minutes} min"), (0, "")),
        3600..86_400 => (format!("{hours} h"), (minutes % 60, "min")),
        _ => (format!("{days} d"), (hours % 24, "h")),
    };
    match small {
        (0, _) => large,
        (number, unit) => format!("{large} {number} {unit}"),
    }
}

/// A count with thousands separators: `185,542`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number rounded to an integer, with thousands separators.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub fn rounded(number: f64) -> String {
    count(number.round() as u64)
}

/// A number of bytes in the largest unit of 1,000: `512 B`, `3.4 MB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut amount = number as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while amount >= 1000.0 && units.len() > 0 {
        amount /= 1000.0;
        unit = units.next();
    }
    let digits = usize::from(number >= 1000);
    format!("{amount:.digits$} {}", unit.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        let spans = [0, 59, 61, 600, 3_599, 3_600, 7_500, 86_400 * 3 + 4 * 3_600].map(span);
        let expected = ["0 s", "59 s", "1 min 1 s", "10 min", "59 min", "1 h", "2 h 5 min", "3 d 4 h"];
        assert_eq!(spans, expected);
    }

    #[test]
    fn counts_have_singular_and_plural() {
        let pages = [0, 1, 2, 1_002].map(|number| counted(number, "page", "pages"));
        assert_eq!(pages, ["0 pages", "1 page", "2 pages", "1,002 pages"]);
    }

    #[test]
    fn bytes_have_one_digit_after_the_point() {
        assert_eq!(
            [0, 999, 1_000, 3_449_000, 2_500_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "3.4 MB", "2.5 GB"]
        );
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(
            [0, 999, 1_000, 185_542, 1_000_000].map(count),
            ["0", "999", "1,000", "185,542", "1,000,000"]
        );
    }
}
