//! A certificate chain and its key, read from PEM files, parsed and matched.

use std::net::IpAddr;
use std::path::Path;

use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Version};
use x509_parser::time::ASN1Time;

use super::defaults::MAX_PEM_SIZE;
use super::types::{Certificate, KeyKind, PrivateKey, Stamp};
use super::{hash, source};

/// What two files hold, not yet checked.
pub(super) struct Pair<'a> {
    cert_file: &'a Path,
    key_file: &'a Path,
    /// The leaf first; at least that.
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// How the files looked.
    pub(super) files: [Stamp; 2],
}

/// Why a pair cannot serve.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) help: String,
    /// It is about the key file, else about the certificate file.
    pub(super) of_key: bool,
    /// It is about how the two fit.
    pub(super) of_both: bool,
}

impl<'a> Pair<'a> {
    pub(super) fn read(cert_file: &'a Path, key_file: &'a Path) -> Result<Self, Refusal> {
        let (certificate, key) = (read(cert_file, false)?, read(key_file, true)?);
        Ok(Self {
            chain: chain(cert_file, &certificate.0)?,
            key: private_key(key_file, &key.0)?,
            cert_file,
            key_file,
            files: [certificate.1, key.1],
        })
    }

    /// Whether `certificate` was made of the same.
    pub(super) fn is_in(&self, certificate: &Certificate) -> bool {
        let (ours, theirs) = (self.chain.iter(), certificate.chain.iter());
        ours.map(|der| &der[..]).eq(theirs.map(|der| &der[..]))
            && key_der(&self.key) == certificate.key
    }

    /// Parses and matches both.
    pub(super) fn check(self) -> Result<Certificate, Refusal> {
        let (cert_file, chain, key) = (self.cert_file, self.chain, self.key);
        let of_cert = |what: &str, help: &str| {
            refusal(
                false,
                format!("certificate '{}' {what}", cert_file.display()),
                help,
            )
        };
        let (_, leaf) = X509Certificate::from_der(&chain[0])
            .map_err(|_| of_cert("cannot be parsed", "write it anew; its content is damaged"))?;
        if leaf.version() != X509Version::V3 {
            return Err(of_cert(
                "is not of version 3",
                "make a new one: clients and BWS accept X.509 version 3 only",
            ));
        }
        if chain.len() > 1 && leaf.is_ca() {
            return Err(of_cert(
                "begins with an authority's certificate",
                "put the server's own certificate first, then the intermediate ones",
            ));
        }
        let kind = check_match(&chain, &key, cert_file, self.key_file)?;
        let mut certificate = Certificate {
            staple: None,
            kind: Some(kind),
            names: names(&leaf),
            issuer: leaf.issuer().to_string(),
            not_before: leaf.validity().not_before.timestamp(),
            not_after: leaf.validity().not_after.timestamp(),
            key: key_der(&key),
            chain: chain.iter().map(|der| der.to_vec().into()).collect(),
            cert_file: cert_file.to_path_buf(),
            key_file: self.key_file.to_path_buf(),
            authority: None,
            hash: String::new(),
        };
        hash::of_certificate(&mut certificate);
        Ok(certificate)
    }
}

/// A day, as a person writes it.
pub(super) fn show_date(seconds: i64) -> String {
    match ASN1Time::from_timestamp(seconds) {
        Ok(time) => time.to_datetime().date().to_string(),
        Err(_) => format!("second {seconds} of the epoch"),
    }
}

pub(super) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    chain(file, &read(file, false)?.0)
}

fn chain(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let shown = file.display();
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match certificates {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(refusal(
            false,
            format!("'{shown}' holds no certificate"),
            &in_place_of_pem(bytes, "-----BEGIN CERTIFICATE-----", "x509"),
        )),
        Err(_) => Err(refusal(
            false,
            format!("'{shown}' is not valid PEM"),
            "write it anew; a line is damaged or missing",
        )),
    }
}

