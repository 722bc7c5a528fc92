//! The files of certificates and keys that `DATABASE_URL` names.

use std::env;
use std::fs::File;

use anyhow::Context;

/// The parameters of the URL with their aliases, and the variables that replace them.
const FILES: [(&[&str], &str); 3] = [
    (&["sslrootcert", "ssl-root-cert", "ssl-ca"], "PGSSLROOTCERT"),
    (&["sslcert", "ssl-cert"], "PGSSLCERT"),
    (&["sslkey", "ssl-key"], "PGSSLKEY"),
];

/// A file, with the parameter or variable that names it.
#[derive(Clone, Debug)]
pub(super) struct NamedFile {
    name: String,
    path: String,
}

/// The files of a URL.
pub(super) fn files(url: &str) -> Vec<NamedFile> {
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let named = FILES.into_iter().filter_map(|(names, variable)| {
        match parameters.iter().rfind(|(name, _)| names.contains(&&**name)) {
            Some((name, path)) => Some(NamedFile { name: name.to_string(), path: path.to_string() }),
            None => env::var(variable).ok().map(|path| NamedFile { name: variable.to_owned(), path }),
        }
    });
    // Otherwise it is the certificate itself.
    named.filter(|file| !file.path.trim_start().starts_with("-----BEGIN")).collect()
}

/// Checks that the files can be read. Otherwise a missing file would look like a missing socket of a server that is down.
///
/// # Errors
/// Names the parameter and the file.
pub(super) fn check(files: &[NamedFile]) -> anyhow::Result<()> {
    for NamedFile { name, path } in files {
        File::open(path).with_context(|| {
            format!("--database-url (DATABASE_URL) has {name}={path}, which can't be read")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_can_not_be_read_is_named_with_its_parameter() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let checked = |query: &str| check(&files(&format!("postgres://me:Ssst@db/catalog?{query}")));
        assert!(checked(&format!("sslmode=verify-full&sslrootcert={manifest}")).is_ok());
        assert!(checked("sslcert=-----BEGIN%20CERTIFICATE-----").is_ok());
        let error = checked("sslkey=%2Fnothing%2Fa.key").unwrap_err().to_string();
        assert!(error.ends_with("has sslkey=/nothing/a.key, which can't be read"), "{error}");
    }
}
