use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SigningKey as _};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;

use super::*;
use crate::config::types::TrustId;

const NOW: u64 = 1_795_338_558;
const ECDSA_SHA256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const ECDSA_SHA384: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03";
const YEARS: [&str; 2] = ["2020", "2100"];

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], &content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// Of version 1, valid in these years; `algorithms` are the one that is signed and the one beside the signature.
fn leaf(by: &Authority, years: [&str; 2], algorithms: [&[u8]; 2]) -> Vec<u8> {
    let own = authority();
    let key = Parts::of(own.der()).unwrap().key.whole;
    let issuer = Parts::of(by.der()).unwrap().subject;
    let times = years.map(|year| element(0x18, &[format!("{year}0101000000Z").as_bytes()]));
    let body = sequence(&[
        b"\x02\x01\x01",
        &sequence(&[algorithms[0]]),
        issuer,
        &sequence(&[&times[0], &times[1]]),
        &sequence(&[]),
        key,
    ]);
    let signature = by.key().sign(&body).unwrap();
    let signature = element(super::super::der::BIT_STRING, &[&[0], &signature]);
    sequence(&[&body, &sequence(&[algorithms[1]]), &signature])
}

fn good(by: &Authority) -> Vec<u8> {
    leaf(by, YEARS, [ECDSA_SHA256; 2])
}

fn verifier(authorities: &[&Authority]) -> WithVersion1 {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.der().clone()).unwrap();
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    WithVersion1 {
        inner: builder.build().unwrap(),
        authorities: Trust {
            id: TrustId::default(),
            authorities: authorities.iter().map(|it| it.der().to_vec()).collect(),
        },
        algorithms: provider.signature_verification_algorithms,
    }
}

fn judge(verifier: &WithVersion1, leaf: Vec<u8>) -> Result<(), Error> {
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
    let verified = verifier.verify_client_cert(&leaf.into(), &[], now);
    verified.map(|_| ())
}

#[test]
fn an_authority_vouches_with_its_key_and_for_its_time() {
    let (ours, other) = (authority(), authority());
    let verifier = verifier(&[&other, &ours]);
    assert_eq!(judge(&verifier, good(&ours)), Ok(()));
    // The same name is not the same key.
    let stranger = authority();
    let refused = |why: CertificateError| Err(Error::InvalidCertificate(why));
    let unknown = refused(CertificateError::UnknownIssuer);
    assert_eq!(judge(&verifier, good(&stranger)), unknown);
    for (years, why) in [
        (["2019", "2020"], CertificateError::Expired),
        (["2099", "2100"], CertificateError::NotValidYet),
    ] {
        let leaf = leaf(&ours, years, [ECDSA_SHA256; 2]);
        assert_eq!(judge(&verifier, leaf), refused(why));
    }
}

#[test]
fn nothing_signed_can_be_changed() {
    let ours = authority();
    let verifier = verifier(&[&ours]);
    let whole = good(&ours);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(judge(&verifier, changed).is_err(), "byte {at}");
        assert!(judge(&verifier, whole[..at].to_vec()).is_err());
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(judge(&verifier, longer).is_err());
    for algorithms in [
        [ECDSA_SHA256, ECDSA_SHA384],
        [ECDSA_SHA384, ECDSA_SHA256],
        [ECDSA_SHA384; 2],
    ] {
        assert!(judge(&verifier, leaf(&ours, YEARS, algorithms)).is_err());
    }
}
