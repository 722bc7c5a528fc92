//! Hashes a JSON value while it is parsed. Each value of an asset has a place, which says how it counts.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::dataset::Stats;
use crate::decode::digest::{self, Columns, List, Members, Multiset};
use crate::decode::place::{Moving, Place};
use crate::decode::sanitize::sanitize_json;

/// How many members of one object are compared with each other, in case a name repeats. Real objects have 24 at most.
const MEMBERS: usize = 64;

/// How deep the values beside the numbers of page views lie: in the asset, its resource and its page views.
const DEPTH: usize = 3;

/// What one pass over a text finds, and what it needs on the way.
#[derive(Default)]
pub(super) struct Pass<'k> {
    /// The domain and id of the key that the asset is compared with.
    key: (&'k str, &'k str),
    /// Whether the asset has that domain and that id.
    pub(super) agrees: (bool, bool),
    pub(super) stats: Stats,
    /// Whether numbers are read as they are spelled, which costs more. No name repeats in such a text.
    spelled: bool,
    /// The digests of the names of all objects that are open.
    names: Vec<u64>,
    columns: Columns,
}

/// Parses a value of a pass. It has no digest where it does not count: it changes on each crawl, or it is an array of
/// columns, which counts together with the others.
///
/// Fails at whatever needs the long way: what PostgreSQL can't store and is sanitized, names that repeat, numbers
/// whose spelling is lost in a float, and moving values that are no numbers.
pub(super) struct Value<'p, 'k> {
    pub(super) pass: &'p mut Pass<'k>,
    pub(super) place: Place,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Option<u128>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if matches!(self.place, Place::Ignored) {
            return ignore(deserializer).map(|()| None);
        }
        if !self.pass.spelled {
            return deserializer.deserialize_any(self);
        }
        // Parsed level by level, so the parser's own limit of depth is never met.
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
            return self.scalar(digest::number(text));
        }
        serde_json::Deserializer::from_str(text).deserialize_any(self).map_err(D::Error::custom)
    }
}

/// Passes over a value that is not stored. The field around it is named if something in it has to be sanitized.
fn ignore<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let text = <&RawValue>::deserialize(deserializer)?.get();
    match sanitize_json(text, DEPTH) {
        Cow::Borrowed(_) => Ok(()),
        Cow::Owned(_) => Err(D::Error::custom("it has to be sanitized")),
    }
}

impl Value<'_, '_> {
    fn scalar<E: Error>(self, digest: u128) -> Result<Option<u128>, E> {
        match self.place {
            Place::Moving(_) | Place::PageViews => return Err(E::custom("a moving value is no number")),
            Place::Column(_) => self.pass.columns.set_apart(),
            _ => {}
        }
        Ok(Some(digest))
    }

    fn text<E: Error>(self, text: &str) -> Result<Option<u128>, E> {
        match self.place {
            Place::Domain => self.pass.agrees.0 = text == self.pass.key.0,
            Place::Id => self.pass.agrees.1 = text == self.pass.key.1,
            _ => {}
        }
        self.scalar(digest::text(text))
    }

    fn integer<E: Error>(self, number: impl itoa::Integer + TryInto<i64>) -> Result<Option<u128>, E> {
        let Place::Moving(moving) = self.place else {
            return self.scalar(digest::number(itoa::Buffer::new().format(number)));
        };
        let number = number.try_into().map_err(|_| E::custom("a moving value is out of range"))?;
        *self.pass.moving(moving) = Some(number);
        Ok(None)
    }
}

impl<'k> Pass<'k> {
    /// A pass over the object of a key.
    pub(super) fn of_asset(domain: &'k str, id: &'k str) -> Self {
        Self { key: (domain, id), ..Self::default() }
    }

    /// A pass over a canonical text, which needs nothing but its digest.
    pub(super) fn of_canonical(spelled: bool) -> Self {
        Self { spelled, ..Self::default() }
    }

