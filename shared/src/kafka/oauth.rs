//! Settings for OAUTHBEARER that librdkafka accepts although no login can work with them.

use rdkafka::config::ClientConfig;

const METHOD: &str = "sasl.oauthbearer.method";
const UNSIGNED: &str = "enable.sasl.oauthbearer.unsecure.jwt";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

/// What is wrong with the settings for OAUTHBEARER. librdkafka would ignore some of them, or wait for a token forever. It checks
/// itself whether client id, secret and endpoint are set.
pub(super) fn fault(config: &ClientConfig) -> Option<String> {
    let has = |name, value: &str| config.get(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    let has_mechanism = has("sasl.mechanism", "OAUTHBEARER") || has("sasl.mechanisms", "OAUTHBEARER");
    // librdkafka's spellings of true.
    let is_unsigned = ["true", "t", "1"].iter().any(|value| has(UNSIGNED, value));
    match (has_mechanism, has(METHOD, "oidc"), is_unsigned) {
        (false, true, _) => Some(format!("{METHOD}=oidc needs sasl.mechanism=OAUTHBEARER")),
        // Without SASL the mechanism has no effect.
        (true, false, false) => {
            uses_sasl(config).then(|| format!("sasl.mechanism=OAUTHBEARER needs {METHOD}=oidc"))
        }
        (true, true, true) => {
            Some(format!("{UNSIGNED}=true would replace the tokens of {METHOD}=oidc: remove it"))
        }
        (true, true, false) => oidc_fault(config),
        (true, false, true) | (false, false, _) => None,
    }
}

fn uses_sasl(config: &ClientConfig) -> bool {
    config.get("security.protocol").is_some_and(|protocol| begins_with(protocol, &["sasl_"]))
}

/// Ignores case.
fn begins_with(text: &str, starts: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    starts.iter().any(|start| text.starts_with(start))
}

fn oidc_fault(config: &ClientConfig) -> Option<String> {
    if !uses_sasl(config) {
        return Some(format!("{METHOD}=oidc needs security.protocol=sasl_ssl"));
    }
    let endpoint = config.get(ENDPOINT)?;
    // The URL is not repeated, because it may contain a password.
    if !begins_with(endpoint, &["https://", "http://"]) {
        return Some(format!("{ENDPOINT} must begin with https:// or http://"));
    }
    // librdkafka repeats the URL in errors.
    let host = endpoint.split('/').nth(2).unwrap_or_default();
    host.contains('@').then(|| {
        format!("{ENDPOINT} must not contain a user: set sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret")
    })
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use crate::exit::Stop;
    use crate::kafka::KafkaArgs;

    fn refused(options: &str) -> Option<String> {
        let (brokers, topic_prefix) = ("127.0.0.1:9092".to_owned(), String::new());
        let args = KafkaArgs { brokers, options: vec![SecretString::from(options)], topic_prefix };
        match args.client_config(&[]) {
            Ok(_) => None,
            Err(Stop::Usage(message)) => Some(message),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn settings_without_a_login_are_refused_with_the_missing_one() {
        let oidc = "security.protocol=sasl_ssl;sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc";
        for (options, named) in [
            ("sasl.oauthbearer.method=oidc".to_owned(), "needs sasl.mechanism=OAUTHBEARER"),
            (
                "sasl.mechanism=PLAIN;sasl.oauthbearer.method=OIDC".to_owned(),
                "needs sasl.mechanism=OAUTHBEARER",
            ),
            (
                "security.protocol=SASL_SSL;sasl.mechanisms=oauthbearer".to_owned(),
                "needs sasl.oauthbearer.method=oidc",
            ),
            (oidc.replace("sasl_ssl", "ssl"), "needs security.protocol=sasl_ssl"),
            (format!("{oidc};enable.sasl.oauthbearer.unsecure.jwt=true"), "remove it"),
            (format!("{oidc};enable.sasl.oauthbearer.unsecure.jwt=1"), "remove it"),
            (format!("{oidc};sasl.oauthbearer.token.endpoint.url=ftp://hunter2"), "must begin with https://"),
            (
                format!("{oidc};sasl.oauthbearer.token.endpoint.url=http://a:hunter2@b/c"),
                "must not contain a user",
            ),
        ] {
            let message = refused(&options).unwrap_or_default();
            assert!(message.contains("KAFKA_OPTIONS") && message.contains(named), "{options}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn settings_with_a_login_are_accepted() {
        let bearer = "security.protocol=SASL_PLAINTEXT;sasl.mechanisms=OAUTHBEARER";
        let endpoint = "sasl.oauthbearer.token.endpoint.url=https://login.example/token";
        for options in [
            format!("{bearer};sasl.oauthbearer.method=oidc;{endpoint}"),
            format!("{bearer};sasl.oauthbearer.method=oidc;{endpoint}?code=key"),
            format!("{bearer};enable.sasl.oauthbearer.unsecure.jwt=true"),
            format!("{bearer};enable.sasl.oauthbearer.unsecure.jwt=1"),
            format!("{bearer};enable.sasl.oauthbearer.unsecure.jwt=T"),
            "sasl.mechanism=OAUTHBEARER".to_owned(),
            "security.protocol=ssl;sasl.mechanism=OAUTHBEARER".to_owned(),
            "security.protocol=sasl_ssl;sasl.mechanism=PLAIN".to_owned(),
        ] {
            assert_eq!(refused(&options), None);
        }
    }
}
