//! The next step after an error of TLS or of a login. The server's text and OpenSSL's contain none.

use catalog_shared::tls_alert;

use super::error_text;

const PASSWORD: &str = "check user and password in DATABASE_URL";
const CLIENT_CERTIFICATE: &str =
    "set sslcert and sslkey in DATABASE_URL to a certificate for this user, from a CA that the server trusts";

/// The next steps for invalid certificates of the server, by a part of OpenSSL's reason.
const CERTIFICATES: [(&str, &str); 6] = [
    ("expired", "renew the server's certificate, or correct the clock of this host"),
    ("not yet valid", "correct the clock of this host, or of the one that made the certificate"),
    (
        "mismatch",
        "name the server in DATABASE_URL as its certificate does, or make a certificate for that host",
    ),
    ("self-signed", ROOT),
    ("self signed", ROOT),
    ("unable to", ROOT),
];
const ROOT: &str =
    "set sslrootcert in DATABASE_URL to the file with the certificate of the CA that signed it";

/// The next step, if the error is one of TLS or of a login.
pub(crate) fn next_step(error: &sqlx::Error) -> Option<&'static str> {
    let text = error_text::message(error);
    match error {
        sqlx::Error::Database(_) => login_step(&error_text::code(error)?, &text),
        sqlx::Error::Io(_) => tls_alert::refuses_certificate(&text).then_some(CLIENT_CERTIFICATE),
        sqlx::Error::Tls(_) if text.contains("does not support TLS") => {
            Some("switch TLS on in the server (ssl = on), or choose another sslmode in DATABASE_URL")
        }
        sqlx::Error::Tls(_) if tls_alert::refuses_certificate(&text) => Some(CLIENT_CERTIFICATE),
        sqlx::Error::Tls(_) => {
            CERTIFICATES.iter().find(|(part, _)| text.contains(part)).map(|(_, next)| *next)
        }
        _ => None,
    }
}

/// The next step for a refused login (class 28).
fn login_step(code: &str, text: &str) -> Option<&'static str> {
    match code {
        "28P01" => Some(PASSWORD),
        "28000" if text.contains("certificate authentication failed") => Some(
            "the common name of the certificate (sslcert) must be the user, or be mapped to it in pg_ident.conf of the server",
        ),
        "28000" if text.contains("client certificate") => Some(CLIENT_CERTIFICATE),
        "28000" if text.ends_with("no encryption") => Some(
            "set sslmode=verify-full in DATABASE_URL, or allow this user without TLS in pg_hba.conf of the server",
        ),
        "28000" if text.contains("pg_hba.conf") => {
            Some("allow this user, database and host in pg_hba.conf of the server")
        }
        code if code.starts_with("28") => Some(PASSWORD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_has_a_next_step() {
        for (code, text, setting) in [
            ("28P01", "password authentication failed for user \"me\"", "password"),
            ("28000", "connection requires a valid client certificate", "sslcert"),
            ("28000", "certificate authentication failed for user \"me\"", "common name"),
            ("28000", "no pg_hba.conf entry for host \"::1\", user \"me\", no encryption", "sslmode"),
            (
                "28000",
                "no pg_hba.conf entry for host \"::1\", user \"me\", SSL encryption",
                "allow this user",
            ),
            ("28000", "role \"me\" does not exist", "user and password"),
        ] {
            assert!(login_step(code, text).is_some_and(|next| next.contains(setting)), "{text}");
        }
        assert_eq!(login_step("42501", "permission denied"), None);
    }

    #[test]
    fn a_refused_certificate_has_a_next_step() {
        let verify = |reason: &str| {
            let text = format!("error:0A000086:SSL routines::certificate verify failed:x.c:1889: ({reason})");
            next_step(&sqlx::Error::Tls(text.into())).unwrap_or_default()
        };
        assert!(verify("certificate has expired").contains("renew"));
        assert!(verify("IP address mismatch").contains("name the server"));
        assert!(verify("self-signed certificate in certificate chain").contains("sslrootcert"));
        assert!(verify("unable to get local issuer certificate").contains("sslrootcert"));
        let alert = std::io::Error::other("tlsv1 alert unknown ca:SSL alert number 48");
        assert_eq!(next_step(&sqlx::Error::Io(alert)), Some(CLIENT_CERTIFICATE));
        assert_eq!(next_step(&sqlx::Error::PoolTimedOut), None);
    }
}
