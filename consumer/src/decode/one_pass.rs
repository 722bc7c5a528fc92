//! One pass over a text.

use serde::de::DeserializeSeed;

use crate::decode::role::FieldRole;
use crate::decode::visit::{Pass, Value};

/// The digest of a text in one pass.
///
/// # Errors
/// If the text is not JSON, or one pass is not enough.
pub(super) fn digest(text: &str, pass: &mut Pass<'_>) -> serde_json::Result<u128> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let digest = Value { pass, role: FieldRole::Top }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(digest.unwrap_or_default())
}
