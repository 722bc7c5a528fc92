use super::*;

const GOOD: &[u8] = br#"{"resource":{"id":"aaaa-aaab","name":"{[\"]}"},"metadata":{"domain":"a.example"}}"#;

fn cut(body: &[u8]) -> Option<Vec<&[u8]>> {
    Some(results(body)?.into_iter().map(|place| &body[place]).collect())
}

fn answer(objects: &[&[u8]]) -> Vec<u8> {
    [&b"{\"timings\": {\"ms\": NaN}, \"results\": [\n"[..], &objects.join(&b",\n"[..]), b"\n], \"n\":2} "]
        .concat()
}

#[test]
fn a_page_is_cut_whatever_one_of_its_objects_holds() {
    for odd in [
        &b"{\"a\":\"caf\xe9\"}"[..],
        b"{\"a\":\"x\x0by\"}",
        b"{\"a\":NaN,\"b\":[-Infinity, 01]}",
        b"{\"a\":1,}",
        b"NaN",
    ] {
        let body = answer(&[GOOD, odd, GOOD]);
        assert_eq!(cut(&body), Some(vec![GOOD, odd, GOOD]));
        assert!(flaw(odd).is_some() && flaw(GOOD).is_none(), "{odd:?}");
    }
}

#[test]
fn an_answer_whose_structure_does_not_stand_is_not_cut() {
    for odd in [&b"{\"a\":\"x\"y\"}"[..], b"{\"a\":[1}", b"{\"a\":1", b"]", b"}", b"{\"a\":\"\\"] {
        assert_eq!(cut(&answer(&[GOOD, odd])), None, "{odd:?}");
    }
    // Brackets match again behind the next escaped quote, and would make one object of three.
    for odd in [&b"{\"a\":\"5\" pipe\"}"[..], b"{\"a\":\"x\",\"}", b"{\"a\":x\"}", b"{\"a\" \"b\" c}"] {
        assert_eq!(cut(&answer(&[GOOD, odd, GOOD, GOOD])), None, "{odd:?}");
    }
    let twice = br#"{"results":[{}],"results":[]}"#;
    for body in [&b"<html>"[..], b"[]", br#"{"n":1}"#, br#"{"results":{}}"#, twice, b"{\"results\":[]} x"] {
        assert_eq!(cut(body), None, "{body:?}");
    }
}

#[test]
fn the_flaw_names_the_rule() {
    let told = |object: &[u8]| flaw(object).unwrap_or_default();
    assert!(told(b"{\"a\":\"caf\xe9\"}").contains("0xE9 is not UTF-8 (RFC 8259, section 8.1)"));
    assert!(told(b"{\"a\":\"\x0b\"}").contains("control character U+000B in a string"));
    assert!(told(b"{\"a\":-Infinity}").contains("-Infinity is not a value"));
    assert!(told(b"{\"a\":1,}").contains(" at line 1 column 8 (RFC 8259)"));
}

#[test]
fn id_and_domain_are_read_past_what_is_no_json() {
    let object =
        b"{\"n\":[NaN,{\"id\":\"no\"}],\"resource\":{\"name\":\"caf\xe9\",\"x\":1 2,\"id\":\"aaaa-aaab\",\"y\":{}},\
          \"metadata\":{\"domain\":\"a.example\",},\"permalink\":\"https://a.example/d/aaaa-aaab\",}";
    let texts = texts(object);
    assert_eq!((texts.id.as_deref(), texts.domain.as_deref()), (Some("aaaa-aaab"), Some("a.example")));
    assert_eq!(texts.permalink.as_deref(), Some("https://a.example/d/aaaa-aaab"));
}

#[test]
fn a_name_with_a_flaw_in_it_is_not_guessed() {
    for id in [&b"aaaa-aa\xe9b"[..], b"aaaa-\x0baaab", b"\\ud800"] {
        let object = [b"{\"resource\":{\"id\":\"", id, b"\"}}"].concat();
        assert_eq!(texts(&object).id, None, "{id:?}");
    }
}
