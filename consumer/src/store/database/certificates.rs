//! The files of certificates and keys that `DATABASE_URL` names.

use std::env;
use std::fs::File;

/// The parameters of the URL with their aliases, and the variables that replace them.
const FILES: [(&[&str], &str); 3] = [
    (&["sslrootcert", "ssl-root-cert", "ssl-ca"], "PGSSLROOTCERT"),
    (&["sslcert", "ssl-cert"], "PGSSLCERT"),
    (&["sslkey", "ssl-key"], "PGSSLKEY"),
];

/// Checks that the files can be read. Otherwise a missing file would look like a missing socket of a server that is down.
///
/// # Errors
/// Names the parameter and the file.
pub(super) fn check_files(query: &str) -> Result<(), String> {
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    for (names, variable) in FILES {
        let given = parameters.iter().rfind(|(name, _)| names.contains(&&**name));
        let (name, path) = match (given, env::var(variable)) {
            (Some((name, path)), _) => (&**name, path.to_string()),
            (None, Ok(path)) => (variable, path),
            (None, Err(_)) => continue,
        };
        // The certificate itself instead of a file.
        if path.trim_start().starts_with("-----BEGIN") {
            continue;
        }
        File::open(&path).map_err(|error| format!("has {name}={path}, which can't be read: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_can_not_be_read_is_named_with_its_parameter() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(check_files(&format!("sslmode=verify-full&sslrootcert={manifest}")), Ok(()));
        assert_eq!(check_files("sslcert=-----BEGIN%20CERTIFICATE-----"), Ok(()));
        let error = check_files("sslkey=%2Fnothing%2Fa.key").unwrap_err();
        assert!(error.starts_with("has sslkey=/nothing/a.key, which can't be read: "), "{error}");
    }
}
