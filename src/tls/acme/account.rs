//! Who orders: an account for each authority, made at the first order and kept.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use tokio::sync::Mutex;

use super::client::Authority;
use super::failure::{Failure, Scope};
use super::store;
use crate::config::types::Acme;

/// Bytes of the digest that names an account's file.
const NAME: usize = 12;

/// The accounts that were opened. One is opened at a time, so that none is made twice.
#[derive(Clone, Default)]
pub struct Accounts(Rc<Mutex<HashMap<PathBuf, Account>>>);

impl Accounts {
    pub(super) async fn open(&self, acme: &Acme) -> Result<Account, Failure> {
        let mut opened = self.0.lock().await;
        let file = file(acme);
        if let Some(account) = opened.get(&file) {
            return Ok(account.clone());
        }
        let account = match read(&file).await? {
            Some(credentials) => restore(acme, credentials).await?,
            None => create(acme, &file).await?,
        };
        opened.insert(file, account.clone());
        Ok(account)
    }

    /// After a failure: the authority may have moved, or have lost the account.
    pub(super) async fn close(&self, acme: &Acme, failure: &Failure) {
        let file = file(acme);
        self.0.lock().await.remove(&file);
        if failure.scope == Scope::Account {
            let _ = tokio::fs::rename(&file, file.with_extension("unknown")).await;
        }
    }
}

/// A file for each authority, contact and external account.
fn file(acme: &Acme) -> PathBuf {
    let kid = acme.external_account.as_ref().map(|account| &account.kid);
    let parts = format!("{}\n{:?}\n{kid:?}", acme.directory_url, acme.email);
    let digest = digest(&SHA256, parts.as_bytes());
    let name = Base64UrlUnpadded::encode_string(&digest.as_ref()[..NAME]);
    acme.accounts.join(name + ".json")
}

async fn read(file: &Path) -> Result<Option<AccountCredentials>, Failure> {
    let shown = file.display();
    let text = match tokio::fs::read(file).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let text = format!("account '{shown}' cannot be read: {error}");
            return Err(Failure::of_authority(text));
        }
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let text = format!("account '{shown}' is damaged ({error}): remove it to make another one");
        Failure::of_authority(text)
    })
}

async fn restore(acme: &Acme, credentials: AccountCredentials) -> Result<Account, Failure> {
    let authority = Box::new(Authority::new(&acme.roots).await?);
    let builder = Account::builder_with_http(authority);
    Ok(builder.from_credentials(credentials).await?)
}

async fn create(acme: &Acme, file: &Path) -> Result<Account, Failure> {
    let authority = Box::new(Authority::new(&acme.roots).await?);
    let contact = acme.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = acme.external_account.as_ref();
    let external = external.map(|it| ExternalAccountKey::new(it.kid.clone(), &it.hmac_key));
    let (account, credentials) = Account::builder_with_http(authority)
        .create(&wanted, acme.directory_url.clone(), external.as_ref())
        .await?;
    let text = serde_json::to_vec_pretty(&credentials)
        .map_err(|error| Failure::of_authority(error.to_string()))?;
    store::write(file, text).await?;
    Ok(account)
}
