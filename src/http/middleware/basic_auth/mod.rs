//! Names and passwords: RFC 7617.
//!
//! - `credentials`: what a client sends
//! - `verifier`: whether it is right

mod credentials;
mod verifier;

use std::collections::HashMap;
use std::sync::Arc;

use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use self::credentials::Credentials;
use self::verifier::Verifier;
use super::Refusal;
use crate::config::types::{self, Config};
use crate::http::connection::User;
use crate::metrics::lasting::Lasting;

/// What the sites and threads of a worker share.
pub(super) struct Registry {
    files: Vec<Arc<Users>>,
    verifier: Arc<Verifier>,
}

#[derive(Default)]
struct Users {
    /// Hashes by name.
    hashes: HashMap<Box<str>, Arc<str>>,
    /// What unknown names are measured by, so that they take as long as known ones do; in the file's order, which is
    /// the same in every worker.
    decoys: Box<[Arc<str>]>,
}

/// The door of one site.
pub(super) struct BasicAuth {
    users: Arc<Users>,
    verifier: Arc<Verifier>,
    challenge: HeaderValue,
}

/// What a request's credentials are worth.
pub(super) enum Entry {
    Known(User),
    Refused(Refusal),
    /// To be found out.
    Ask(Question),
}

/// A password that is to be hashed.
pub(in crate::http) struct Question {
    verifier: Arc<Verifier>,
    credentials: Credentials,
    hash: Arc<str>,
    /// The name is known, the hash is its own.
    is_known: bool,
    challenge: HeaderValue,
}

impl Registry {
    pub(super) fn new(config: &Config, lasting: &Lasting<'static>) -> Self {
        Self {
            files: config.password_files.iter().map(Users::new).collect(),
            verifier: Arc::new(Verifier::new(&lasting.secret())),
        }
    }
}

impl Users {
    fn new(file: &types::PasswordFile) -> Arc<Self> {
        let users = file.users.iter();
        let decoys: Box<[Arc<str>]> = users
            .clone()
            .map(|user| user.hash.as_str().into())
            .collect();
        let names = users.map(|user| user.name.as_str().into());
        Arc::new(Self {
            hashes: names.zip(decoys.iter().cloned()).collect(),
            decoys,
        })
    }

    /// Always the same one for a name: where the hashes of a file differ in cost, time tells nothing of a name either.
    fn decoy(&self, number: u64) -> Option<&Arc<str>> {
        let count = self.decoys.len().max(1) as u64;
        self.decoys.get(usize::try_from(number % count).ok()?)
    }
}

impl BasicAuth {
    /// Without its file, which the master prevents, nobody comes in.
    pub(super) fn new(auth: &types::BasicAuth, registry: &Registry) -> Self {
        let quoted = auth.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let challenge = format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"");
        let users = registry.files.get(auth.file as usize);
        Self {
            users: users.cloned().unwrap_or_default(),
            verifier: registry.verifier.clone(),
            challenge: HeaderValue::try_from(challenge)
                .unwrap_or(HeaderValue::from_static("Basic realm=\"Restricted\"")),
        }
    }

    /// Takes the credentials out of `headers`: they are for us, not for an upstream.
    pub(super) fn check(&self, headers: &mut HeaderMap) -> Entry {
        let Some(credentials) = Credentials::of(headers) else {
            return Entry::Refused(unauthorized(self.challenge.clone()));
        };
        headers.remove(AUTHORIZATION);
        let hash = self.users.hashes.get(&*credentials.user);
        if hash.is_some_and(|hash| self.verifier.knows(hash, &credentials.password)) {
            return Entry::Known(User(credentials.user.into()));
        }
        let decoy = || self.users.decoy(self.verifier.number(&credentials.user));
        let Some(measure) = hash.or_else(decoy) else {
            return Entry::Refused(unauthorized(self.challenge.clone()));
        };
        Entry::Ask(Question {
            verifier: self.verifier.clone(),
            hash: measure.clone(),
            is_known: hash.is_some(),
            credentials,
            challenge: self.challenge.clone(),
        })
    }
}

