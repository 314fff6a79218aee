//! What loads, and what it means.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::super::types::*;
use super::super::{Options, load, serve_folder};
use super::{Folder, certificates, config, fixtures};

#[test]
fn an_empty_file_is_all_defaults() {
    let config = config("");
    assert_eq!(config.server.name, "BWS");
    assert_eq!(config.performance.max_connections, 10_000);
    assert_eq!(
        config.performance.keep_alive_timeout,
        Duration::from_secs(60)
    );
    assert_eq!(config.performance.head_limits(), HeadLimits::default());
    assert_eq!(config.performance.read_buffer_size, 32 << 10);
    assert_eq!(
        config.logging.file_path.to_str(),
        Some("/var/log/bws/bws.log")
    );
    assert_eq!(config.security.max_request_size, 10 << 20);
    assert_eq!(config.security.security_headers.len(), 3);
    assert_eq!(
        (config.management.enabled, config.management.port),
        (false, 7654)
    );
    assert_eq!(config.monitoring.health_endpoint, "/health");
    assert!(config.performance.worker_threads >= 1);
    assert_eq!(config.hash.len(), 64);
}

#[test]
fn a_request_target_fits_into_its_head() {
    let limits = |text: &str| {
        config(&format!("[performance]\n{text}"))
            .performance
            .head_limits()
    };
    let small = limits("max_header_size = \"8KB\"\nmax_headers = 50");
    let expected = HeadLimits {
        size: 8 << 10,
        fields: 50,
        target: 8 << 10,
    };
    assert_eq!(small, expected);
    let large = limits("max_header_size = \"256KB\"\nmax_uri_length = 4000");
    assert_eq!((large.size, large.target), (256 << 10, 4000));
}

/// The published examples, with only their absolute paths moved into a folder of the test.
#[test]
fn the_documented_examples_load_unchanged() {
    let folder = Folder::new();
    for path in [
        "var/www/html",
        "var/www/api",
        "var/www/company",
        "etc/ssl/certs",
        "etc/ssl/private",
    ] {
        std::fs::create_dir_all(folder.path(path)).unwrap();
    }
    let pair = certificates::pair(&["secure.example.com"], 90);
    folder.write("etc/ssl/certs/new-cert.pem", &pair.cert);
    folder.write("etc/ssl/private/new-key.pem", &pair.key);
    let root = folder.0.path().display().to_string();
    let mut names = 0;
    for entry in std::fs::read_dir(fixtures("examples")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text
            .replace("\"/var", &format!("\"{root}/var"))
            .replace("\"/etc", &format!("\"{root}/etc"));
        match folder.load(&text) {
            Ok(loaded) => names += loaded.config.sites.len(),
            Err(report) => panic!("{}: {}", path.display(), report.plain()),
        }
    }
    assert_eq!(names, 5);
}

#[test]
fn upstreams_without_routes_are_the_fallback() {
    let config = config(
        "[[sites]]\nname = \"a\"\nport = 80\nstatic_dir = \".\"\n[sites.proxy]\nenabled = true\n\
         [[sites.proxy.upstreams]]\nname = \"b\"\nurl = \"http://10.0.0.1:3000\"\nweight = 3\n\
         [[sites.proxy.upstreams]]\nname = \"b\"\nurl = \"unix:/run/b.sock\"\n",
    );
    let proxy = config.sites[0].proxy.as_ref().unwrap();
    assert_eq!(
        (
            proxy.fallback_pool,
            proxy.pools.len(),
            proxy.pools[0].servers.len()
        ),
        (Some(0), 1, 2)
    );
    assert_eq!(proxy.pools[0].servers[0].weight, 3);
    assert_eq!(proxy.timeout.connect, Duration::from_secs(10));
    assert!(
        proxy.headers.preserve_host
            && proxy.headers.add_x_forwarded
            && !proxy.headers.add_forwarded
    );
}

#[test]
fn routes_come_longest_first_and_point_to_their_pools() {
    let config = config(
        "[[sites]]\nname = \"a\"\nport = 80\n[sites.proxy]\n\
         upstreams = [{name = \"x\", url = \"http://x\"}, {name = \"y\", url = \"http://y\"}]\n\
         routes = [{path = \"/\", upstream = \"x\"}, {path = \"/api/\", upstream = \"y\", strip_prefix = true, timeout = \"500ms\", websocket = false}]\n",
    );
    let proxy = config.sites[0].proxy.as_ref().unwrap();
    let routes: Vec<_> = proxy
        .routes
        .iter()
        .map(|it| (it.path.as_str(), it.pool, it.websocket))
        .collect();
    assert_eq!(routes, [("/api/", 1, false), ("/", 0, true)]);
    assert_eq!(proxy.routes[0].timeout, Some(Duration::from_millis(500)));
    assert_eq!(proxy.fallback_pool, None);
}

