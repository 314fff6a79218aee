//! TLS to upstreams: who is believed, what is offered, and why a server is not trusted.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::complaints::Complaints;
use crate::config::types::{Config, TrustId, UpstreamTls};

/// What all threads of a worker share: authorities that were parsed, and sessions to resume.
pub(in crate::http) struct TlsClients {
    config: Arc<Config>,
    made: Mutex<HashMap<Terms, Arc<ClientConfig>>>,
    pub(super) complaints: Complaints,
}

/// What makes a difference between two clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Terms {
    verify: bool,
    trust: TrustId,
    http2: bool,
}

impl TlsClients {
    pub(in crate::http) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            made: Mutex::default(),
            complaints: Complaints::default(),
        }
    }

    /// Shakes hands on `stream`; HTTP/2 is offered if `tls` wants it and `http2` too.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        tls: &UpstreamTls,
        http2: bool,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(tls.server_name.clone()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(self.client(tls, http2 && tls.http2));
        connector.connect(name, stream).await
    }

    /// Made once for the same terms. It parses all authorities, so it takes a few milliseconds.
    fn client(&self, tls: &UpstreamTls, http2: bool) -> Arc<ClientConfig> {
        let terms = Terms {
            verify: tls.verify,
            trust: tls.trust.clone(),
            http2,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let client = made
            .entry(terms)
            .or_insert_with_key(|terms| Arc::new(self.make(terms)));
        client.clone()
    }

    fn make(&self, terms: &Terms) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has its own protocol versions");
        let builder = if terms.verify {
            builder.with_root_certificates(self.roots(&terms.trust))
        } else {
            let verifier = Arc::new(Anybody(provider));
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        };
        let mut client = builder.with_no_client_auth();
        if terms.http2 {
            client.alpn_protocols.push(b"h2".to_vec());
        }
        client.alpn_protocols.push(b"http/1.1".to_vec());
        client
    }

    /// Nobody, for authorities that are not known.
    fn roots(&self, trust: &TrustId) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let known = self.config.trusts.iter().find(|known| known.id == *trust);
        let authorities = known.map_or(&[][..], |known| &known.authorities);
        let authorities = authorities.iter().map(|der| CertificateDer::from(&der[..]));
        roots.add_parsable_certificates(authorities);
        roots
    }

    /// Tells the operator why there is no connection to `server`, not too often.
    pub(super) fn complain(&self, server: &str, tls: &UpstreamTls, error: &io::Error) {
        if self.complaints.is_due(server) {
            let reason = reason(error, &tls.server_name);
            tracing::warn!("no TLS with upstream '{server}': {reason}");
        }
    }
}

/// What is wrong, and what to do.
fn reason(error: &io::Error, name: &str) -> String {
    let cause = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    let Some(cause) = cause else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "it hung up during the handshake; does it speak TLS on this port?".into()
            }
            _ => error.to_string(),
        };
    };
    match cause {
        Error::InvalidCertificate(error) => of_certificate(error, name),
        Error::InvalidMessage(_) => {
            "it does not speak TLS on this port: write \"http://\" in its url, or correct the port"
                .into()
        }
        Error::AlertReceived(alert) => format!("it refused the handshake ({alert:?})"),
        other => other.to_string(),
    }
}

fn of_certificate(error: &CertificateError, name: &str) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate expired: renew it, or check the clock of this machine".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: check the clock of this machine".into()
        }
        CertificateError::UnknownIssuer => {
            "its certificate is by an unknown authority: name that with 'ca_file' in [sites.proxy.tls]".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for '{name}': correct the url, or set 'server_name' in [sites.proxy.tls]")
        }
        other => format!("its certificate cannot be accepted: {other}"),
    }
}

/// `verify = false`. Signatures are checked all the same: they say that the key is there.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
