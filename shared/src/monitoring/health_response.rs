//! The answer of `/healthz` and `/readyz`.

use serde_json::Value;

/// Whether all is well, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthResponse {
    /// Whether the status is 200 or 503.
    pub is_ok: bool,
    /// The state in one line, without secrets.
    pub summary: String,
    /// The whole answer: a JSON object.
    pub body: Value,
}