    const fn plain(&mut self) -> Value<'_, 'k> {
        Value { pass: self, place: Place::Plain }
    }

    const fn moving(&mut self, moving: Moving) -> &mut Option<i64> {
        match moving {
            Moving::Total => &mut self.stats.page_views_total,
            Moving::LastMonth => &mut self.stats.page_views_last_month,
            Moving::LastWeek => &mut self.stats.page_views_last_week,
            Moving::Downloads => &mut self.stats.download_count,
        }
    }

    /// Notes a name of the object whose names begin at `first`.
    fn enter<E: Error>(&mut self, first: usize, name: u64) -> Result<(), E> {
        if self.spelled {
            return Ok(());
        }
        let others = &self.names[first..];
        if others.len() >= MEMBERS || others.contains(&name) {
            return Err(E::custom("a name repeats, or there are many"));
        }
        self.names.push(name);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Option<u128>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of an asset")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.text(text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.text(without_nul(text)?)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.integer(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.integer(number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(E::custom("the spelling of a number counts"))
    }

    fn visit_bool<E: Error>(self, is_true: bool) -> Result<Self::Value, E> {
        self.scalar(digest::boolean(is_true))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        let counts = !matches!(self.place, Place::Moving(_) | Place::PageViews);
        Ok(counts.then(digest::null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        match self.place {
            Place::Column(name) => self.column(name, elements),
            Place::Multiset => self.multiset(elements),
            _ => {
                let Self { pass, place } = self;
                let digest = pass.list(elements, |_, _, _| {})?;
                Value { pass, place }.scalar(digest)
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { pass, place } = self;
        let first = pass.names.len();
        let mut members = Members::default();
        while let Some((name, place)) = map.next_key_seed(Name(place))? {
            pass.enter(first, name)?;
            if let Some(digest) = map.next_value_seed(Value { pass, place })? {
                members.add(name, digest);
            }
        }
        pass.names.truncate(first);
        match place {
            Place::PageViews => return Ok(None),
            Place::Resource => pass.columns.add_to(&mut members),
            _ => {}
        }
        Value { pass, place }.scalar(members.finish())
    }
}

impl Value<'_, '_> {
    fn multiset<'de, A: SeqAccess<'de>>(self, mut elements: A) -> Result<Option<u128>, A::Error> {
        let mut set = Multiset::default();
        while let Some(element) = elements.next_element_seed(self.pass.plain())? {
            set.add(element.unwrap_or_default());
        }
        Ok(Some(set.finish()))
    }

    fn column<'de, A: SeqAccess<'de>>(self, name: u64, elements: A) -> Result<Option<u128>, A::Error> {
        let mut count = 0;
        let list = self.pass.list(elements, |columns, place, cell| {
            columns.add(name, place, cell);
            count = place + 1;
        })?;
        self.pass.columns.end_array(name, count, list);
        Ok(None)
    }
}

impl Pass<'_> {
    /// The digest of a list, each of whose elements is shown with its place.
    fn list<'de, A: SeqAccess<'de>>(
        &mut self,
        mut elements: A,
        mut show: impl FnMut(&mut Columns, usize, u128),
    ) -> Result<u128, A::Error> {
        let (mut list, mut place) = (List::new(), 0);
        while let Some(element) = elements.next_element_seed(self.plain())? {
            let element = element.unwrap_or_default();
            list.add(element);
            show(&mut self.columns, place, element);
            place += 1;
        }
        Ok(list.finish())
    }
}

/// Reads the name of a member; returns its digest and the place of the value.
struct Name(Place);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = (u64, Place);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = (u64, Place);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        // Without an escape there is none, and then this is quick.
        let name = without_nul(name)?;
        let digest = digest::name(name);
        Ok((digest, self.0.member(name, digest)))
    }
}

fn without_nul<E: Error>(text: &str) -> Result<&str, E> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(E::custom("it has to be sanitized"));
    }
    Ok(text)
}
