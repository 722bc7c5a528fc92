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

/// A setting that librdkafka refuses. OIDC needs libcurl, which this project does not use.
fn refused_setting(name: &str, reason: &str) -> String {
    let why = if reason.contains("OIDC") {
        ", because this build has no OIDC; use another login (docs/how-to/tls-and-sasl.md)"
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
    reason.starts_with("sasl.").then(|| reason.to_owned())
}

/// Which certificate or key can't be used, if that is why a client could not be created.
fn unusable_certificate(config: &ClientConfig, reason: &str) -> Option<String> {
    let (name, _) = reason.split_once(' ').filter(|(name, _)| name.starts_with("ssl."))?;
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
        let oidc = refused("sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc");
        assert!(oidc.contains("has no OIDC") && oidc.contains("docs/how-to/tls-and-sasl.md"), "{oidc}");
        let kerberos = refused("security.protocol=sasl_plaintext");
        assert!(kerberos.contains("set sasl.mechanism to PLAIN"), "{kerberos}");
        let incomplete =
            refused("security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.password=hunter2");
        assert!(incomplete.contains("sasl.username") && !incomplete.contains("hunter2"), "{incomplete}");
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
