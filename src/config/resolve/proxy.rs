//! `[sites.proxy]`: upstreams become pools, routes point to them.

use std::collections::HashMap;

use super::super::connectivity::Target;
use super::super::defaults;
use super::super::raw;
use super::super::report::{Finding, Findings};
use super::super::schema;
use super::super::source::{Located, Place};
use super::super::types::{
    InterimResponses, Pool, Proxy, ProxyHeaders, ProxyTimeout, Route, Upstream, UpstreamAddress,
    UpstreamProtocol,
};
use super::global::is_on;
use super::{Context, balancing, headers, upstream_tls, upstreams};

/// The pools of a site and where each is first named.
#[derive(Default)]
struct Pools {
    pools: Vec<Pool>,
    places: Vec<Place>,
    has_https: bool,
    /// An upstream was refused: a route to it is no second error.
    incomplete: bool,
}

/// None when the proxy is switched off.
pub(super) fn resolve(raw: raw::proxy::Proxy, context: &mut Context<'_>) -> Option<Proxy> {
    if !is_on(raw.enabled.as_ref(), true) {
        return None;
    }
    let findings = context.findings;
    let pools = gather(&raw, context);
    if pools.pools.is_empty() && !pools.incomplete {
        findings.push(
            Finding::error("the proxy has no upstreams")
                .at(raw.place, "")
                .help("add [[sites.proxy.upstreams]] with 'name' and 'url', or write 'enabled = false'"),
        );
    }
    if let Some(tls) = &raw.tls {
        upstream_tls::check(tls, pools.has_https || pools.incomplete, findings);
    }
    let routes = routes(&raw.routes, &pools, findings);
    check_use(&raw, &pools, &routes, findings);
    Some(Proxy {
        fallback_pool: (raw.routes.is_empty() && !pools.pools.is_empty()).then_some(0),
        routes,
        pools: pools.pools,
        balancing: balancing::balancing(&raw.load_balancing),
        health_check: balancing::health_check(raw.health_check, findings),
        retry: balancing::retry(&raw.retry),
        rewrite_redirects: is_on(raw.rewrite_redirects.as_ref(), false),
        interim_responses: raw.interim_responses.unwrap_or(InterimResponses::All),
        timeout: ProxyTimeout {
            connect: raw
                .timeout
                .connect
                .unwrap_or(defaults::UPSTREAM_CONNECT_TIMEOUT),
            read: raw.timeout.read.unwrap_or(defaults::UPSTREAM_READ_TIMEOUT),
            write: raw
                .timeout
                .write
                .unwrap_or(defaults::UPSTREAM_WRITE_TIMEOUT),
            tunnel: raw.timeout.tunnel.unwrap_or(defaults::TUNNEL_IDLE_TIMEOUT),
        },
        headers: proxy_headers(raw.headers, findings),
    })
}

fn gather(raw: &raw::proxy::Proxy, context: &mut Context<'_>) -> Pools {
    let mut gathered = Pools {
        incomplete: raw.damaged,
        ..Pools::default()
    };
    let mut known: HashMap<&str, usize> = HashMap::new();
    for upstream in &raw.upstreams {
        let Some((name, mut server, place)) = server(upstream, context.findings) else {
            gathered.incomplete = true;
            continue;
        };
        gathered.has_https |= matches!(server.protocol, UpstreamProtocol::Tls(_));
        if !upstream_tls::complete(&mut server, raw.tls.as_ref(), context) {
            gathered.incomplete = true;
        }
        context.targets.push(Target {
            name: name.to_owned(),
            address: server.address.clone(),
            place,
        });
        match known.get(name) {
            Some(number) => {
                let servers = &mut gathered.pools[*number].servers;
                if servers.iter().chain([&server]).any(is_service) {
                    refuse_company(name, place, context.findings);
                }
                servers.push(server);
            }
            None => {
                known.insert(name, gathered.pools.len());
                gathered.pools.push(Pool {
                    name: name.to_owned(),
                    servers: vec![server],
                });
                gathered
                    .places
                    .push(upstream.name.as_ref().map_or(place, |name| name.place));
            }
        }
    }
    gathered
}

/// An upstream's pool, itself, and where its URL stands.
fn server<'a>(
    raw: &'a raw::proxy::Upstream,
    findings: &Findings,
) -> Option<(&'a str, Upstream, Place)> {
    let (Some(name), Some(url)) = (&raw.name, &raw.url) else {
        if !raw.damaged {
            let missing = if raw.name.is_none() { "name" } else { "url" };
            findings.push(
                Finding::error(format!("an upstream has no '{missing}'"))
                    .at(raw.place, "")
                    .help(
                        "write, for example: name = \"backend\", url = \"http://127.0.0.1:3000\"",
                    ),
            );
        }
        return None;
    };
    match upstreams::parse(&url.value) {
        Ok(parsed) => {
            if let (Some(_), true) = (raw.weight, is_service(&parsed)) {
                findings.push(
                    Finding::error(format!(
                        "upstream '{}' is a service with a weight",
                        name.value
                    ))
                    .at(url.place, "")
                    .help("remove 'weight': each SRV record has its own"),
                );
            }
            let weight = raw.weight.unwrap_or(defaults::UPSTREAM_WEIGHT);
            let upstream = Upstream {
                weight,
                max_conns: raw.max_conns,
                ..parsed
            };
            Some((&name.value, upstream, url.place))
        }
        Err(upstreams::Invalid(what, help)) => {
            let message = format!("the URL of upstream '{}' {what}", name.value);
            findings.push(Finding::error(message).at(url.place, "").help(help));
            None
        }
    }
}

