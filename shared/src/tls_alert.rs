//! TLS alerts, by which a server refuses the certificate of a client.

/// Whether an error of OpenSSL is an alert about this client's certificate: it is missing, expired, revoked, or of an unknown CA.
/// Waiting does not help then. The numbers are those of RFC 8446, section 6.
#[must_use]
pub fn refuses_certificate(error: &str) -> bool {
    let Some((_, rest)) = error.split_once("SSL alert number ") else { return false };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().is_ok_and(|number: u8| matches!(number, 42..=46 | 48 | 49 | 116))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_about_certificates_are_distinguished_from_others() {
        assert!(refuses_certificate("tlsv1 alert unknown ca:../ssl/rec_layer_s3.c:1601:SSL alert number 48"));
        assert!(refuses_certificate(
            "Receive failed: sslv3 alert bad certificate: SSL alert number 42 (after 0ms)"
        ));
        assert!(!refuses_certificate("tlsv1 alert internal error: SSL alert number 80"));
        assert!(!refuses_certificate("the certificate has number 42"));
    }
}
