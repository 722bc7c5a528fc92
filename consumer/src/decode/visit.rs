//! Hashes a JSON value while it is parsed. The role of a value decides how it is hashed.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::digest::{self, Columns, List, Members, Multiset};
use crate::decode::role::{FieldRole, Stat};
use crate::decode::sanitize::sanitize_json;
use crate::decode::stats::Stats;

mod name;

use name::{Name, without_nul};

/// The maximum number of members of an object in one pass. Their names are compared with each other, because a name may
/// repeat. Real objects have at most 24 members.
const MEMBERS: usize = 64;

/// The number of columns that memory is reserved for. Nine of ten recorded assets have at most 25.
const COLUMNS: usize = 32;

/// The nesting depth of the values in the page views: inside the asset, its resource and the page views.
const DEPTH: usize = 3;

/// The results and the state of one pass over a text.
#[derive(Default)]
pub(super) struct Pass<'k> {
    /// The expected domain and id.
    key: (&'k str, &'k str),
    /// Whether the asset's domain and id are the expected ones.
    pub(super) matches: (bool, bool),
    pub(super) stats: Stats,
    /// Whether numbers are hashed by their original spelling, which is slower. In such a text no name repeats.
    spelled: bool,
    /// The digests of the member names of all objects that are open.
    names: Vec<u64>,
    columns: Columns,
}

/// Parses a value and returns its digest. Stats have no digest, because they are not hashed. Nor does a column array, which
/// is hashed together with the other column arrays.
///
/// Fails for everything that needs a full decode: text that must be sanitized, repeated names, numbers whose spelling
/// would be lost in a float, and stats that are not numbers.
pub(super) struct Value<'p, 'k> {
    pub(super) pass: &'p mut Pass<'k>,
    pub(super) role: FieldRole,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Option<u128>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if matches!(self.role, FieldRole::Ignored) {
            return ignore(deserializer).map(|()| None);
        }
        if !self.pass.spelled {
            return deserializer.deserialize_any(self);
        }
        // A new parser for each level, so that the parser's depth limit is never reached.
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
            return self.scalar(digest::number(text));
        }
        serde_json::Deserializer::from_str(text).deserialize_any(self).map_err(D::Error::custom)
    }
}

/// Skips a value that is not stored. Fails if it must be sanitized, because the full decode then lists the field as
/// unreadable.
fn ignore<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let text = <&RawValue>::deserialize(deserializer)?.get();
    match sanitize_json(text, DEPTH) {
        Cow::Borrowed(_) => Ok(()),
        Cow::Owned(_) => Err(D::Error::custom("it has to be sanitized")),
    }
}

impl Value<'_, '_> {
    fn scalar<E: Error>(self, digest: u128) -> Result<Option<u128>, E> {
        match self.role {
            FieldRole::Stat(_) | FieldRole::PageViews => return Err(E::custom("a stat is not a number")),
            FieldRole::Column(_) => self.pass.columns.set_uneven(),
            _ => {}
        }
        Ok(Some(digest))
    }

    fn text<E: Error>(self, text: &str) -> Result<Option<u128>, E> {
        match self.role {
            FieldRole::Domain => self.pass.matches.0 = text == self.pass.key.0,
            FieldRole::Id => self.pass.matches.1 = text == self.pass.key.1,
            _ => {}
        }
        self.scalar(digest::text(text))
    }

    fn integer<E: Error>(self, number: impl itoa::Integer + TryInto<i64>) -> Result<Option<u128>, E> {
        let FieldRole::Stat(stat) = self.role else {
            return self.scalar(digest::number(itoa::Buffer::new().format(number)));
        };
        let number = number.try_into().map_err(|_| E::custom("a stat is out of range"))?;
        *self.pass.stat(stat) = Some(number);
        Ok(None)
    }
}

impl<'k> Pass<'k> {
    /// A pass over the asset with this key.
    pub(super) fn of_asset(domain: &'k str, id: &'k str) -> Self {
        // Enough for nearly all assets, so that these lists don't grow several times in each.
        let (names, columns) = (Vec::with_capacity(MEMBERS), Columns::with_capacity(COLUMNS));
        Self { key: (domain, id), names, columns, ..Self::default() }
    }

    /// A pass over a canonical text, of which only the digest is needed.
    pub(super) fn of_canonical(spelled: bool) -> Self {
        Self { spelled, ..Self::default() }
    }

    const fn plain(&mut self) -> Value<'_, 'k> {
        Value { pass: self, role: FieldRole::Plain }
    }

    const fn stat(&mut self, stat: Stat) -> &mut Option<i64> {
        match stat {
            Stat::Total => &mut self.stats.page_views_total,
            Stat::LastMonth => &mut self.stats.page_views_last_month,
            Stat::LastWeek => &mut self.stats.page_views_last_week,
            Stat::Downloads => &mut self.stats.download_count,
        }
    }

    /// Adds a member name to the innermost open object, whose names begin at index `first`.
    fn enter<E: Error>(&mut self, first: usize, name: u64) -> Result<(), E> {
        if self.spelled {
            return Ok(());
        }
        let others = &self.names[first..];
        if others.len() >= MEMBERS || others.contains(&name) {
            return Err(E::custom("a name repeats, or there are too many"));
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
        let counts = !matches!(self.role, FieldRole::Stat(_) | FieldRole::PageViews);
        Ok(counts.then(digest::null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Self::Value, A::Error> {
        match self.role {
            FieldRole::Column(name) => self.column(name, elements),
            FieldRole::Multiset => self.multiset(elements),
            _ => {
                let Self { pass, role } = self;
                let digest = pass.list(elements, |_, _, _| {})?;
                Value { pass, role }.scalar(digest)
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { pass, role } = self;
        let first = pass.names.len();
        let mut members = Members::default();
        while let Some((name, role)) = map.next_key_seed(Name(role))? {
            pass.enter(first, name)?;
            if let Some(digest) = map.next_value_seed(Value { pass, role })? {
                members.add(name, digest);
            }
        }
        pass.names.truncate(first);
        match role {
            FieldRole::PageViews => return Ok(None),
            FieldRole::Resource => pass.columns.add_to(&mut members),
            _ => {}
        }
        Value { pass, role }.scalar(members.finish())
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
        let list = self.pass.list(elements, |columns, index, element| {
            columns.add(name, index, element);
            count = index + 1;
        })?;
        self.pass.columns.end_array(name, count, list);
        Ok(None)
    }
}

impl Pass<'_> {
    /// The digest of a list. `visit` gets the index and the digest of each element.
    fn list<'de, A: SeqAccess<'de>>(
        &mut self,
        mut elements: A,
        mut visit: impl FnMut(&mut Columns, usize, u128),
    ) -> Result<u128, A::Error> {
        let (mut list, mut index) = (List::new(), 0);
        while let Some(element) = elements.next_element_seed(self.plain())? {
            let element = element.unwrap_or_default();
            list.add(element);
            visit(&mut self.columns, index, element);
            index += 1;
        }
        Ok(list.finish())
    }
}