fn is_service(upstream: &Upstream) -> bool {
    matches!(upstream.address, UpstreamAddress::Service(_))
}

/// A service brings its own servers, priorities and weights.
fn refuse_company(name: &str, place: Place, findings: &Findings) {
    let message = format!("upstream '{name}' is a service and shares its name with others");
    findings.push(Finding::error(message).at(place, "").help(
        "give each service a name of its own; servers beside it belong into its SRV records",
    ));
}

/// Longest prefix first.
fn routes(raw: &[raw::proxy::Route], pools: &Pools, findings: &Findings) -> Vec<Route> {
    let mut first: HashMap<&str, Place> = HashMap::new();
    let mut routes = Vec::with_capacity(raw.len());
    for route in raw {
        let (Some(path), Some(upstream)) = (&route.path, &route.upstream) else {
            if route.damaged {
                continue;
            }
            let missing = if route.path.is_none() {
                "path"
            } else {
                "upstream"
            };
            findings.push(
                Finding::error(format!("a route has no '{missing}'"))
                    .at(route.place, "")
                    .help("write, for example: path = \"/api/\", upstream = \"backend\""),
            );
            continue;
        };
        check_path(path, findings);
        if let Some(earlier) = first.insert(&path.value, path.place) {
            findings.push(
                Finding::error(format!("two routes have the path '{}'", path.value))
                    .at(path.place, "the second")
                    .at(earlier, "the first")
                    .help("remove one; servers that share the load go under one upstream name"),
            );
        }
        let Some(pool) = pool(upstream, pools, findings) else {
            continue;
        };
        routes.push(Route {
            path: path.value.clone(),
            pool,
            strip_prefix: is_on(route.strip_prefix.as_ref(), false),
            rewrite_target: rewrite_target(route, findings),
            timeout: route.timeout,
            websocket: is_on(route.websocket.as_ref(), true),
            max_request_size: route.max_request_size,
        });
    }
    routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
    routes
}

fn rewrite_target(route: &raw::proxy::Route, findings: &Findings) -> Option<String> {
    let target = route.rewrite_target.as_ref()?;
    check_path(target, findings);
    let strips = route.strip_prefix.as_ref().filter(|strips| strips.value);
    if let Some(strips) = strips {
        findings.push(
            Finding::error("a route cannot both strip and rewrite its path")
                .at(target.place, "")
                .at(strips.place, "")
                .help("remove 'strip_prefix': 'rewrite_target' stands instead of the path"),
        );
    }
    Some(target.value.clone())
}

fn check_path(path: &Located<String>, findings: &Findings) {
    let help = if !path.value.starts_with('/') {
        "begin with a slash, as in \"/api/\""
    } else if !path
        .value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
    {
        "write the path alone, with other characters percent-encoded"
    } else {
        return;
    };
    let message = format!("\"{}\" is not the path of a route", path.value);
    findings.push(Finding::error(message).at(path.place, "").help(help));
}

fn pool(upstream: &Located<String>, pools: &Pools, findings: &Findings) -> Option<u32> {
    let name = upstream.value.as_str();
    if let Some(number) = pools.pools.iter().position(|pool| pool.name == name) {
        return u32::try_from(number).ok();
    }
    if !pools.incomplete {
        let names = || pools.pools.iter().map(|pool| pool.name.as_str());
        let help = match schema::nearest(name, names()) {
            Some(near) => format!("did you mean '{near}'?"),
            None if pools.pools.is_empty() => "add [[sites.proxy.upstreams]]".to_owned(),
            None => format!(
                "the upstreams here are {}",
                names().collect::<Vec<_>>().join(", ")
            ),
        };
        let message = format!("there is no upstream '{name}'");
        findings.push(Finding::error(message).at(upstream.place, "").help(help));
    }
    None
}

/// Without routes there is one pool; with routes every pool has one.
fn check_use(raw: &raw::proxy::Proxy, pools: &Pools, routes: &[Route], findings: &Findings) {
    if let ([], [first, second, ..]) = (&raw.routes[..], &pools.places[..]) {
        findings.push(
            Finding::error("the proxy has several upstreams and no routes")
                .at(*second, "another upstream")
                .at(*first, "an upstream")
                .help("give both the same name to share the load, or add [[sites.proxy.routes]]"),
        );
        return;
    }
    if routes.len() < raw.routes.len() || routes.is_empty() {
        return;
    }
    let used: std::collections::HashSet<u32> = routes.iter().map(|route| route.pool).collect();
    for (number, (pool, place)) in pools.pools.iter().zip(&pools.places).enumerate() {
        if !u32::try_from(number).is_ok_and(|number| used.contains(&number)) {
            findings.push(
                Finding::warning(format!("no route leads to upstream '{}'", pool.name))
                    .at(*place, "")
                    .help("add a route, or remove the upstream"),
            );
        }
    }
}

fn proxy_headers(raw: raw::proxy::Headers, findings: &Findings) -> ProxyHeaders {
    ProxyHeaders {
        guard_client_certificates: false,
        preserve_host: is_on(raw.preserve_host.as_ref(), true),
        add_forwarded: is_on(raw.add_forwarded.as_ref(), false),
        add_x_forwarded: is_on(raw.add_x_forwarded.as_ref(), true),
        remove: raw
            .remove
            .iter()
            .filter_map(|name| headers::removed(name, findings))
            .collect(),
        add: headers::resolve(raw.add, findings),
    }
}
