//! Upstream URLs: `http://host:port/base`, `https://…`, `h2c://…`, `unix:/path`, and services such as
//! `http+srv://_http._tcp.app.example`.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use http::Uri;

use super::super::types::{TrustId, Upstream, UpstreamAddress, UpstreamProtocol, UpstreamTls};
use super::hostnames;
use super::listeners::MAX_SOCKET_PATH;

/// What is wrong with a URL, and what to do.
#[derive(Debug)]
pub(super) struct Invalid(pub(super) &'static str, pub(super) &'static str);

/// At the end of a scheme: what follows names a service.
const SERVICE: &str = "+srv";

/// Whether `url` is one of TLS.
pub(super) fn is_https(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    scheme.strip_suffix(SERVICE).unwrap_or(&scheme) == "https"
}

/// An upstream of weight 1; of one by TLS nothing is known yet but the name in its URL.
pub(super) fn parse(url: &str) -> Result<Upstream, Invalid> {
    if let Some(path) = url.strip_prefix("unix:") {
        return unix(path);
    }
    let uri: Uri = url.parse().map_err(|_| {
        Invalid(
            "cannot be read",
            "write it as \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\"",
        )
    })?;
    let written = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
    let scheme = written.strip_suffix(SERVICE).unwrap_or(&written);
    let default_port = default_port(scheme);
    let (Some(default_port), Some(authority)) = (default_port, uri.authority()) else {
        return Err(Invalid(
            "has no scheme that BWS knows",
            "begin with \"http://\", \"https://\", \"h2c://\" or \"unix:\"; for SRV records with \"http+srv://\"",
        ));
    };
    if authority.as_str().contains('@') {
        return Err(Invalid(
            "holds a user name",
            "remove it; set an Authorization header with [sites.proxy.headers] add",
        ));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(Invalid(
            "has a query or fragment",
            "remove what follows the path",
        ));
    }
    if scheme.len() < written.len() {
        return service(scheme, authority.as_str(), uri.path());
    }
    let host = authority.host().to_ascii_lowercase();
    let port = port(&authority.as_str()[host.len()..], default_port)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if host.starts_with('[') {
        bare.parse::<Ipv6Addr>().map_err(|_| {
            Invalid(
                "has no valid IPv6 address",
                "write it as \"http://[::1]:3000\"",
            )
        })?;
    } else {
        hostnames::check(bare).map_err(|invalid| Invalid("has no valid host", invalid.1))?;
    }
    Ok(Upstream {
        protocol: protocol(scheme, bare),
        authority: if port == default_port {
            host.clone()
        } else {
            format!("{host}:{port}")
        },
        address: UpstreamAddress::Http {
            host: bare.to_owned(),
            port,
        },
        base_path: uri.path().trim_end_matches('/').to_owned(),
        weight: 1,
        max_conns: None,
    })
}

/// RFC 2782: the protocol and the service before the domain, each with an underscore.
fn service(scheme: &str, authority: &str, path: &str) -> Result<Upstream, Invalid> {
    if authority.contains(':') {
        return Err(Invalid(
            "has a port beside its service",
            "remove the port: each SRV record has its own",
        ));
    }
    let name = authority.to_ascii_lowercase();
    let domain = domain(&name).ok_or(Invalid(
        "names no service",
        "write service, protocol and domain: \"http+srv://_http._tcp.app.example\"",
    ))?;
    hostnames::check(&name).map_err(|invalid| Invalid("has no valid service", invalid.1))?;
    Ok(Upstream {
        protocol: protocol(scheme, domain),
        authority: domain.to_owned(),
        base_path: path.trim_end_matches('/').to_owned(),
        weight: 1,
        max_conns: None,
        address: UpstreamAddress::Service(name),
    })
}

/// What follows `_service._protocol.`.
fn domain(name: &str) -> Option<&str> {
    let (service, rest) = name.strip_prefix('_')?.split_once('.')?;
    let (protocol, domain) = rest.strip_prefix('_')?.split_once('.')?;
    let named = !service.is_empty() && !protocol.is_empty() && !domain.is_empty();
    named.then_some(domain)
}

