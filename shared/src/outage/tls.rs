//! Why TLS to a broker fails. librdkafka has one message for all invalid certificates, so the handshake is repeated here.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslRef, SslStream, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509NameRef, X509Ref};
use rdkafka::config::ClientConfig;

use super::diagnosis::Diagnosis;

/// The time for a connection, and for each message of the handshake.
const TLS_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The results of OpenSSL's verification that have a next step of their own (`openssl/x509_vfy.h`).
const NOT_YET_VALID: i32 = 9;
const EXPIRED: i32 = 10;
const WITHOUT_KNOWN_ISSUER: [i32; 5] = [2, 18, 19, 20, 21];
const OTHER_NAME: [i32; 2] = [62, 64];

/// What is wrong with the certificate of the broker at this address. `None` if nothing is, or if it can't be examined.
pub(super) fn certificate_fault(config: &ClientConfig, host: &str, port: u16) -> Option<Diagnosis> {
    let stream = handshake(host, port, |builder| trust(builder, config))?;
    fault(stream.ssl(), config, host, port)
}

/// Whether the port answers a TLS handshake.
pub(super) fn is_spoken(host: &str, port: u16) -> bool {
    handshake(host, port, |_| Some(())).is_some()
}

/// A handshake that accepts every certificate, so that an invalid one can be examined.
fn handshake(
    host: &str,
    port: u16,
    prepare: impl FnOnce(&mut SslConnectorBuilder) -> Option<()>,
) -> Option<SslStream<TcpStream>> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).ok()?;
    builder.set_verify(SslVerifyMode::NONE);
    prepare(&mut builder)?;
    let mut addresses = (host, port).to_socket_addrs().ok()?;
    let stream =
        addresses.find_map(|address| TcpStream::connect_timeout(&address, TLS_PROBE_TIMEOUT).ok())?;
    stream.set_read_timeout(Some(TLS_PROBE_TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TLS_PROBE_TIMEOUT)).ok()?;
    builder.build().connect(host, stream).ok()
}

/// Trusts the same CAs as librdkafka does with this configuration. `None` if they can't be read.
fn trust(builder: &mut SslConnectorBuilder, config: &ClientConfig) -> Option<()> {
    let location = config.get("ssl.ca.location").filter(|location| *location != "probe");
    let pem = match (config.get("ssl.ca.pem"), location) {
        (Some(pem), _) => pem.as_bytes().to_vec(),
        (None, Some(location)) if Path::new(location).is_dir() => return None,
        (None, Some(location)) => fs::read(location).ok()?,
        (None, None) => return Some(()),
    };
    trust_only(builder, &pem).ok()
}

fn trust_only(builder: &mut SslConnectorBuilder, pem: &[u8]) -> Result<(), ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for certificate in X509::stack_from_pem(pem)? {
        store.add_cert(certificate)?;
    }
    builder.set_cert_store(store.build());
    Ok(())
}

fn fault(ssl: &SslRef, config: &ClientConfig, host: &str, port: u16) -> Option<Diagnosis> {
    let certificate = ssl.peer_certificate()?;
    let which = format!("the certificate of the broker {host}:{port}");
    let result = ssl.verify_result();
    let cause = match result.as_raw() {
        0 => return None,
        EXPIRED => Diagnosis::new(
            format!("{which} has expired: it was valid until {}", certificate.not_after()),
            "renew it on the broker, or correct the clock of this host",
        ),
        NOT_YET_VALID => Diagnosis::new(
            format!("{which} is not valid before {}", certificate.not_before()),
            "correct the clock of this host, or of the one that made the certificate",
        ),
        code if OTHER_NAME.contains(&code) => Diagnosis::new(
            format!("{which} is for {}", names(&certificate)),
            format!(
                "name the broker like that in --brokers (KAFKA_BROKERS) and in its advertised.listeners, or make a certificate \
                 for {host}"
            ),
        ),
        code if WITHOUT_KNOWN_ISSUER.contains(&code) => Diagnosis::new(
            format!("{which} was signed by {}, which {}", name(certificate.issuer_name()), trusted(config)),
            "set ssl.ca.location in --kafka-option (KAFKA_OPTIONS) to the file with the certificate of that CA",
        ),
        _ => Diagnosis::new(
            format!("{which} is invalid: {}", result.error_string()),
            "replace it on the broker",
        ),
    };
    Some(cause)
}

/// Where the CA was looked for.
fn trusted(config: &ClientConfig) -> String {
    match (config.get("ssl.ca.pem"), config.get("ssl.ca.location")) {
        (Some(_), _) => "is not in ssl.ca.pem".to_owned(),
        (None, Some(location)) => format!("is not in ssl.ca.location ({location})"),
        (None, None) => "this system does not trust".to_owned(),
    }
}

/// The common name, or the first entry.
fn name(name: &X509NameRef) -> String {
    let common = name.entries_by_nid(openssl::nid::Nid::COMMONNAME).next();
    let text = common.or_else(|| name.entries().next()).and_then(|entry| entry.data().to_string().ok());
    text.unwrap_or_else(|| "an unnamed CA".to_owned())
}

/// The hosts that a certificate is for.
fn names(certificate: &X509Ref) -> String {
    let alternatives = certificate.subject_alt_names();
    let hosts: Vec<String> = alternatives
        .iter()
        .flatten()
        .filter_map(|name| name.dnsname().map(str::to_owned).or_else(|| name.ipaddress().and_then(ip)))
        .collect();
    if hosts.is_empty() { name(certificate.subject_name()) } else { hosts.join(", ") }
}

fn ip(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        4 => Some(std::net::Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
        _ => Some(std::net::Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
    }
}
