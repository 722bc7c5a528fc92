//! A Kafka for one test with a listener per kind of security.

use std::path::Path;

use anyhow::{Result, ensure};
use tokio::process::Command;

use super::Broker;
use super::token_endpoint::{AUDIENCE, ISSUER, TokenEndpoint};
use crate::certificates::{Authority, Validity, text};

/// The listeners besides the open one: with TLS, with client certificates, with a login over TLS and without, and with an
/// expired certificate and one for another host.
const LISTENERS: [(&str, &str); 6] = [
    ("TLS", "SSL"),
    ("MUTUAL", "SSL"),
    ("LOGIN", "SASL_SSL"),
    ("BARE_LOGIN", "SASL_PLAINTEXT"),
    ("EXPIRED", "SSL"),
    ("ELSEWHERE", "SSL"),
];
/// The class of the login, for each mechanism.
const MECHANISMS: [(&str, &str); 4] = [
    ("plain", "plain.PlainLoginModule"),
    ("scram-sha-256", "scram.ScramLoginModule"),
    ("scram-sha-512", "scram.ScramLoginModule"),
    ("oauthbearer", "oauthbearer.OAuthBearerLoginModule"),
];

impl Broker {
    /// A broker whose certificates are from `authority`, and whose user `catalog` has this password. The listener `LOGIN` has
    /// SASL with PLAIN, SCRAM and unsigned tokens.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_secure(authority: &Authority, password: &str) -> Result<Self> {
        let broker = Self::start_listening(&LISTENERS, &settings(authority, password)?).await?;
        // Kafka refuses both in one request.
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            broker.add_scram(mechanism, password).await?;
        }
        Ok(broker)
    }

    /// A broker with a certificate from `authority` and the listener `TOKENS`, which accepts the signed tokens of `endpoint`.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_with_tokens(authority: &Authority, endpoint: &TokenEndpoint) -> Result<Self> {
        let certificate = authority.issue("broker", &["127.0.0.1"], Validity::Now)?;
        let keys = authority.file().with_file_name("keys.json");
        std::fs::write(&keys, endpoint.keys())?;
        let class = "org.apache.kafka.common.security.oauthbearer";
        let settings = [
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", text(&certificate.both)?),
            "sasl.enabled.mechanisms=OAUTHBEARER".to_owned(),
            format!("sasl.oauthbearer.jwks.endpoint.url=file://{}", text(&keys)?),
            format!("sasl.oauthbearer.expected.issuer={ISSUER}"),
            format!("sasl.oauthbearer.expected.audience={AUDIENCE}"),
            format!(
                "listener.name.tokens.oauthbearer.sasl.jaas.config={class}.OAuthBearerLoginModule required;"
            ),
            format!(
                "listener.name.tokens.oauthbearer.sasl.server.callback.handler.class={class}.OAuthBearerValidatorCallbackHandler"
            ),
        ];
        Self::start_listening(&[("TOKENS", "SASL_SSL")], &settings.join("\n")).await
    }

    async fn add_scram(&self, mechanism: &str, password: &str) -> Result<()> {
        let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/stack");
        let mut command = Command::new(stack);
        command.args(["kafka", "kafka-configs", "--bootstrap-server", &self.address()?, "--alter"]);
        command.args(["--entity-type", "users", "--entity-name", "catalog", "--add-config"]);
        command.arg(format!("{mechanism}=[iterations=4096,password={password}]"));
        let ended = command.output().await?;
        ensure!(ended.status.success(), "{ended:?}");
        Ok(())
    }
}

fn settings(authority: &Authority, password: &str) -> Result<String> {
    let here = authority.issue("here", &["127.0.0.1"], Validity::Now)?;
    let expired = authority.issue("expired", &["127.0.0.1"], Validity::Past)?;
    let elsewhere = authority.issue("elsewhere", &["kafka.elsewhere.example"], Validity::Now)?;
    let mut lines = vec![
        "ssl.truststore.type=PEM".to_owned(),
        format!("ssl.truststore.location={}", text(&authority.file())?),
        "ssl.keystore.type=PEM".to_owned(),
        format!("ssl.keystore.location={}", text(&here.both)?),
        "listener.name.mutual.ssl.client.auth=required".to_owned(),
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned(),
    ];
    for (listener, certificate) in [("expired", expired), ("elsewhere", elsewhere)] {
        lines.push(format!("listener.name.{listener}.ssl.keystore.type=PEM"));
        let file = text(&certificate.both)?;
        lines.push(format!("listener.name.{listener}.ssl.keystore.location={file}"));
    }
    for listener in ["login", "bare_login"] {
        for (mechanism, class) in MECHANISMS {
            let user = match mechanism {
                "plain" => format!(" user_catalog=\"{password}\""),
                "oauthbearer" => " unsecuredLoginStringClaim_sub=\"broker\"".to_owned(),
                _ => String::new(),
            };
            lines.push(format!(
                "listener.name.{listener}.{mechanism}.sasl.jaas.config=org.apache.kafka.common.security.{class} required{user};"
            ));
        }
    }
    Ok(lines.join("\n"))
}
