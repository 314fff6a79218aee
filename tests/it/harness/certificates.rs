//! An authority for one test, and certificates by it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, date_time_ymd,
};

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

    /// Good for another nine days.
    pub fn issue_expiring(&self, folder: &Path, stem: &str, names: &[&str]) -> Pair {
        let mut params = params(names);
        let now = UNIX_EPOCH.elapsed().expect("a clock after 1970");
        params.not_after = date_time_ymd(1970, 1, 1) + now + Duration::from_secs(9 * 86_400);
        self.write(folder, stem, params)
    }

    /// For a client of that name.
    pub fn issue_client(&self, folder: &Path, name: &str, serial: u64) -> Pair {
        let mut params = client(name);
        params.serial_number = Some(serial.into());
        self.write(folder, name, params)
    }

    pub fn issue_expired_client(&self, folder: &Path, name: &str) -> Pair {
        let mut params = client(name);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.write(folder, name, params)
    }

    /// Writes `<stem>.crl`: these are taken back. The list is good until `year`.
    pub fn revoke(&self, folder: &Path, stem: &str, serials: &[u64], year: i32) -> PathBuf {
        let revoked = serials.iter().map(|&serial| RevokedCertParams {
            serial_number: serial.into(),
            revocation_time: date_time_ymd(2019, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2019, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        let file = folder.join(format!("{stem}.crl"));
        fs::write(&file, list.pem().expect("PEM")).expect("the test's folder is writable");
        file
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

fn client(name: &str) -> CertificateParams {
    let mut params = params(&[]);
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "BWS, Clients");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}
