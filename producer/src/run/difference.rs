//! How the flags differ from those of the run that would be resumed.

use catalog_shared::cursor::RunParameters;
use catalog_shared::record::RecordType;

/// Describes each flag that differs, such as `--domain was data.a.gov and is not set now`. `since` is the flag's text,
/// because the run's parameters contain the resolved time.
pub(crate) fn describe(
    run: (&RunParameters, Option<String>),
    now: (&RunParameters, Option<String>),
) -> String {
    let (was, is) = (flags(run.0, run.1), flags(now.0, now.1));
    let differing = was.into_iter().zip(is).filter(|(was, is)| was != is);
    let differences: Vec<_> = differing.map(|((flag, was), (_, is))| difference(flag, was, is)).collect();
    if differences.is_empty() {
        return "it was started by another build of this program, which uses other run parameters".to_owned();
    }
    differences.join(", ")
}

/// The flags that determine a run's parameters, with their values; `None` for flags that are not set.
fn flags(parameters: &RunParameters, since: Option<String>) -> [(&'static str, Option<String>); 6] {
    let domains = Some(parameters.domains.join(", ")).filter(|domains| !domains.is_empty());
    [
        ("--api-url", Some(parameters.api_url.clone())),
        ("--datasets", Some(parameters.kinds.contains(&RecordType::Datasets).to_string())),
        ("--since", since),
        ("--domain", domains),
        ("--limit", parameters.limit.map(|limit| limit.to_string())),
        ("--cursor", parameters.from.clone()),
    ]
}

fn difference(flag: &str, was: Option<String>, is: Option<String>) -> String {
    match (was, is) {
        (Some(was), Some(is)) => format!("{flag} was {was} and is {is} now"),
        (Some(was), None) => format!("{flag} was {was} and is not set now"),
        (None, is) => format!("{flag} was not set and is {} now", is.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::cursor::Mode;

    use super::*;

    fn full() -> RunParameters {
        RunParameters { api_url: "https://a.example/v1".to_owned(), ..RunParameters::full() }
    }

    fn describe(was: &RunParameters, is: &RunParameters) -> String {
        super::describe((was, None), (is, None))
    }

    #[test]
    fn each_flag_that_differs_is_described_with_both_values() {
        let domains = RunParameters { domains: vec!["data.a.gov".into(), "data.b.gov".into()], ..full() };
        assert_eq!(describe(&domains, &full()), "--domain was data.a.gov, data.b.gov and is not set now");
        assert_eq!(
            describe(
                &RunParameters { limit: Some(5), ..full() },
                &RunParameters { limit: Some(6), ..full() }
            ),
            "--limit was 5 and is 6 now"
        );
        let moved = RunParameters { api_url: "https://b.example/v1".into(), ..full() };
        assert_eq!(
            describe(&full(), &RunParameters { kinds: vec![RecordType::Domains], ..moved }),
            "--api-url was https://a.example/v1 and is https://b.example/v1 now, --datasets was true and is \
             false now"
        );
        assert_eq!(
            describe(&full(), &RunParameters { from: Some("ijzp-q8t2".into()), ..full() }),
            "--cursor was not set and is ijzp-q8t2 now"
        );
        assert_eq!(
            super::describe((&full(), Some("auto".into())), (&full(), None)),
            "--since was auto and is not set now"
        );
    }

    #[test]
    fn a_difference_in_no_flag_is_reported() {
        assert!(describe(&RunParameters { mode: Mode::Part, ..full() }, &full()).contains("another build"));
    }
}