impl Question {
    /// The name, when its password is right.
    pub(in crate::http) async fn answer(self) -> Result<User, Refusal> {
        let Credentials { user, password } = self.credentials;
        match self.verifier.verify(self.hash, password).await {
            Ok(true) if self.is_known => Ok(User(user.into())),
            Ok(_) => Err(unauthorized(self.challenge)),
            Err(verifier::Busy) => Err(Refusal {
                status: StatusCode::SERVICE_UNAVAILABLE,
                header: Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            }),
        }
    }
}

fn unauthorized(challenge: HeaderValue) -> Refusal {
    Refusal {
        status: StatusCode::UNAUTHORIZED,
        header: Some((WWW_AUTHENTICATE, challenge)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::run;

    /// "U*U", bcrypt of the least cost.
    const HASH: &str = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    fn door() -> BasicAuth {
        door_of(0)
    }

    fn door_of(number: u32) -> BasicAuth {
        let user = types::User {
            name: "alice".into(),
            hash: HASH.into(),
        };
        let file = types::PasswordFile {
            path: "/users".into(),
            users: vec![user],
        };
        let registry = Registry {
            files: vec![Users::new(&file)],
            verifier: Arc::new(Verifier::new(&[1; 32])),
        };
        let auth = types::BasicAuth {
            realm: "a \"b\" \\".into(),
            file: number,
        };
        BasicAuth::new(&auth, &registry)
    }

    #[test]
    fn unknown_names_are_measured_by_all_hashes_each_by_one() {
        let user = |number: u32| types::User {
            name: format!("user{number}"),
            hash: format!("$6$salt${number}"),
        };
        let users = Users::new(&types::PasswordFile {
            path: "/users".into(),
            users: (0..4).map(user).collect(),
        });
        let verifier = Verifier::new(&[1; 32]);
        let decoy = |name: &str| users.decoy(verifier.number(name)).unwrap().clone();
        assert_eq!(decoy("mallory"), decoy("mallory"));
        let mut all: Vec<_> = (0..100).map(|number| decoy(&number.to_string())).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
    }

    /// Who came in or the status, and whether nobody had to hash.
    async fn knock(door: &BasicAuth, pair: &str) -> (Result<String, u16>, bool) {
        use base64ct::{Base64, Encoding as _};
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", Base64::encode_string(pair.as_bytes()));
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        let status = |refusal: Refusal| refusal.status.as_u16();
        let result = match door.check(&mut headers) {
            Entry::Known(User(user)) => (Ok(user.to_string()), true),
            Entry::Refused(refusal) => (Err(status(refusal)), true),
            Entry::Ask(question) => (
                question
                    .answer()
                    .await
                    .map(|User(user)| user.to_string())
                    .map_err(status),
                false,
            ),
        };
        assert!(!headers.contains_key(AUTHORIZATION));
        result
    }

    #[test]
    fn who_is_known_comes_in_and_pays_once() {
        run(async {
            let door = door();
            assert_eq!(knock(&door, "alice:U*U").await, (Ok("alice".into()), false));
            assert_eq!(knock(&door, "alice:U*U").await, (Ok("alice".into()), true));
            assert_eq!(knock(&door, "alice:wrong").await, (Err(401), false));
        });
    }

    #[test]
    fn who_is_unknown_costs_the_same_and_stays_out() {
        run(async {
            let door = door();
            assert_eq!(knock(&door, "alice:U*U").await, (Ok("alice".into()), false));
            // Even with the password that the measure belongs to.
            assert_eq!(knock(&door, "mallory:U*U").await, (Err(401), false));
            assert_eq!(knock(&door, "Alice:U*U").await, (Err(401), false));
        });
    }

    #[test]
    fn without_its_file_nobody_comes_in() {
        run(async {
            assert_eq!(knock(&door_of(7), "alice:U*U").await, (Err(401), true));
        });
    }

    #[test]
    fn the_question_quotes_the_realm() {
        let Entry::Refused(refusal) = door().check(&mut HeaderMap::new()) else {
            panic!("nobody came in")
        };
        let (name, value) = refusal.header.unwrap();
        assert_eq!(
            (refusal.status, name),
            (StatusCode::UNAUTHORIZED, WWW_AUTHENTICATE)
        );
        assert_eq!(value, "Basic realm=\"a \\\"b\\\" \\\\\", charset=\"UTF-8\"");
    }
}
