//! The part of Markdown that the tests need: prose, links, anchors, code spans.

use std::collections::BTreeMap;

/// The lines outside fenced blocks, each with its number from 1.
pub fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    page.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        if is_fence {
            fenced = !fenced;
        }
        (!fenced && !is_fence).then_some((index + 1, line))
    })
}

/// The targets of links and images, each with its line.
pub fn links(page: &str) -> Vec<(usize, String)> {
    let text: Vec<(usize, &str)> = prose(page).collect();
    let targets = text.iter().flat_map(|(line, text)| {
        let parts = text.split("](").skip(1);
        parts.filter_map(|part| Some((*line, part.split(')').next()?.to_owned())))
    });
    targets.collect()
}

/// The text of code spans, each with its line.
pub fn code_spans(page: &str) -> Vec<(usize, String)> {
    let spans = |(line, text): (usize, &str)| {
        let inside = text.split('`').skip(1).step_by(2).map(str::to_owned);
        inside.map(|span| (line, span)).collect::<Vec<_>>()
    };
    prose(page).flat_map(spans).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
pub fn anchors(page: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(page).filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.strip_prefix(' ')).flatten()
    });
    let anchor = |heading: &str| {
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
    };
    let numbered = headings.map(anchor).map(|anchor| {
        let count = seen.entry(anchor.clone()).or_default();
        *count += 1;
        if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
    });
    numbered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# One `two`: three\n\nSee [a](b.md#c) and ![d](e.svg), `x` and `y z`.\n```sh\n# [no](link)\n```\n## Same\n## Same\n";

    #[test]
    fn links_and_spans_are_found_outside_blocks() {
        assert_eq!(links(PAGE), [(3, "b.md#c".to_owned()), (3, "e.svg".to_owned())]);
        let spans: Vec<String> = code_spans(PAGE).into_iter().map(|(_, span)| span).collect();
        assert_eq!(spans, ["two", "x", "y z"]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        assert_eq!(anchors(PAGE), ["one-two-three", "same", "same-1"]);
        assert_eq!(anchors("## A rebuild's `--force`, twice\n"), ["a-rebuilds---force-twice"]);
    }
}
