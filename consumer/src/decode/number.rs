//! The range of PostgreSQL's `numeric`, in which `jsonb` stores numbers.

/// The maximum number of digits of a `numeric` before and after the decimal point.
const BEFORE: i64 = 131_072;
const AFTER: i64 = 16_383;

/// Whether `numeric` can store a JSON number. True for text that is not a number, because the parser rejects it later.
pub(crate) fn fits_numeric(number: &str) -> bool {
    // Nearly all numbers are far within the range.
    if number.len() < 5 || (number.len() < 1000 && !number.contains(['e', 'E'])) {
        return true;
    }
    let number = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Some(exponent) = small(exponent) else { return !is_exponent(exponent) };
    let after = length(fraction) - exponent;
    let zeros = whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count();
    let is_zero = zeros == whole.len() + fraction.len();
    let before = length(whole) - i64::try_from(zeros).unwrap_or(i64::MAX) + exponent;
    after <= AFTER && (is_zero || before <= BEFORE)
}

/// The exponent, unless it is huge. PostgreSQL refuses huge exponents even for zero.
fn small(exponent: &str) -> Option<i64> {
    exponent.parse::<i32>().ok().filter(|exponent| exponent.abs() < 1_000_000_000).map(i64::from)
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 accepts or refuses them in `select '[…]'::jsonb`.
    #[test]
    fn the_range_is_that_of_postgres() {
        let nines = "9".repeat(131_072);
        let fine = format!("0.{}", "1".repeat(16_383));
        for fits in [
            "0",
            "-1.5",
            "1e131071",
            "1e-16383",
            "0.001e131074",
            "0e200000",
            "0e-16383",
            "1.5E131071",
            &nines,
            &fine,
        ] {
            assert!(fits_numeric(fits), "{fits:.20}");
        }
        let (too_many, too_fine) = (format!("{nines}9"), format!("{fine}1"));
        for refused in [
            "1e131072",
            "-1e131072",
            "10e131071",
            "1e-16384",
            "0e-200000",
            "1e99999999999",
            "0e99999999999",
            "1e+131072",
            "1e99999999999999999999",
            &too_many,
            &too_fine,
        ] {
            assert!(!fits_numeric(refused), "{refused:.20}");
        }
    }

    #[test]
    fn text_that_is_not_a_number_passes() {
        assert!(
            ["1e", "1e+", "1e5e9999999999x", "--11111", "1e--99999"].iter().all(|text| fits_numeric(text))
        );
    }
}
