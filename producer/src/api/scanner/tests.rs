use super::*;

const GOOD: &[u8] = br#"{"resource":{"id":"aaaa-aaab","name":"{[\"]}"},"metadata":{"domain":"a.example"}}"#;

fn split(body: &[u8]) -> Option<Vec<&[u8]>> {
    Some(results(body)?.into_iter().map(|range| &body[range]).collect())
}

fn answer(objects: &[&[u8]]) -> Vec<u8> {
    [&b"{\"timings\": {\"ms\": NaN}, \"results\": [\n"[..], &objects.join(&b",\n"[..]), b"\n], \"n\":2} "]
        .concat()
}

#[test]
fn a_page_is_split_whatever_an_object_contains() {
    for invalid in [
        &b"{\"a\":\"caf\xe9\"}"[..],
        b"{\"a\":\"x\x0by\"}",
        b"{\"a\":NaN,\"b\":[-Infinity, 01]}",
        b"{\"a\":1,}",
        b"NaN",
    ] {
        let body = answer(&[GOOD, invalid, GOOD]);
        assert_eq!(split(&body), Some(vec![GOOD, invalid, GOOD]));
        assert!(flaw(invalid).is_some() && flaw(GOOD).is_none(), "{invalid:?}");
    }
}

#[test]
fn an_answer_without_matching_brackets_is_not_split() {
    for invalid in [&b"{\"a\":\"x\"y\"}"[..], b"{\"a\":[1}", b"{\"a\":1", b"]", b"}", b"{\"a\":\"\\"] {
        assert_eq!(split(&answer(&[GOOD, invalid])), None, "{invalid:?}");
    }
    // Brackets match again after the next escaped quote, and three objects would become one.
    for invalid in [&b"{\"a\":\"5\" pipe\"}"[..], b"{\"a\":\"x\",\"}", b"{\"a\":x\"}", b"{\"a\" \"b\" c}"] {
        assert_eq!(split(&answer(&[GOOD, invalid, GOOD, GOOD])), None, "{invalid:?}");
    }
    let twice = br#"{"results":[{}],"results":[]}"#;
    for body in [&b"<html>"[..], b"[]", br#"{"n":1}"#, br#"{"results":{}}"#, twice, b"{\"results\":[]} x"] {
        assert_eq!(split(body), None, "{body:?}");
    }
}

#[test]
fn a_flaw_names_the_violated_rule() {
    let message = |object: &[u8]| flaw(object).unwrap_or_default();
    assert!(message(b"{\"a\":\"caf\xe9\"}").contains("0xE9 is not UTF-8 (RFC 8259, section 8.1)"));
    assert!(message(b"{\"a\":\"\x0b\"}").contains("control character U+000B in a string"));
    assert!(message(b"{\"a\":-Infinity}").contains("-Infinity is not a value"));
    assert!(message(b"{\"a\":1,}").contains(" at line 1 column 8 (RFC 8259)"));
}

#[test]
fn id_and_domain_are_read_despite_invalid_json() {
    let object =
        b"{\"n\":[NaN,{\"id\":\"no\"}],\"resource\":{\"name\":\"caf\xe9\",\"x\":1 2,\"id\":\"aaaa-aaab\",\"y\":{}},\
          \"metadata\":{\"domain\":\"a.example\",},\"permalink\":\"https://a.example/d/aaaa-aaab\",}";
    let texts = texts(object);
    assert_eq!((texts.id.as_deref(), texts.domain.as_deref()), (Some("aaaa-aaab"), Some("a.example")));
    assert_eq!(texts.permalink.as_deref(), Some("https://a.example/d/aaaa-aaab"));
}

#[test]
fn an_invalid_string_is_not_repaired() {
    for id in [&b"aaaa-aa\xe9b"[..], b"aaaa-\x0baaab", b"\\ud800"] {
        let object = [b"{\"resource\":{\"id\":\"", id, b"\"}}"].concat();
        assert_eq!(texts(&object).id, None, "{id:?}");
    }
}
