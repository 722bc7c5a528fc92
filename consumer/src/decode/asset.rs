//! The canonical form of an asset. The API returns some lists in a random order each time, so their order is ignored.
//! The number of equal elements is significant.

use std::borrow::Cow;

use crate::decode::canonical::{text, write, write_list, write_object};
use crate::decode::tree::{Member, Node};

/// The prefix of the fields of `resource` that are parallel arrays, with one element per column of the table. It also
/// matches arrays that the API adds later.
pub(super) const COLUMNS: &str = "columns_";
/// The first sort key of the columns.
const FIELD_NAMES: &str = "columns_field_name";

/// The lists of `classification` whose order is ignored.
pub(super) const MULTISETS: [&str; 4] = ["categories", "tags", "domain_tags", "domain_metadata"];

/// The fields of `resource` that change on each crawl. They are stored in the stats only. If the record contained them,
/// a row that was skipped as unchanged would differ from the same row after a rebuild.
pub(super) const PAGE_VIEWS: &str = "page_views";
pub(super) const DOWNLOADS: &str = "download_count";

/// The canonical text of an asset, without its stats. `None` if it is not an object.
pub(crate) fn record(asset: &Node<'_>) -> Option<String> {
    let mut out = String::with_capacity(4096);
    write_object(&mut out, asset.members()?, |out, name, value| match (name, value.members()) {
        ("resource", Some(members)) => write_resource(out, members),
        ("classification", Some(members)) => write_classification(out, members),
        _ => write(out, value),
    });
    Some(out)
}

fn write_resource(out: &mut String, members: &[Member<'_>]) {
    let kept = || members.iter().filter(|(name, _)| ![PAGE_VIEWS, DOWNLOADS].contains(&name.as_ref()));
    let columns = Columns::of(members);
    write_object(out, kept(), |out, name, value| match columns.as_ref().and_then(|all| all.array(name)) {
        Some(array) => write_list(out, array, String::push_str),
        None => write(out, value),
    });
}

fn write_classification(out: &mut String, members: &[Member<'_>]) {
    write_object(out, members, |out, name, value| match value.elements() {
        Some(elements) if MULTISETS.contains(&name) => write_multiset(out, elements),
        _ => write(out, value),
    });
}

/// Writes a list, ordered by the bytes of the elements' canonical texts.
fn write_multiset(out: &mut String, elements: &[Node<'_>]) {
    let mut texts: Vec<Cow<'_, str>> = elements.iter().map(text).collect();
    texts.sort_unstable();
    write_list(out, texts.iter(), |out, text| out.push_str(text));
}

/// The parallel arrays, and the order in which the elements of each are written.
struct Columns<'a> {
    arrays: Vec<(&'a str, Vec<Cow<'a, str>>)>,
    order: Vec<usize>,
}

impl<'a> Columns<'a> {
    /// `None` if the lengths differ or a field is not an array. It is then unknown which elements belong together, so the
    /// order is kept. A null counts as absent.
    fn of(members: &'a [Member<'a>]) -> Option<Self> {
        let parallel = members.iter().filter(|(name, value)| name.starts_with(COLUMNS) && !value.is_null());
        let array = |(name, value): &'a Member<'a>| {
            Some((name.as_ref(), value.elements()?.iter().map(text).collect::<Vec<_>>()))
        };
        let arrays = parallel.map(array).collect::<Option<Vec<_>>>()?;
        let length = arrays.first()?.1.len();
        if arrays.iter().any(|(_, texts)| texts.len() != length) {
            return None;
        }
        let order = order(&arrays, length);
        Some(Self { arrays, order })
    }

    /// The elements of a parallel array in canonical order. None for other fields.
    fn array(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        let (_, texts) = self.arrays.iter().find(|(array, _)| *array == name)?;
        Some(self.order.iter().map(|index| texts[*index].as_ref()))
    }
}

/// The indexes of the columns, sorted by field name and then by all other arrays.
fn order(arrays: &[(&str, Vec<Cow<'_, str>>)], length: usize) -> Vec<usize> {
    let first = arrays.iter().filter(|(name, _)| *name == FIELD_NAMES);
    let by: Vec<&[Cow<'_, str>]> = first.chain(arrays).map(|(_, texts)| texts.as_slice()).collect();
    let mut order: Vec<usize> = (0..length).collect();
    order.sort_unstable_by(|a, b| by.iter().map(|texts| &texts[*a]).cmp(by.iter().map(|texts| &texts[*b])));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> String {
        record(&Node::of_json(json).unwrap()).unwrap()
    }

    fn resource(fields: &str) -> String {
        canonical(&format!(r#"{{"resource":{{{fields}}}}}"#))
    }

    #[test]
    fn columns_are_permuted_together_by_field_name_then_by_the_rest() {
        let five = r#""columns_name":["B","A2","A1"],"columns_field_name":["b","a","a"],"columns_format":[{},{"y":1,"x":2},{}]"#;
        let ordered = r#""columns_field_name":["a","a","b"],"columns_format":[{"x":2,"y":1},{},{}],"columns_name":["A2","A1","B"]"#;
        assert_eq!(resource(five), format!(r#"{{"resource":{{{ordered}}}}}"#));
        let sixth = resource(r#""columns_field_name":["b","a"],"columns_width":[1,2]"#);
        assert_eq!(sixth, r#"{"resource":{"columns_field_name":["a","b"],"columns_width":[2,1]}}"#);
    }

    #[test]
    fn columns_that_are_not_parallel_keep_their_order() {
        for odd in [
            r#""columns_field_name":["b","a"],"columns_name":["B"]"#,
            r#""columns_field_name":["b","a"],"columns_name":"B""#,
            r#""columns_field_name":["b","a"],"columns_name":{}"#,
        ] {
            assert_eq!(resource(odd), format!(r#"{{"resource":{{{odd}}}}}"#));
        }
        let null = resource(r#""columns_field_name":["b","a"],"columns_format":null"#);
        assert_eq!(null, r#"{"resource":{"columns_field_name":["a","b"],"columns_format":null}}"#);
        let unnamed = resource(r#""columns_datatype":["x","y"],"columns_name":["B","A"]"#);
        assert_eq!(unnamed, r#"{"resource":{"columns_datatype":["x","y"],"columns_name":["B","A"]}}"#);
    }

    #[test]
    fn multisets_are_ordered_by_bytes_and_other_lists_keep_their_order() {
        let lists = r#"{"classification":{"tags":["b","B","é","b"],"domain_metadata":[{"value":1,"key":"b"},{"key":"a","value":"2"}],"other":[2,1]},
            "resource":{"parent_fxf":["b","a"],"tags":["b","a"]},"tags":["b","a"]}"#;
        let ordered = r#"{"classification":{"domain_metadata":[{"key":"a","value":"2"},{"key":"b","value":1}],"other":[2,1],"tags":["B","b","b","é"]},"resource":{"parent_fxf":["b","a"],"tags":["b","a"]},"tags":["b","a"]}"#;
        assert_eq!(canonical(lists), ordered);
        let odd = r#"{"classification":{"domain_tags":"b,a","tags":null}}"#;
        assert_eq!(canonical(odd), odd);
    }

    #[test]
    fn stats_are_removed_from_the_resource_and_from_nothing_else() {
        let stats = r#"{"page_views":1,"resource":{"page_views":{},"download_count":1,"page_views":2}}"#;
        assert_eq!(canonical(stats), r#"{"page_views":1,"resource":{}}"#);
    }
}
