//! Label matchers of the queries in a text: of alert rules, dashboards and pages.

/// A matcher such as `cause=~"kafka|database"`, or a label of a scraped series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMatcher<'a> {
    /// The series before the braces, such as `catalog_consumer_wait_seconds`.
    pub series: &'a str,
    /// The label.
    pub label: &'a str,
    /// The value, or each alternative of a regular expression.
    pub values: Vec<&'a str>,
}

/// All label matchers of this project's series in a text.
pub fn label_matchers(text: &str) -> Vec<LabelMatcher<'_>> {
    let selectors = text.match_indices('{').filter_map(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let series = before.rsplit(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next()?;
        series.starts_with("catalog_").then_some((series, after.split('}').next()?))
    });
    let matchers = selectors.flat_map(|(series, body)| {
        body.split(',').filter_map(move |matcher| label_matcher(series, matcher.trim()))
    });
    matchers.collect()
}

fn label_matcher<'a>(series: &'a str, matcher: &'a str) -> Option<LabelMatcher<'a>> {
    let operator = matcher.find(['=', '!'])?;
    let values = matcher[operator..].trim_start_matches(['=', '!', '~']).trim_matches('"');
    Some(LabelMatcher { series, label: matcher[..operator].trim(), values: values.split('|').collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_of_this_project_are_found_with_their_values() {
        let text = "up{job=\"x\"} {{region}} max(catalog_a_seconds{job=~\"$job\", cause!~\"kafka|database\"}) catalog_b{kind=\"\"}";
        let found = label_matchers(text);
        let found: Vec<_> =
            found.iter().map(|matcher| (matcher.series, matcher.label, matcher.values.join(" "))).collect();
        assert_eq!(
            found,
            [
                ("catalog_a_seconds", "job", "$job".to_owned()),
                ("catalog_a_seconds", "cause", "kafka database".to_owned()),
                ("catalog_b", "kind", String::new()),
            ]
        );
    }
}
