//! An authority for one test, and certificates by it.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Where a certificate and its key lie.
#[derive(Clone, Debug)]
pub struct Pair {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names, no error");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate"),
        }
    }

    /// What clients trust.
    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// The same for a file.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes `<stem>.pem` and `<stem>.key`.
    pub fn issue(&self, folder: &Path, stem: &str, names: &[&str]) -> Pair {
        self.write(folder, stem, params(names))
    }

    pub fn issue_expired(&self, folder: &Path, stem: &str, names: &[&str]) -> Pair {
        let mut params = params(names);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.write(folder, stem, params)
    }

    fn write(&self, folder: &Path, stem: &str, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pair = Pair {
            cert_file: folder.join(format!("{stem}.pem")),
            key_file: folder.join(format!("{stem}.key")),
        };
        fs::write(&pair.cert_file, certificate.pem()).expect("the test's folder is writable");
        fs::write(&pair.key_file, key.serialize_pem()).expect("the test's folder is writable");
        pair
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("DNS names or addresses")
}
