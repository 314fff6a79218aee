//! The TLS handshake of a connection, and what it settles for all its requests.

use std::rc::Rc;

use http::HeaderValue;
use rustls::ServerConnection;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, LazyConfigAcceptor, TlsAcceptor};

use super::refusal;
use crate::config::types::Config;
use crate::http::service::{ClientCertificate, Entrance, Verification};
use crate::tls::clients::Identity;
use crate::tls::{Choice, TlsListener, challenges};

/// A handshake that ended otherwise than with a connection.
pub enum Failure {
    /// The certificate of the client, or its lack, is the reason. It has been told so, and may have said more meanwhile: in
    /// TLS 1.3 its side of the handshake ends before we know its certificate.
    Refused(TcpStream, String),
    Other,
}

/// None when nothing follows it: an authority came to see whose the name is.
pub async fn handshake(
    stream: TcpStream,
    tls: &TlsListener,
) -> Result<Option<TlsStream<TcpStream>>, Failure> {
    let stream = match tls.uniform() {
        Some(config) => finish(TlsAcceptor::from(config).accept(stream)).await?,
        None => {
            let start = LazyConfigAcceptor::new(Default::default(), stream);
            let start = start.await.map_err(|_| Failure::Other)?;
            match tls.choose(&start.client_hello()) {
                Choice::Requests(config) => finish(start.into_stream(config)).await?,
                Choice::Challenge(config) => {
                    finish(start.into_stream(config)).await?;
                    return Ok(None);
                }
            }
        }
    };
    let protocol = stream.get_ref().1.alpn_protocol();
    Ok((protocol != Some(challenges::PROTOCOL)).then_some(stream))
}

async fn finish(accept: Accept<TcpStream>) -> Result<TlsStream<TcpStream>, Failure> {
    let failed = |(error, stream)| match refusal::reason(&error) {
        Some(reason) => Failure::Refused(stream, reason),
        None => Failure::Other,
    };
    accept.into_fallible().await.map_err(failed)
}

/// Under which site's rules the handshake was made, and who the client is. None when it is not who the site lets in.
pub fn entrance(
    session: &ServerConnection,
    tls: &TlsListener,
    config: &Config,
) -> Option<Entrance> {
    let (site, named) = tls.site(session.server_name());
    let rules = config.sites.get(site as usize)?.tls.as_ref()?;
    let client = match &rules.clients {
        None => Verification::Unasked,
        Some(wanted) => {
            let client = verification(session)?;
            let is_missing = wanted.required && matches!(client, Verification::Nobody);
            // rustls sees to it, in new sessions and in resumed ones. More depends on it than on any other line here.
            (!is_missing).then_some(client)?
        }
    };
    Some(Entrance {
        site,
        named,
        client,
    })
}

/// None when the certificate cannot be told to anybody.
fn verification(session: &ServerConnection) -> Option<Verification> {
    let Some(leaf) = session.peer_certificates().and_then(<[_]>::first) else {
        return Some(Verification::Nobody);
    };
    let identity = Identity::of(leaf)?;
    let value = |text: String| HeaderValue::try_from(text).ok();
    Some(Verification::Verified(Rc::new(ClientCertificate {
        certificate: value(identity.certificate)?,
        subject: value(identity.subject)?,
        fingerprint: value(identity.fingerprint)?,
    })))
}
