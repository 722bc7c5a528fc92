//! The names of members, and the texts that need no sanitizing.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};

use crate::decode::digest;
use crate::decode::role::FieldRole;

/// Reads a member name. Returns its digest and the role of the member's value.
pub(super) struct Name(pub(super) FieldRole);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = (u64, FieldRole);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = (u64, FieldRole);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    // A text without escapes can't contain NUL, because JSON forbids unescaped control characters.
    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(self.member(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.member(without_nul(name)?))
    }
}

impl Name {
    fn member(self, name: &str) -> (u64, FieldRole) {
        let digest = digest::name(name);
        (digest, self.0.member(name, digest))
    }
}

/// A text that PostgreSQL can store.
///
/// # Errors
/// If it contains NUL, so that it has to be sanitized.
pub(super) fn without_nul<E: Error>(text: &str) -> Result<&str, E> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(E::custom("it has to be sanitized"));
    }
    Ok(text)
}