fn private_key(file: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, Refusal> {
    let shown = file.display();
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(bytes);
        if text.contains("ENCRYPTED") {
            let help = format!("decrypt it: openssl pkey -in '{shown}' -out plain.pem");
            return refusal(
                true,
                format!("key '{shown}' is locked with a passphrase"),
                &help,
            );
        }
        let help = in_place_of_pem(bytes, "-----BEGIN PRIVATE KEY-----", "pkey");
        refusal(true, format!("'{shown}' holds no private key"), &help)
    })
}

/// What to do about a file that has not the PEM section which it should have.
fn in_place_of_pem(bytes: &[u8], wanted: &str, tool: &str) -> String {
    match bytes.first() {
        None => "the file is empty; write it anew".to_owned(),
        // DER begins with a SEQUENCE.
        Some(0x30) => {
            format!("it seems to be DER; convert it: openssl {tool} -inform der -in FILE")
        }
        _ => format!("name a PEM file with '{wanted}'"),
    }
}

fn read(file: &Path, of_key: bool) -> Result<(Vec<u8>, Stamp), Refusal> {
    source::read_stamped(file, MAX_PEM_SIZE)
        .map_err(|error| refusal(of_key, error.message, &error.help))
}

fn check_match(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    cert_file: &Path,
    key_file: &Path,
) -> Result<KeyKind, Refusal> {
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).map_err(|_| {
        refusal(
            true,
            format!(
                "key '{}' is of a kind that BWS cannot use",
                key_file.display()
            ),
            "use RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519",
        )
    })?;
    use rustls::{Error, InconsistentKeys};
    let kind = kind(&*signer);
    match CertifiedKey::new(chain.to_vec(), signer).keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(kind),
        Err(Error::InconsistentKeys(_)) => Err(Refusal {
            of_both: true,
            ..refusal(
                true,
                format!(
                    "key '{}' does not belong to certificate '{}'",
                    key_file.display(),
                    cert_file.display()
                ),
                "name the key that the certificate was requested with",
            )
        }),
        Err(error) => Err(refusal(
            false,
            format!(
                "certificate '{}' cannot be used: {error}",
                cert_file.display()
            ),
            "make a new one; TLS clients would refuse it as well",
        )),
    }
}

/// By what it can sign.
fn kind(signer: &dyn SigningKey) -> KeyKind {
    use rustls::SignatureScheme as Scheme;
    let can = |scheme| signer.choose_scheme(&[scheme]).is_some();
    let kinds = [
        (Scheme::ECDSA_NISTP256_SHA256, KeyKind::EcdsaP256),
        (Scheme::ECDSA_NISTP384_SHA384, KeyKind::EcdsaP384),
        (Scheme::ECDSA_NISTP521_SHA512, KeyKind::EcdsaP521),
        (Scheme::ED25519, KeyKind::Ed25519),
    ];
    let found = kinds.into_iter().find(|(scheme, _)| can(*scheme));
    found.map_or(KeyKind::Rsa, |(_, kind)| kind)
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |general: &GeneralName<'_>| match general {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|it| IpAddr::from(it).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|it| IpAddr::from(it).to_string()),
            _ => None,
        },
        _ => None,
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(name)
        .collect()
}

fn key_der(key: &PrivateKeyDer<'_>) -> PrivateKey {
    match key {
        PrivateKeyDer::Pkcs1(der) => PrivateKey::Pkcs1(der.secret_pkcs1_der().to_vec().into()),
        PrivateKeyDer::Sec1(der) => PrivateKey::Sec1(der.secret_sec1_der().to_vec().into()),
        other => PrivateKey::Pkcs8(other.secret_der().to_vec().into()),
    }
}

fn refusal(of_key: bool, message: String, help: &str) -> Refusal {
    Refusal {
        message,
        help: help.to_owned(),
        of_key,
        of_both: false,
    }
}