fn unix(path: &str) -> Result<Upstream, Invalid> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') || path.len() > MAX_SOCKET_PATH {
        return Err(Invalid(
            "is not the path of a socket",
            "write \"unix:\" and an absolute path of at most 107 bytes",
        ));
    }
    Ok(Upstream {
        address: UpstreamAddress::Unix(PathBuf::from(path)),
        protocol: UpstreamProtocol::Http1,
        authority: "localhost".to_owned(),
        base_path: String::new(),
        weight: 1,
        max_conns: None,
    })
}

/// None for a scheme that is not ours.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "h2c" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn protocol(scheme: &str, host: &str) -> UpstreamProtocol {
    match scheme {
        "h2c" => UpstreamProtocol::Http2,
        "https" => UpstreamProtocol::Tls(UpstreamTls {
            verify: true,
            trust: TrustId::default(),
            server_name: host.to_owned(),
            http2: false,
        }),
        _ => UpstreamProtocol::Http1,
    }
}

/// The port in what follows the host: nothing, or `:3000`.
fn port(rest: &str, default: u16) -> Result<u16, Invalid> {
    if rest.is_empty() {
        return Ok(default);
    }
    match rest
        .strip_prefix(':')
        .and_then(|digits| digits.parse().ok())
    {
        Some(0) | None => Err(Invalid(
            "has no valid port",
            "write a port between 1 and 65535",
        )),
        Some(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(url: &str) -> (String, u16, String, String) {
        let upstream = parse(url).unwrap();
        match upstream.address {
            UpstreamAddress::Http { host, port } => {
                (host, port, upstream.authority, upstream.base_path)
            }
            other => panic!("{url} is {other}"),
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let own = |host: &str, port, authority: &str, base: &str| {
            (host.to_owned(), port, authority.to_owned(), base.to_owned())
        };
        assert_eq!(
            http("http://192.168.1.100:3000"),
            own("192.168.1.100", 3000, "192.168.1.100:3000", "")
        );
        assert_eq!(http("HTTP://App/v1/"), own("app", 80, "app", "/v1"));
        assert_eq!(
            http("http://[::1]:8080/"),
            own("::1", 8080, "[::1]:8080", "")
        );
        assert_eq!(http("https://App/x"), own("app", 443, "app", "/x"));
        assert_eq!(http("h2c://a:443"), own("a", 443, "a:443", ""));
        assert_eq!(parse("h2c://a").unwrap().protocol, UpstreamProtocol::Http2);
        assert_eq!(
            parse("unix:///run/a.sock").unwrap().address,
            UpstreamAddress::Unix("/run/a.sock".into())
        );
    }

    #[test]
    fn services_have_a_domain() {
        let upstream = parse("HTTPS+srv://_Http._tcp.App.example/v1/").unwrap();
        let name = "_http._tcp.app.example".to_owned();
        assert_eq!(upstream.address, UpstreamAddress::Service(name));
        assert_eq!(upstream.authority, "app.example");
        assert_eq!(upstream.base_path, "/v1");
        let UpstreamProtocol::Tls(tls) = upstream.protocol else {
            panic!("https is by TLS");
        };
        assert_eq!(tls.server_name, "app.example");
        assert!(is_https("https+srv://a") && !is_https("http+srv://a"));
    }

    #[test]
    fn what_cannot_be_connected_to_is_refused() {
        for url in [
            "",
            "127.0.0.1:3000",
            "app",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:99999",
            "http://a:",
            "http://u:p@a",
            "http://a/?q",
            "http://a/#f",
            "unix:",
            "unix:run/a",
            "http://[::1",
            "http://[zz]:1",
            "http://-a",
            "http://a b",
            "http:///x",
            "http+srv://app.example",
            "http+srv://_http.app.example",
            "http+srv://_http._tcp",
            "http+srv://_._tcp.app",
            "http+srv://_http._tcp.app:80",
            "http+srv://_http._tcp.-a",
            "http+srv://[::1]",
            "srv://_http._tcp.app",
            "+srv://_http._tcp.app",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
