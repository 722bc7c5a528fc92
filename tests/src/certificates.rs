//! Certificates for one test, made when it runs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};
use tempfile::TempDir;

const DAY: i64 = 24 * 60 * 60;

/// A certificate authority, and the folder of the certificates that it has signed.
pub struct Authority {
    folder: TempDir,
    certificate: X509,
    key: PKey<Private>,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Since yesterday, until tomorrow.
    Now,
    /// Until yesterday.
    Past,
}

/// The PEM files of a certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Both.
    pub both: PathBuf,
}

impl Authority {
    /// An authority of this name.
    ///
    /// # Errors
    /// OpenSSL's error, or the system's.
    pub fn new(name: &str) -> Result<Self> {
        let (key, own) = (new_key()?, named(name)?);
        let mut builder = prepare(&own, &own, &key, Validity::Now)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let (certificate, folder) = (builder.build(), tempfile::tempdir()?);
        std::fs::write(folder.path().join("ca.pem"), certificate.to_pem()?)?;
        Ok(Self { folder, certificate, key })
    }

    /// The file of its certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate with this common name for these hosts: names or IP addresses.
    ///
    /// # Errors
    /// OpenSSL's error, or the system's.
    pub fn issue(&self, name: &str, hosts: &[&str], validity: Validity) -> Result<Certificate> {
        let key = new_key()?;
        let mut builder = prepare(&named(name)?, self.certificate.subject_name(), &key, validity)?;
        if !hosts.is_empty() {
            let mut names = SubjectAlternativeName::new();
            for host in hosts {
                if host.parse::<IpAddr>().is_ok() {
                    names.ip(host)
                } else {
                    names.dns(host)
                };
            }
            let names = names.build(&builder.x509v3_context(Some(&self.certificate), None))?;
            builder.append_extension(names)?;
        }
        builder.sign(&self.key, MessageDigest::sha256())?;
        self.write(name, &builder.build(), &key)
    }

    fn write(&self, name: &str, certificate: &X509, key: &PKey<Private>) -> Result<Certificate> {
        let path = |kind: &str| self.folder.path().join(format!("{name}.{kind}"));
        let files = Certificate { certificate: path("crt"), key: path("key"), both: path("pem") };
        let (certificate, key) = (certificate.to_pem()?, key.private_key_to_pem_pkcs8()?);
        std::fs::write(&files.certificate, &certificate)?;
        std::fs::write(&files.key, &key)?;
        std::fs::write(&files.both, [key, certificate].concat())?;
        Ok(files)
    }
}

impl Certificate {
    /// Encrypts the file of the key with a password.
    ///
    /// # Errors
    /// OpenSSL's error, or the system's.
    pub fn encrypt_key(&self, password: &str) -> Result<()> {
        let key = PKey::private_key_from_pem(&std::fs::read(&self.key)?)?;
        let encrypted =
            key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes())?;
        Ok(std::fs::write(&self.key, encrypted)?)
    }
}

/// A path as text.
///
/// # Errors
/// If it is not UTF-8.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| anyhow::anyhow!("{} is not UTF-8", path.display()))
}

fn new_key() -> Result<PKey<Private>> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
}

fn named(name: &str) -> Result<X509Name> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

/// An unsigned certificate.
fn prepare(
    subject: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    key: &PKey<Private>,
    validity: Validity,
) -> Result<X509Builder> {
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_secs())?;
    let (start, end) = match validity {
        Validity::Now => (now - DAY, now + DAY),
        Validity::Past => (now - 2 * DAY, now - DAY),
    };
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::from_unix(start)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(end)?)?;
    let mut serial = [0; 16];
    rand_bytes(&mut serial)?;
    serial[0] &= 0x7f;
    builder.set_serial_number(&*BigNum::from_slice(&serial)?.to_asn1_integer()?)?;
    Ok(builder)
}
