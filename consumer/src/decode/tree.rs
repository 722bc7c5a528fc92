//! A tree of a JSON text. Its leaves are slices of the text, so it takes one pass and few allocations.

use std::borrow::Cow;

use catalog_shared::fields::Text;
use memchr::memchr2;

/// A value of a JSON text.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    /// A string, a number or a literal, as it is written.
    Scalar(&'a str),
    List(Vec<Node<'a>>),
    /// The members by name in the order of its bytes. If a name repeats in the text, the last member counts, as in `jsonb`.
    Object(Vec<Member<'a>>),
}

/// A member of an object: its decoded name and its value.
pub(crate) type Member<'a> = (Cow<'a, str>, Node<'a>);

impl<'a> Node<'a> {
    /// The tree of a text that is known to be JSON. What is invalid in another text may be noticed or not.
    pub(crate) fn of_json(text: &'a str) -> Option<Self> {
        Parser { text, at: 0 }.value()
    }

    /// The members of an object; `None` if the value is not an object.
    pub(crate) fn members(&self) -> Option<&[Member<'a>]> {
        match self {
            Self::Object(members) => Some(members),
            Self::Scalar(_) | Self::List(_) => None,
        }
    }

    /// The elements of a list; `None` if the value is not a list.
    pub(crate) fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            Self::Scalar(_) | Self::Object(_) => None,
        }
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(text) if matches!(text.as_bytes(), b"null"))
    }
}

/// A text that is parsed up to the offset `at`.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Option<Node<'a>> {
        match self.peek()? {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => self.string().map(Node::Scalar),
            _ => self.literal().map(Node::Scalar),
        }
    }

    fn object(&mut self) -> Option<Node<'a>> {
        let mut members: Vec<Member<'a>> = Vec::new();
        self.at += 1;
        while self.peek()? != b'}' {
            let name = name(self.string()?)?;
            self.peek().filter(|byte| *byte == b':')?;
            self.at += 1;
            members.push((name, self.value()?));
            self.skip_comma()?;
        }
        self.at += 1;
        // The sort is stable, so the last member of a repeated name stays last.
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|later, earlier| {
            let repeats = later.0 == earlier.0;
            if repeats {
                std::mem::swap(later, earlier);
            }
            repeats
        });
        Some(Node::Object(members))
    }

    fn list(&mut self) -> Option<Node<'a>> {
        let mut elements = Vec::new();
        self.at += 1;
        while self.peek()? != b']' {
            elements.push(self.value()?);
            self.skip_comma()?;
        }
        self.at += 1;
        Some(Node::List(elements))
    }

    fn string(&mut self) -> Option<&'a str> {
        let (bytes, begin) = (self.text.as_bytes(), self.at);
        self.at += 1;
        loop {
            self.at += memchr2(b'"', b'\\', bytes.get(self.at..)?)?;
            if bytes[self.at] == b'"' {
                self.at += 1;
                return self.text.get(begin..self.at);
            }
            self.at += 2;
        }
    }

    fn literal(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let is_end = |byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        let end = rest.bytes().position(is_end).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).filter(|literal| !literal.is_empty())
    }

    fn skip_comma(&mut self) -> Option<()> {
        if self.peek()? == b',' {
            self.at += 1;
        }
        Some(())
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }
}

fn name(string: &str) -> Option<Cow<'_, str>> {
    let inner = string.get(1..string.len() - 1)?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(string).ok().map(|Text(name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_as_written_and_members_are_ordered() {
        let text =
            " {\"b\\u0062\" : [ 1.0 ,-2e5, true,\"x\\\"]\" ] , \"a\":{ } , \"n\":null,\"a\":\"\\u0041\" } ";
        let Some(Node::Object(members)) = Node::of_json(text) else { panic!("it is an object") };
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["a", "bb", "n"]);
        assert!(matches!(members[0].1, Node::Scalar(r#""\u0041""#)) && members[2].1.is_null());
        let elements = members[1].1.elements().unwrap();
        let leaf = |node: &Node<'_>| match node {
            Node::Scalar(text) => (*text).to_owned(),
            _ => panic!("a leaf"),
        };
        assert_eq!(elements.iter().map(leaf).collect::<Vec<_>>(), ["1.0", "-2e5", "true", r#""x\"]""#]);
    }

    #[test]
    fn text_that_is_cut_off_has_no_tree() {
        let text = r#"{"a":[{"b":"c\\"},1],"d":"e"}"#;
        assert!(Node::of_json(text).is_some());
        assert!(Node::of_json("[}").is_none() && Node::of_json("").is_none());
        for end in 0..text.len() {
            assert!(Node::of_json(&text[..end]).is_none(), "{}", &text[..end]);
        }
    }
}
