//! How the command line differs from the run that it would resume, in the words of the command line.

use catalog_shared::cursor::Shape;
use catalog_shared::record::Kind;

/// Names each flag that differs, such as `--domain was data.a.gov and is not given now`. `since` is the flag's text,
/// because the run holds the time that it stood for.
pub(crate) fn named(run: (&Shape, Option<String>), now: (&Shape, Option<String>)) -> String {
    let (was, is) = (flags(run.0, run.1), flags(now.0, now.1));
    let differing = was.into_iter().zip(is).filter(|(was, is)| was != is);
    let named: Vec<_> = differing.map(|((flag, was), (_, is))| difference(flag, was, is)).collect();
    if named.is_empty() {
        return "another build of this program began it, which shapes runs in another way".to_owned();
    }
    named.join(", ")
}

/// The flags that shape a run, with their values as they are given; none for those that are not.
fn flags(shape: &Shape, since: Option<String>) -> [(&'static str, Option<String>); 6] {
    let domains = Some(shape.domains.join(", ")).filter(|domains| !domains.is_empty());
    [
        ("--api-url", Some(shape.api_url.clone())),
        ("--datasets", Some(shape.kinds.contains(&Kind::Datasets).to_string())),
        ("--since", since),
        ("--domain", domains),
        ("--limit", shape.limit.map(|limit| limit.to_string())),
        ("--cursor", shape.from.clone()),
    ]
}

fn difference(flag: &str, was: Option<String>, is: Option<String>) -> String {
    match (was, is) {
        (Some(was), Some(is)) => format!("{flag} was {was} and is {is} now"),
        (Some(was), None) => format!("{flag} was {was} and is not given now"),
        (None, is) => format!("{flag} was not given and is {} now", is.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::cursor::Mode;

    use super::*;

    fn full() -> Shape {
        Shape {
            mode: Mode::Full,
            kinds: Kind::ALL.to_vec(),
            api_url: "https://a.example/v1".to_owned(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        }
    }

    fn named(was: &Shape, is: &Shape) -> String {
        super::named((was, None), (is, None))
    }

    #[test]
    fn each_flag_that_differs_is_named_with_both_values() {
        let domains = Shape { domains: vec!["data.a.gov".into(), "data.b.gov".into()], ..full() };
        assert_eq!(named(&domains, &full()), "--domain was data.a.gov, data.b.gov and is not given now");
        assert_eq!(
            named(&Shape { limit: Some(5), ..full() }, &Shape { limit: Some(6), ..full() }),
            "--limit was 5 and is 6 now"
        );
        let moved = Shape { api_url: "https://b.example/v1".into(), ..full() };
        assert_eq!(
            named(&full(), &Shape { kinds: vec![Kind::Domains], ..moved }),
            "--api-url was https://a.example/v1 and is https://b.example/v1 now, --datasets was true and is \
             false now"
        );
        assert_eq!(
            named(&full(), &Shape { from: Some("ijzp-q8t2".into()), ..full() }),
            "--cursor was not given and is ijzp-q8t2 now"
        );
        assert_eq!(
            super::named((&full(), Some("auto".into())), (&full(), None)),
            "--since was auto and is not given now"
        );
    }

    #[test]
    fn a_difference_that_no_flag_makes_is_not_kept_quiet() {
        assert!(named(&Shape { mode: Mode::Part, ..full() }, &full()).contains("another build"));
    }
}
