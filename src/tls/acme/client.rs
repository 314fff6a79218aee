//! How an authority is spoken to: HTTP/1.1 over TLS, one connection for each request, as there are few of them.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Failure;

/// For one request and its answer.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Bytes of an answer; a certificate chain has some thousands.
const LARGEST_ANSWER: usize = 1 << 20;
const NAME: &str = concat!("BWS/", env!("CARGO_PKG_VERSION"));

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// The authority's server.
pub(super) struct Authority(Arc<ClientConfig>);

impl Authority {
    /// Trusts `roots`, or those of the system when there are none.
    pub(super) async fn new(roots: &[Vec<u8>]) -> Result<Self, Failure> {
        let trusted = match roots {
            [] => system_roots().await?,
            roots => {
                let mut trusted = RootCertStore::empty();
                let ders = roots.iter().map(|der| CertificateDer::from(der.clone()));
                trusted.add_parsable_certificates(ders);
                trusted
            }
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// They are read from disk.
async fn system_roots() -> Result<RootCertStore, Failure> {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let found = loaded.map(|loaded| loaded.certs).unwrap_or_default();
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(found);
    if trusted.is_empty() {
        let text = "this system trusts no authority: install the package 'ca-certificates', or name 'ca_file'";
        return Err(Failure::of_authority(text.to_owned()));
    }
    Ok(trusted)
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = self.0.clone();
        Box::pin(async move {
            let uri = request.uri().clone();
            let asked = tokio::time::timeout(REQUEST_TIME, ask(tls, request));
            let outcome = match asked.await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no answer within {} s", REQUEST_TIME.as_secs()).into()),
            };
            match outcome {
                Ok(response) => {
                    let (parts, body) = response.into_parts();
                    let body = Box::new(body);
                    Ok(BytesResponse { parts, body })
                }
                Err(trouble) => Err(Error::Other(format!("'{uri}': {trouble}").into())),
            }
        })
    }
}

async fn ask(
    tls: Arc<ClientConfig>,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Bytes>, Trouble> {
    let uri = std::mem::take(request.uri_mut());
    if uri.scheme_str() != Some("https") {
        return Err("it is not https".into());
    }
    let authority = uri.authority().ok_or("it names no server")?.as_str();
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(authority)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(NAME));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
    let name = ServerName::try_from(host.to_owned())?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    let (mut exchange, connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        // What was received before the end is there still.
        _ = connection => exchange.await,
    }
}
