//! One order: from names to a certificate in its file.

use std::net::IpAddr;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, Error, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::account::Accounts;
use super::failure::{Failure, Scope, describe, scope};
use super::proof::{self, Show};
use super::store;
use crate::config::types::Acme;

/// For all of an order.
const ORDER_TIME: Duration = Duration::from_secs(300);
const ATTEMPTS: u32 = 5;
/// How often, and how long, the authority is asked whether it has come to an end.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// What was got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// DER of the certificate itself.
    pub leaf: Vec<u8>,
    /// Seconds since the epoch.
    pub not_before: i64,
    /// Seconds since the epoch.
    pub not_after: i64,
}

/// Gets a certificate for the names of `acme` and writes it to its file. `replaced` is the one before, DER; `show` sees
/// to it that the authority finds what it looks for.
pub async fn order(
    accounts: &Accounts,
    acme: &Acme,
    replaced: Option<&[u8]>,
    show: &Show,
) -> Result<Issued, Failure> {
    let ordered = tokio::time::timeout(ORDER_TIME, attempts(accounts, acme, replaced, show));
    let outcome = ordered.await.unwrap_or_else(|_| {
        let text = format!("the order took longer than {} s", ORDER_TIME.as_secs());
        Err(Failure::of_names(text))
    });
    if let Err(failure) = &outcome {
        accounts.close(acme, failure).await;
    }
    outcome
}

/// An order begins anew when the authority did not like a nonce, three times for one request.
async fn attempts(
    accounts: &Accounts,
    acme: &Acme,
    replaced: Option<&[u8]>,
    show: &Show,
) -> Result<Issued, Failure> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        match run(accounts, acme, replaced, show).await {
            Err(failure) if failure.scope == Scope::Passing && left > 0 => {}
            outcome => return outcome,
        }
    }
}

async fn run(
    accounts: &Accounts,
    acme: &Acme,
    replaced: Option<&[u8]>,
    show: &Show,
) -> Result<Issued, Failure> {
    let account = accounts.open(acme).await?;
    let names: Vec<Identifier> = acme.names.iter().map(|name| identifier(name)).collect();
    let mut order = start(&account, &names, replaced).await?;
    prove(&mut order, acme, show).await?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unexpected)?;
    order.finalize_csr(&request(acme, &key)?).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    let issued = check(&chain, &key, &acme.names)?;
    let content = content(acme, &key.serialize_pem(), &chain);
    store::write(&acme.file, content.into_bytes()).await?;
    Ok(issued)
}

fn identifier(name: &str) -> Identifier {
    match name.parse() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(name.to_owned()),
    }
}

/// Tells the authority what is replaced, if it wants to know (RFC 9773 section 5).
async fn start(
    account: &Account,
    names: &[Identifier],
    replaced: Option<&[u8]>,
) -> Result<Order, Failure> {
    let replaced = replaced.map(CertificateDer::from);
    let identifier = replaced
        .as_ref()
        .and_then(|der| CertificateIdentifier::try_from(der).ok());
    if let Some(identifier) = identifier {
        let wanted = NewOrder::new(names).replaces(identifier);
        match account.new_order(&wanted).await {
            Ok(order) => return Ok(order),
            Err(Error::Unsupported(_) | Error::Api(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(account.new_order(&NewOrder::new(names)).await?)
}

async fn prove(order: &mut Order, acme: &Acme, show: &Show) -> Result<(), Failure> {
    let answers = proof::answers(order, acme.challenge).await?;
    if !answers.is_empty() {
        show(answers).await;
        proof::announce(order, acme.challenge).await?;
    }
    match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => Ok(()),
        Err(Error::Api(problem)) if scope(&problem) == Scope::Passing => {
            Err(Error::Api(problem).into())
        }
        Ok(_) | Err(Error::Api(_)) => Err(refusal(order).await),
        Err(error) => Err(error.into()),
    }
}

/// Why the authority does not believe it.
async fn refusal(order: &mut Order) -> Failure {
    let mut reasons = Vec::new();
    let general = order.state().error.as_ref().map(describe);
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            break;
        };
        if state.status != AuthorizationStatus::Invalid {
            continue;
        }
        let name = state.identifier().to_string();
        let problems = state.challenges.iter().filter_map(|it| it.error.as_ref());
        reasons.extend(problems.map(|problem| format!("{name}: {}", describe(problem))));
    }
    // What is said of a name says more than what is said of the order.
    match (reasons.is_empty(), general) {
        (false, _) => Failure::of_names(reasons.join("; ")),
        (true, Some(general)) => Failure::of_names(general),
        (true, None) => Failure::of_names("the authority refused the order".to_owned()),
    }
}

/// The certificate signing request, DER (RFC 2986).
fn request(acme: &Acme, key: &KeyPair) -> Result<Vec<u8>, Failure> {
    let mut params = CertificateParams::new(acme.names.clone()).map_err(unexpected)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(key).map_err(unexpected)?;
    Ok(request.der().to_vec())
}

/// What cannot be served is not written.
fn check(chain: &str, key: &KeyPair, names: &[String]) -> Result<Issued, Failure> {
    let wrong = |what: &str| Failure::of_authority(format!("the authority sent {what}"));
    let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let ders = ders.map_err(|_| wrong("no PEM"))?;
    let first = ders
        .first()
        .ok_or_else(|| wrong("no certificate"))?
        .to_vec();
    let (_, leaf) =
        X509Certificate::from_der(&first).map_err(|_| wrong("a damaged certificate"))?;
    if let Some(missing) = names.iter().find(|name| !names_of(&leaf).contains(*name)) {
        return Err(wrong(&format!(
            "a certificate without the name '{missing}'"
        )));
    }
    let validity = leaf.validity();
    let issued = Issued {
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        leaf: first.clone(),
    };
    let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(unexpected)?;
    match CertifiedKey::new(ders, signer).keys_match() {
        Ok(()) => Ok(issued),
        Err(_) => Err(wrong("a certificate for another key")),
    }
}

fn names_of(leaf: &X509Certificate<'_>) -> Vec<String> {
    let extension = leaf.subject_alternative_name().ok().flatten();
    let names = extension.map(|extension| &extension.value.general_names);
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    };
    names.into_iter().flatten().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    let address = four.or_else(|_| sixteen()).ok()?;
    Some(address.to_string())
}

/// What stands before the first section is a note for [`crate::config`].
fn content(acme: &Acme, key: &str, chain: &str) -> String {
    let (authority, names) = (&acme.directory_url, acme.names.join(" "));
    format!("Authority: {authority}\nNames: {names}\n\n{key}{chain}")
}

fn unexpected(error: impl std::fmt::Display) -> Failure {
    Failure::of_names(format!("no request could be made: {error}"))
}
