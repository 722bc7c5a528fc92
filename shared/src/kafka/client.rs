//! Creates clients, and names the setting that is wrong.

use anyhow::anyhow;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::KafkaError;

use super::shown_name;
use crate::exit::Stop;

/// Creates a client.
///
/// # Errors
/// [`Stop::Usage`] for a setting that librdkafka refuses, with its name only. The message of librdkafka may quote the value,
/// which may be a secret. Also for an unknown or incomplete login. A certificate or key that can't be used is an ordinary error,
/// because it may be replaced at the moment.
pub fn create<C: ClientContext, T: FromClientConfigAndContext<C>>(
    config: &ClientConfig,
    context: C,
) -> anyhow::Result<T> {
    T::from_config_and_context(config, context).map_err(|error| {
        let fault = match &error {
            KafkaError::ClientConfig(_, reason, name, _) => Some(refused_setting(name, reason)),
            // Files and logins are only examined when a client is created.
            KafkaError::ClientCreation(reason) => unusable_login(reason),
            _ => None,
        };
        match (fault, &error) {
            (Some(fault), _) => Stop::Usage(format!("{OPTIONS}: {fault}")).into(),
            (None, KafkaError::ClientCreation(reason)) => match unusable_certificate(config, reason) {
                Some(fault) => anyhow!("{OPTIONS}: {fault}"),
                None => anyhow::Error::from(error).context("can't create a Kafka client"),
            },
            (None, _) => anyhow::Error::from(error).context("can't create a Kafka client"),
        }
    })
}

const OPTIONS: &str = "--kafka-option (KAFKA_OPTIONS)";

/// A setting that librdkafka refuses. It is built without OIDC where libcurl's headers are missing.
fn refused_setting(name: &str, reason: &str) -> String {
    let why = if reason.contains("libcurl") {
        ", because this program was built without libcurl: install libcurl4-openssl-dev and build it again \
         (docs/how-to/tls-and-sasl.md)"
    } else {
        ""
    };
    format!("librdkafka refuses the setting {:?}{why}", shown_name(name))
}

/// What is wrong with the settings of SASL, if that is why a client could not be created.
fn unusable_login(reason: &str) -> Option<String> {
    if reason.starts_with("No provider for SASL mechanism") {
        let known = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER";
        return Some(format!(
            "set sasl.mechanism to {known}; this build has no other, and librdkafka's default is GSSAPI"
        ));
    }
    // Some names are in backticks.
    let reason = reason.replace('`', "");
    reason.starts_with("sasl.").then_some(reason)
}

/// Which certificate or key can't be used, if that is why a client could not be created.
fn unusable_certificate(config: &ClientConfig, reason: &str) -> Option<String> {
    let reason = reason.replace('`', "");
    let is_file = |name: &str| name.starts_with("ssl.") || name.starts_with("https.");
    let (name, _) = reason.split_once(' ').filter(|(name, _)| is_file(name))?;
    Some(format!("{reason}{}", unusable_file(config, name).unwrap_or_default()))
}

/// Why the file of a setting can't be used. librdkafka only says that its parser failed.
fn unusable_file(config: &ClientConfig, name: &str) -> Option<String> {
    let path = config.get(name).filter(|_| name.ends_with(".location"))?;
    Some(match std::fs::read(path) {
        Err(error) => format!(" (can't read {path}: {error})"),
        Ok(_) if name == "ssl.key.location" => {
            format!(
                " ({path} must be the key of ssl.certificate.location, and ssl.key.password its password)"
            )
        }
        Ok(_) => format!(" (in {path})"),
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;
    use secrecy::SecretString;

    use super::super::{KafkaArgs, LogContext};
    use super::*;

    /// The error of a client with these options, and whether no restart can correct it.
    fn failed(options: &str) -> (String, bool) {
        let options = vec![SecretString::from(options)];
        let args = KafkaArgs { brokers: "127.0.0.1:9092".into(), options, topic_prefix: String::new() };
        let config = args.client_config(&[("group.id", "x")]).unwrap();
        let client = create::<_, BaseConsumer<LogContext>>(&config, LogContext::default());
        let error = client.err().unwrap();
        (format!("{error:?}"), matches!(error.downcast_ref(), Some(Stop::Usage(_))))
    }

    fn refused(options: &str) -> String {
        let (error, is_final) = failed(options);
        assert!(is_final, "{error}");
        error
    }

    #[test]
    fn a_refused_setting_is_named_without_its_value() {
        for option in ["sasl.pasword=hunter2", "security.protocol=hunter2"] {
            let error = refused(option);
            let name = option.split('=').next().unwrap();
            assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_login_that_this_build_lacks_is_named() {
        let kerberos = refused("security.protocol=sasl_plaintext");
        assert!(kerberos.contains("set sasl.mechanism to PLAIN"), "{kerberos}");
        let incomplete =
            refused("security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.password=hunter2");
        assert!(incomplete.contains("sasl.username") && !incomplete.contains("hunter2"), "{incomplete}");
    }

    #[test]
    fn this_build_has_oidc() {
        let next = "install libcurl4-openssl-dev, then: cargo clean -p curl-sys -p rdkafka-sys";
        let config = ClientConfig::new().create_native_config().unwrap();
        let features = config.get("builtin.features").unwrap();
        for feature in ["sasl_oauthbearer", "oidc"] {
            assert!(features.split(',').any(|built| built == feature), "{features}: {next}");
        }
    }

    #[test]
    fn a_setting_that_oidc_lacks_is_named() {
        let method = "security.protocol=sasl_ssl;sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc";
        let id =
            format!("{method};sasl.oauthbearer.token.endpoint.url=https://a;sasl.oauthbearer.client.id=me");
        let endpoint = refused(method);
        assert!(endpoint.contains(": sasl.oauthbearer.token.endpoint.url is mandatory"), "{endpoint}");
        let secret = refused(&id);
        assert!(secret.contains(": sasl.oauthbearer.client.secret is mandatory"), "{secret}");
        let (missing, is_final) =
            failed(&format!("{id};sasl.oauthbearer.client.secret=hunter2;https.ca.location=/nothing/ca.pem"));
        assert!(missing.contains("can't read /nothing/ca.pem") && !missing.contains("hunter2"), "{missing}");
        assert!(!is_final, "it may be replaced at the moment");
    }

    #[test]
    fn a_file_that_can_not_be_used_is_named() {
        let (missing, is_final) = failed("security.protocol=ssl;ssl.ca.location=/nothing/ca.pem");
        assert!(
            missing.contains("ssl.ca.location") && missing.contains("can't read /nothing/ca.pem"),
            "{missing}"
        );
        assert!(!is_final, "it may be replaced at the moment");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let (key, _) =
            failed(&format!("security.protocol=ssl;ssl.key.location={manifest};ssl.key.password=hunter2"));
        assert!(key.contains("must be the key of") && !key.contains("hunter2"), "{key}");
    }
}
