//! An identity provider for OAUTHBEARER: a token endpoint, and the keys with which brokers check its tokens.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use openssl::base64::{decode_block, encode_block};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::certificates::Certificate;

/// The only client that it knows.
pub const CLIENT: &str = "catalog";
/// The issuer and the audience in its tokens.
pub(super) const ISSUER: &str = "https://login.example";
/// See [`ISSUER`].
pub(super) const AUDIENCE: &str = "kafka.example";

/// How long it waits for a request.
const TIMEOUT: Duration = Duration::from_secs(10);
const MINUTE: i64 = 60;
const JSON: &str = "application/json";

/// A token endpoint with a key of its own. It ends when it is dropped. The path of a request decides what it answers:
/// `/token`, `/other-audience` and `/other-key` with a token, `/expired` with one that was valid, `/busy` with 503, and `/plain` with
/// a text that quotes the login. A query is ignored.
pub struct TokenEndpoint {
    address: String,
    scheme: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    key: PKey<Private>,
    other_key: PKey<Private>,
    secret: String,
    /// The bodies of the requests with the right secret.
    requests: Mutex<Vec<String>>,
    signatures: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

impl TokenEndpoint {
    /// Starts one for a client with this secret: with HTTPS if there is a certificate, otherwise with HTTP.
    ///
    /// # Errors
    /// OpenSSL's error, or the system's.
    pub fn start(secret: &str, certificate: Option<&Certificate>) -> Result<Self> {
        let acceptor = certificate.map(acceptor).transpose()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let shared = Arc::new(Shared {
            key: new_key()?,
            other_key: new_key()?,
            secret: secret.to_owned(),
            requests: Mutex::default(),
            signatures: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let endpoint =
            Self { address: listener.local_addr()?.to_string(), scheme, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
                // A client that does not trust the certificate ends the connection.
                thread::spawn(move || accept(stream, acceptor.as_ref(), &shared));
            }
        });
        Ok(endpoint)
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}/{path}", self.scheme, self.address)
    }

    /// The public key as a JSON Web Key Set (RFC 7517).
    #[must_use]
    pub fn keys(&self) -> String {
        let rsa = self.shared.key.rsa();
        let [n, e] = rsa.map_or_else(|_| [vec![], vec![]], |rsa| [rsa.n().to_vec(), rsa.e().to_vec()]);
        let key = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "test", "n": encoded(&n), "e": encoded(&e),
        });
        json!({ "keys": [key] }).to_string()
    }

    /// The bodies of the requests with the right secret.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().clone()
    }

    /// The client's id and secret in base64, as requests contain them. No program may print it.
    #[must_use]
    pub fn login(&self) -> String {
        self.shared.login()
    }

    /// The signatures of the tokens, which no program may print.
    #[must_use]
    pub fn signatures(&self) -> Vec<String> {
        self.shared.signatures.lock().clone()
    }
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(&self.address);
    }
}

fn new_key() -> Result<PKey<Private>> {
    Ok(PKey::from_rsa(Rsa::generate(2048)?)?)
}

fn acceptor(certificate: &Certificate) -> Result<SslAcceptor> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_certificate_chain_file(&certificate.certificate)?;
    builder.set_private_key_file(&certificate.key, SslFiletype::PEM)?;
    Ok(builder.build())
}

fn accept(stream: TcpStream, acceptor: Option<&SslAcceptor>, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    match acceptor {
        Some(acceptor) => {
            answer(acceptor.accept(stream).map_err(|error| anyhow::anyhow!("{error}"))?, shared)
        }
        None => answer(stream, shared),
    }
}

fn answer(stream: impl Read + Write, shared: &Shared) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let url = line.split(' ').nth(1).context("a path")?;
    let path = url.split('?').next().unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length").context("a length")?.parse()?];
    stream.read_exact(&mut body)?;
    let given =
        headers.get("authorization").and_then(|value| value.strip_prefix("Basic ")).unwrap_or_default();
    // What an endpoint answers may quote the request.
    let quoted = format!("no client {}", String::from_utf8(decode_block(given)?)?);
    let (status, kind, answer) = if path == "/plain" {
        (401, "text/plain", format!("{quoted}, Basic {given}"))
    } else if given == shared.login() {
        shared.requests.lock().push(String::from_utf8(body)?);
        let (status, answer) = shared.token(&path)?;
        (status, JSON, answer.to_string())
    } else {
        (401, JSON, json!({"error": "invalid_client", "error_description": quoted}).to_string())
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    stream.get_mut().write_all(head.as_bytes())?;
    Ok(stream.get_mut().write_all(answer.as_bytes())?)
}

impl Shared {
    fn login(&self) -> String {
        encode_block(format!("{CLIENT}:{}", self.secret).as_bytes())
    }

    fn token(&self, path: &str) -> Result<(u16, Value)> {
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_secs())?;
        let (mut audience, mut key, mut expires) = (AUDIENCE, &self.key, now + 60 * MINUTE);
        match path {
            "/token" => {}
            "/other-audience" => audience = "other.example",
            "/other-key" => key = &self.other_key,
            "/expired" => expires = now - MINUTE,
            "/busy" => return Ok((503, json!({"error": "temporarily_unavailable"}))),
            _ => return Ok((404, json!({"error": "not_found"}))),
        }
        let claims = json!({
            "iss": ISSUER, "aud": audience, "sub": CLIENT, "scope": "catalog", "iat": now - MINUTE, "exp": expires,
        });
        let token = self.sign(key, &claims)?;
        Ok((200, json!({"access_token": token, "token_type": "Bearer", "expires_in": expires - now})))
    }

    /// A JSON Web Token (RFC 7519), signed with RS256.
    fn sign(&self, key: &PKey<Private>, claims: &Value) -> Result<String> {
        let head = json!({"alg": "RS256", "typ": "JWT", "kid": "test"}).to_string();
        let text = format!("{}.{}", encoded(head.as_bytes()), encoded(claims.to_string().as_bytes()));
        let mut signer = Signer::new(MessageDigest::sha256(), key)?;
        let signature = encoded(&signer.sign_oneshot_to_vec(text.as_bytes())?);
        self.signatures.lock().push(signature.clone());
        Ok(format!("{text}.{signature}"))
    }
}

/// Base64 for URLs, without padding (RFC 4648, section 5).
fn encoded(bytes: &[u8]) -> String {
    encode_block(bytes).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}
