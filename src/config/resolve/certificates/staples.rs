//! `ocsp_file`: what the authority says of a certificate's state, kept fresh by the operator.
//!
//! Such a file comes and goes by itself, often hours after the certificate: what is wrong in it is a warning, and the
//! certificate is shown without it.

use std::path::PathBuf;

use crate::config::defaults::MAX_PEM_SIZE;
use crate::config::ocsp::{self, State};
use crate::config::pem;
use crate::config::report::{Finding, Findings};
use crate::config::source::{self, Located};
use crate::config::types::{Certificate, Staple};

/// The response in a file, if it is one for this certificate and for now.
pub(in crate::config::resolve) fn read(
    file: &Located<PathBuf>,
    certificate: &Certificate,
    now: i64,
    findings: &Findings,
) -> Option<Staple> {
    let response = match source::read_limited(&file.value, MAX_PEM_SIZE) {
        Ok(response) => response,
        Err(refusal) => {
            let finding = Finding::error(refusal.message).at(file.place, "");
            findings.push(finding.help(refusal.help));
            return None;
        }
    };
    match check(&response, certificate, now) {
        Ok(next_update) => Some(Staple {
            response: response.into(),
            next_update,
        }),
        Err((what, help)) => {
            let message = format!("OCSP response '{}' {what}", file.value.display());
            let finding = Finding::warning(message).at(file.place, "not stapled");
            findings.push(finding.help(help));
            None
        }
    }
}

type Problem = (String, &'static str);

/// Until when it may be shown.
fn check(response: &[u8], certificate: &Certificate, now: i64) -> Result<i64, Problem> {
    const FETCH: &str =
        "fetch it anew, as with: openssl ocsp -issuer CA.pem -cert CERT.pem -url URL -respout FILE";
    let answers = ocsp::parse(response).map_err(|error| (error.to_string(), FETCH))?;
    let leaf = certificate.chain.first().map(|leaf| &leaf[..]);
    let answer = leaf.and_then(|leaf| answers.for_certificate(leaf));
    let Some(answer) = answer else {
        let file = certificate.cert_file.display();
        return Err((format!("is not about certificate '{file}'"), FETCH));
    };
    let until = answer.next_update.unwrap_or(i64::MAX);
    match answer.state {
        State::Revoked => Err((
            "says that the certificate was revoked".to_owned(),
            "get another certificate: clients refuse this one",
        )),
        State::Unknown => Err(("says that the authority does not know it".to_owned(), FETCH)),
        State::Good if answer.this_update > now => {
            let from = pem::show_date(answer.this_update);
            let help = "check the clock of this machine";
            Err((format!("is not valid before {from}"), help))
        }
        State::Good if until < now => Err((format!("expired on {}", pem::show_date(until)), FETCH)),
        State::Good => Ok(until),
    }
}
