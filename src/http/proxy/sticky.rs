//! Sticky sessions: a cookie names the server that a client had before. It is a keyed hash of the server's identity, so
//! nobody can make one up, and it tells nothing; all workers know the key.

use aws_lc_rs::hmac;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::standing::PoolStanding;

/// Bytes of the keyed hash that are sent.
const LENGTH: usize = 16;

/// The cookies of a pool.
pub(super) struct Sticky {
    name: String,
    /// By server.
    cookies: Vec<Cookie>,
}

struct Cookie {
    value: String,
    /// `Set-Cookie` on cleartext connections, and on those by TLS.
    headers: [HeaderValue; 2],
}

impl Sticky {
    pub(super) fn new(pool: &PoolStanding, secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let sign = |what: &str, identity: &[u8]| {
            let mut context = hmac::Context::with_key(&key);
            context.update(what.as_bytes());
            context.update(identity);
            context.sign()
        };
        let names = pool.identity();
        let name = format!(
            "bws-{}",
            hexadecimal(&sign("pool", names.as_bytes()).as_ref()[..4])
        );
        let cookie = |identity: u64| {
            let value = hexadecimal(&sign("server", &identity.to_le_bytes()).as_ref()[..LENGTH]);
            let header = |rest: &str| {
                let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{rest}");
                HeaderValue::try_from(text).expect("names and hexadecimal digits are visible ASCII")
            };
            let headers = [header(""), header("; Secure")];
            Cookie { value, headers }
        };
        let servers = pool.servers.iter();
        let cookies = servers
            .map(|server| cookie(server.identity.hash()))
            .collect();
        Self { name, cookies }
    }

    /// The server that the client had before.
    pub(super) fn server(&self, headers: &HeaderMap) -> Option<usize> {
        let values = headers.get_all(COOKIE).iter();
        let pairs = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
        let mut ours = pairs.filter_map(|pair| {
            pair.trim_ascii()
                .strip_prefix(self.name.as_bytes())?
                .strip_prefix(b"=")
        });
        ours.find_map(|shown| {
            let known = |cookie: &Cookie| cookie.value.as_bytes() == shown;
            self.cookies.iter().position(known)
        })
    }

    /// Leads the client to server number `index` from now on.
    pub(super) fn remember(&self, headers: &mut HeaderMap, index: usize, secure: bool) {
        if let Some(cookie) = self.cookies.get(index) {
            headers.append(SET_COOKIE, cookie.headers[usize::from(secure)].clone());
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
