//! The answers and the URL of a token endpoint in librdkafka's messages. The answer may quote the request, and so the client's secret.

use std::borrow::Cow;

use serde_json::Value;

/// How librdkafka's error begins if it has no token. It contains an answer, or librdkafka's or libcurl's error, without a status.
pub(crate) const MISSING: &str = "Failed to acquire SASL OAUTHBEARER token: ";
/// How its log message begins, after the name of a thread, if the token endpoint has sent none. The URL, its closing quote, the same
/// text and the status follow. The status is -1 without an answer, and missing if the answer is longer than a log message can be.
pub(crate) const NOT_SENT: &str = "Failed to retrieve OIDC token from \"";
/// The same message for a token that the client requests with a JWT.
const NOT_SENT_FOR_JWT: &str = "Failed to retrieve JWT token from \"";
/// The line with this setting among the debug lines.
const SETTING: &str = "sasl.oauthbearer.token.endpoint.url = ";

/// How librdkafka's own errors begin (rdhttp.c, rdkafka_sasl_oauthbearer.c, rdkafka_sasl_oauthbearer_oidc.c). None quotes an answer.
const OWN: [&str; 13] = [
    "Response is not JSON encoded",
    "Failed to parse JSON",
    "Server did not provide an error string",
    "Expected JSON",
    "Expected token as a string value",
    "Failed to decode JWT payload",
    "Must supply an unexpired token",
    "Incorrect extension size",
    "Cannot explicitly set the reserved",
    "SASL/OAUTHBEARER ",
    "Failed to create JWT assertion",
    "Failed to build JWT request body",
    "Terminating",
];
/// How common errors of libcurl begin. Others are in the log message, where the status identifies them.
const CURL: [&str; 14] = [
    "Could not resolve",
    "Couldn't connect",
    "Failed to connect",
    "Connection ",
    "Operation timed out",
    "Resolving timed out",
    "Empty reply from server",
    "Recv failure",
    "Send failure",
    "SSL ",
    "SSL: ",
    "OpenSSL",
    "TLS connect error",
    "error setting certificate",
];

/// A message without what may be a secret: of an answer, only the error code (RFC 6749, section 5.2) and the HTTP status are kept,
/// and of the endpoint's URL the part before its query.
pub(crate) fn without_secrets(message: &str) -> Cow<'_, str> {
    if let Some((before, text)) = split_after(message, MISSING) {
        let is_kept = begins_with(text, &OWN) || begins_with(text, &CURL);
        return if is_kept { Cow::Borrowed(message) } else { Cow::Owned(format!("{before}{}", code(text))) };
    }
    if let Some((before, rest)) =
        [NOT_SENT, NOT_SENT_FOR_JWT].iter().find_map(|start| split_after(message, start))
    {
        let (url, text) = rest.split_once("\": ").unwrap_or((rest, ""));
        return Cow::Owned(format!("{before}{}\": {}", without_query(url), without_answer(text)));
    }
    match split_after(message, SETTING) {
        Some((before, url)) => Cow::Owned(format!("{before}{}", without_query(url))),
        None => Cow::Borrowed(message),
    }
}

/// Splits a message behind the first occurrence of a text.
fn split_after<'a>(message: &'a str, text: &str) -> Option<(&'a str, &'a str)> {
    Some(message.split_at(message.find(text)? + text.len()))
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// The text of a log message and its status.
fn without_answer(text: &str) -> Cow<'_, str> {
    let status = text.rsplit_once(" (").and_then(|(answer, end)| {
        let status: i32 = end.strip_suffix(')')?.parse().ok()?;
        Some((answer, status))
    });
    match status {
        // There was no answer, so this is libcurl's error.
        Some((_, -1)) => Cow::Borrowed(text),
        Some((answer, _)) if begins_with(answer, &OWN) => Cow::Borrowed(text),
        Some((answer, status)) => Cow::Owned(format!("{} ({status})", code(answer))),
        None => Cow::Owned(code(text)),
    }
}