#[test]
fn listeners_gather_sites_and_know_the_default() {
    let config = config(
        "[[sites]]\nname = \"a\"\nhostname = \"A.example\"\nport = 80\napi_only = true\n\
         [[sites]]\nname = \"b\"\nhostname = \"b.example\"\nport = 80\napi_only = true\ndefault = true\n\
         [[sites]]\nname = \"c\"\nhostnames = [\"*.example\"]\nlisten = \"[::1]:80\"\napi_only = true\n",
    );
    let listeners: Vec<_> = config
        .listeners
        .iter()
        .map(|it| (it.sites.clone(), it.default_site))
        .collect();
    assert_eq!(listeners, [(vec![0, 1], 1), (vec![2], 2)]);
    let defaults: Vec<_> = config.sites.iter().map(|site| site.default).collect();
    assert_eq!(defaults, [false, true, true]);
    assert_eq!(
        config.sites[0].hostnames,
        [HostPattern::Exact("a.example".to_owned())]
    );
}

#[test]
fn a_security_header_can_be_changed_or_taken_away() {
    let config =
        config("[security.security_headers]\nX-Frame-Options = \"DENY\"\nReferrer-Policy = \"\"\n");
    let headers: Vec<_> = config
        .security
        .security_headers
        .iter()
        .map(|it| (it.name.as_str(), it.value.as_str()))
        .collect();
    assert_eq!(
        headers,
        [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY")
        ]
    );
}

#[test]
fn what_is_switched_off_is_no_error_even_when_it_is_not_available() {
    config(
        "compression = {enabled = false, level = 6}\n[security]\ntrusted_proxies = []\n\
         [[sites]]\nname = \"a\"\nport = 80\napi_only = true\ndirectory_listing = false\nredirect_to_https = false\n\
         redirects = []\n[sites.rate_limit]\nenabled = false\n[sites.error_pages]\n",
    );
}

#[test]
fn a_site_and_a_route_may_have_limits_of_their_own() {
    let config = config(
        "[[sites]]\nname = \"a\"\nport = 80\nmax_request_size = \"2MB\"\nrequest_timeout = \"5m\"\n[sites.proxy]\n\
         upstreams = [{name = \"u\", url = \"http://127.0.0.1:1\"}]\n\
         routes = [{path = \"/a/\", upstream = \"u\", max_request_size = \"1GB\"}, {path = \"/b/\", upstream = \"u\"}]\n",
    );
    let site = &config.sites[0];
    let routes = &site.proxy.as_ref().unwrap().routes;
    assert_eq!(site.max_request_size, Some(2 << 20));
    assert_eq!(site.request_timeout, Some(Duration::from_secs(300)));
    let of_routes = [0, 1].map(|number| routes[number].max_request_size);
    assert_eq!(of_routes, [Some(1 << 30), None]);
}

#[test]
fn a_daemon_table_is_a_warning() {
    let loaded = Folder::new()
        .load("[daemon]\npid_file = \"/run/x\"\nanything = 1\n[[sites]]\nname = \"a\"\nport = 80\napi_only = true\n")
        .unwrap();
    assert_eq!(loaded.warnings.problems.len(), 1);
    assert!(!loaded.warnings.has_errors());
}

#[test]
fn a_folder_is_served_without_a_file() {
    let folder = Folder::new();
    let config = serve_folder(folder.0.path(), 8080).unwrap().config;
    assert_eq!(
        config.sites[0].static_files.as_ref().unwrap().root,
        folder.0.path()
    );
    assert_eq!(config.sites[0].hostnames, [HostPattern::Any]);
    assert_eq!(config.listeners[0].address, ListenAddress::Port(8080));
    assert!(serve_folder(&folder.path("missing"), 8080).is_err());
}

#[test]
fn ten_thousand_sites_load() {
    let folder = Folder::new();
    let mut text = String::new();
    for number in 0..10_000 {
        let _ = write!(
            text,
            "[[sites]]\nname = \"site-{number}\"\nhostname = \"host-{number}.example\"\nport = 8080\n\
             static_dir = \"www/{}\"\nheaders = {{X-Site = \"{number}\"}}\n",
            number % 100
        );
    }
    for number in 0..100 {
        std::fs::create_dir_all(folder.path(&format!("www/{number}"))).unwrap();
    }
    let config = folder.load(&text).unwrap().config;
    assert_eq!((config.sites.len(), config.listeners.len()), (10_000, 1));
    assert_eq!(config.sites[9_999].headers[0].value, "9999");
    let hashes: std::collections::HashSet<_> = config.sites.iter().map(|site| &site.hash).collect();
    assert_eq!(hashes.len(), 10_000);
}

#[test]
fn the_demo_loads() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/demo/config.toml");
    let loaded = load(&file, &Options::default()).unwrap();
    assert!(loaded.warnings.is_empty());
    assert_eq!(loaded.config.sites[0].name, "demo");
}

#[test]
fn an_upstream_that_does_not_listen_is_an_error_only_when_asked() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = Folder::new();
    let file = folder.write(
        "config.toml",
        &format!("[[sites]]\nname = \"a\"\nport = 80\nproxy = {{upstreams = [{{name = \"app\", url = \"http://{closed}\"}}]}}\n"),
    );
    assert!(load(&file, &Options::default()).is_ok());
    let options = Options {
        connect: true,
        ..Options::default()
    };
    let report = load(&file, &options).unwrap_err();
    assert!(
        report.problems[0]
            .message
            .starts_with("upstream 'app' cannot be reached: ")
    );
    assert_eq!(report.problems[0].line, Some(4));
}
