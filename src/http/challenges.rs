//! Answers to an authority that looks whose a name is (http-01, RFC 8555 section 8.3). Nothing is read from disk for
//! them: a token is known or it is not.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};

use super::body::Body;
use crate::config::types::{AcmeChallenge, ChallengeAnswer, Config};

const PREFIX: &str = "/.well-known/acme-challenge/";

/// What all threads of a worker answer.
#[derive(Debug, Default)]
pub struct Challenges {
    /// Hosts whose certificate BWS gets: all below the prefix is its own there.
    hosts: HashSet<Box<str>>,
    /// By token.
    answers: RwLock<HashMap<String, Bytes>>,
}

/// The token of a path that such a question may be about.
pub(super) fn token(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX)
}

impl Challenges {
    pub(super) fn new(config: &Config) -> Self {
        let tables = config.sites.iter().filter_map(|site| site.tls.as_ref());
        let acme = tables.filter_map(|tls| tls.acme.as_ref());
        let proved_here = acme.filter(|acme| acme.challenge == AcmeChallenge::Http01);
        let hosts = proved_here.flat_map(|acme| acme.names.iter().map(|name| name.as_str().into()));
        Self {
            hosts: hosts.collect(),
            answers: RwLock::default(),
        }
    }

    /// From now on these and no others are given.
    pub fn set(&self, answers: &[ChallengeAnswer]) {
        let known = answers.iter().filter_map(|answer| match answer {
            ChallengeAnswer::Http {
                token,
                authorization,
            } => Some((token.clone(), Bytes::from(authorization.clone()))),
            ChallengeAnswer::Tls { .. } => None,
        });
        let known = known.collect();
        *self.answers.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn find(&self, token: &str) -> Option<Bytes> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.get(token).cloned()
    }

    /// None: it is the site's business, as where another program proves the names.
    pub(super) fn answer(&self, token: &str, method: &Method, host: &str) -> Option<Answer> {
        let found = match *method {
            Method::GET | Method::HEAD => self.find(token),
            _ => None,
        };
        match found {
            Some(text) => Some(Answer::Known(text)),
            None if self.is_ours(host) => Some(Answer::Unknown),
            None => None,
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        !self.hosts.is_empty() && self.hosts.contains(&*bare.to_ascii_lowercase())
    }
}

pub(super) enum Answer {
    Known(Bytes),
    /// 404.
    Unknown,
}

/// Fills a response that has the site's headers.
pub(super) fn write(response: &mut Response<Body>, text: Bytes, method: &Method) {
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    if method != Method::HEAD {
        *response.body_mut() = Body::Full(text);
    }
}
