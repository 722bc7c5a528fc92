//! What `/` answers.

use std::pin::Pin;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

/// The page of a program that has no other.
pub(super) const PATHS: &str =
    "This port has /metrics, /healthz and /readyz. The status page is at / of catalog-consumer's port.\n";

/// The page at `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontPage {
    /// Plain text.
    Text(&'static str),
    /// A document of HTML without scripts. Nothing is loaded for it.
    Html {
        /// The document.
        document: String,
        /// The SHA-256 of its only style sheet, in Base64. No other style is allowed.
        style_sha256: &'static str,
    },
}

/// A page that may need some seconds, such as for a database that does not answer.
pub type PendingPage = Pin<Box<dyn Future<Output = FrontPage> + Send>>;

/// The response with the page.
pub(super) fn respond(page: FrontPage) -> Response {
    match page {
        FrontPage::Text(text) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        FrontPage::Html { document, style_sha256 } => {
            // Even if a text of the catalog got around the escaping, the browser would neither run nor load it.
            let policy = format!(
                "default-src 'none'; style-src 'sha256-{style_sha256}'; img-src data:; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'"
            );
            let headers = [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (CACHE_CONTROL, "no-store"),
                (CONTENT_SECURITY_POLICY, &policy),
                (REFERRER_POLICY, "no-referrer"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, document).into_response()
        }
    }
}
