//! Scanning an asset must have the same result as a full decode. The lines of the input are members of the asset's resource,
//! of its classification, of its page views and of the asset itself.

#![no_main]

use catalog_consumer::probe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(4, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (resource, classification, views, top) = (next(), next(), next(), next());
    let members = |first: &str, others: &str| {
        if others.is_empty() { first.to_owned() } else { format!("{first},{others}") }
    };
    let views = format!(r#""id":"aaaa-bbbb","page_views":{{{views}}}"#);
    let resource = members(&views, resource);
    let objects = format!(
        r#""resource":{{{resource}}},"classification":{{{classification}}},"metadata":{{"domain":"d.example"}}"#
    );
    let asset = format!("{{{}}}", members(&objects, top));
    for value in [asset.as_str(), input] {
        if let Err(difference) = probe::compare(value, "d.example", "aaaa-bbbb") {
            panic!("{value}: {difference}");
        }
    }
});