/// The error code of an answer.
fn code(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let code = answer["error"].as_str().filter(|code| is_code(code));
    code.unwrap_or("not shown, because it may contain the secret").to_owned()
}

fn begins_with(text: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| text.starts_with(start))
}

/// Whether this looks like an error code, and not like a secret.
fn is_code(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: &str = "not shown, because it may contain the secret";

    #[test]
    fn an_answer_is_reduced_to_its_error_code() {
        let retrieve = "[thrd:background]: Failed to retrieve OIDC token from \"https://a/token\": ";
        for (answer, code, status) in [
            (
                "{\"error\":\"invalid_client\",\"error_description\":\"no hunter2 (1)\"} (401)",
                "invalid_client",
                " (401)",
            ),
            ("{\"error\":\"Hunter2\"} (401)", HIDDEN, " (401)"),
            ("{\"error\":\"invalid_client\", cut off: hunter2", HIDDEN, ""),
            ("<html>hunter2</html> (502)", HIDDEN, " (502)"),
            ("no client me:hunter2 (401)", HIDDEN, " (401)"),
            ("no client\r\nme:\": hunter2 (2) (403)", HIDDEN, " (403)"),
            ("cut off: hunter2", HIDDEN, ""),
        ] {
            let shown = without_secrets(&format!("{retrieve}{answer}")).into_owned();
            assert_eq!(shown, format!("{retrieve}{code}{status}"));
        }
        for (answer, code) in
            [("{\"error\":\"invalid_scope\"}", "invalid_scope"), ("no client me:hunter2", HIDDEN)]
        {
            assert_eq!(without_secrets(&format!("{MISSING}{answer}")), format!("{MISSING}{code}"));
        }
    }

    #[test]
    fn errors_of_the_libraries_are_kept() {
        let retrieve = "[thrd:background]: Failed to retrieve OIDC token from \"https://a/token\": ";
        for error in [
            "Connection refused (-1)",
            "something new of libcurl (-1)",
            "Response is not JSON encoded: text/html (200)",
            "Failed to parse JSON response at 3/5 (200)",
            "Server did not provide an error string (503)",
        ] {
            assert_eq!(without_secrets(&format!("{retrieve}{error}")), format!("{retrieve}{error}"));
        }
        for error in [
            "Failed to connect to login.example port 443 after 0 ms: Could not connect to server",
            "SSL certificate problem: unable to get local issuer certificate",
            "Must supply an unexpired token: now=2ms, exp=1ms",
            "Expected JSON JWT response with \"sub\" field",
        ] {
            assert_eq!(without_secrets(&format!("{MISSING}{error}")), format!("{MISSING}{error}"));
        }
    }

    #[test]
    fn the_query_of_the_url_is_removed() {
        for (message, shown) in [
            (
                "Failed to retrieve OIDC token from \"https://a/token?code=hunter2\": Connection refused (-1)",
                "Failed to retrieve OIDC token from \"https://a/token\": Connection refused (-1)",
            ),
            (
                "Failed to retrieve OIDC token from \"https://a?hunter2",
                "Failed to retrieve OIDC token from \"https://a\": ",
            ),
            (
                "[thrd:app]:   sasl.oauthbearer.token.endpoint.url = https://a/token?code=hunter2",
                "[thrd:app]:   sasl.oauthbearer.token.endpoint.url = https://a/token",
            ),
        ] {
            let redacted = without_secrets(message).into_owned();
            assert!(redacted.starts_with(shown) && !redacted.contains("hunter2"), "{redacted}");
        }
    }

    #[test]
    fn other_messages_are_left_alone() {
        for message in
            ["SASL authentication error: {\"status\":\"invalid_token\"}", "<none>", "https://a?b", ""]
        {
            assert_eq!(without_secrets(message), message);
        }
    }
}
