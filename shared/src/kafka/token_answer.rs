//! The answers of a token endpoint in librdkafka's messages. They may quote the request, and so the client's secret.

use std::borrow::Cow;

use serde_json::Value;

/// How messages begin that contain the whole answer. Log messages have the name of a thread before it.
const QUOTING: [&str; 2] = ["Failed to acquire SASL OAUTHBEARER token", "Failed to retrieve OIDC token"];

/// A message with only the error code of an answer (RFC 6749, section 5.2), if it contains an answer in JSON or HTML. The HTTP status
/// at its end is kept.
pub(crate) fn without_answer(message: &str) -> Cow<'_, str> {
    let begin = QUOTING.iter().find_map(|start| message.find(start));
    let Some(at) = begin.and_then(|_| message.find(['{', '<'])) else { return Cow::Borrowed(message) };
    let (before, answer) = message.split_at(at);
    let (answer, status) = match answer.rsplit_once(" (") {
        Some((answer, status)) if is_status(status) => (answer, format!(" ({status}")),
        _ => (answer, String::new()),
    };
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let code =
        answer["error"].as_str().filter(|code| is_code(code)).unwrap_or("an answer without an error code");
    Cow::Owned(format!("{before}{code}{status}"))
}

fn is_status(text: &str) -> bool {
    text.strip_suffix(')').is_some_and(|status| status.parse::<i32>().is_ok())
}

/// Whether this looks like an error code, and not like a secret.
fn is_code(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_reduced_to_its_error_code() {
        let retrieve = "[thrd:background]: Failed to retrieve OIDC token from \"https://a/token\": ";
        for (answer, shown) in [
            (
                "{\"error\":\"invalid_client\",\"error_description\":\"no hunter2 (1)\"} (401)",
                "invalid_client (401)",
            ),
            ("{\"error\":\"Hunter2\"} (401)", "an answer without an error code (401)"),
            ("{\"error\":\"invalid_client\", cut off: hunter2", "an answer without an error code"),
            ("<html>hunter2</html> (502)", "an answer without an error code (502)"),
            ("Connection refused (-1)", "Connection refused (-1)"),
        ] {
            assert_eq!(without_answer(&format!("{retrieve}{answer}")), format!("{retrieve}{shown}"));
        }
        let acquire = "Failed to acquire SASL OAUTHBEARER token: {\"error\":\"invalid_scope\"}";
        assert_eq!(without_answer(acquire), "Failed to acquire SASL OAUTHBEARER token: invalid_scope");
    }

    #[test]
    fn other_messages_are_left_alone() {
        for message in ["SASL authentication error: {\"status\":\"invalid_token\"}", "<none>", ""] {
            assert_eq!(without_answer(message), message);
        }
    }
}
