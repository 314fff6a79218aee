//! What balancing, health checks and retries come to.

use std::time::Duration;

use super::super::types::*;
use super::config;

fn proxy(tables: &str) -> Proxy {
    let text = format!(
        "[[sites]]\nname = \"a\"\nport = 80\n[[sites.proxy.upstreams]]\nname = \"app\"\n\
         url = \"http://127.0.0.1:3000\"\n{tables}"
    );
    *config(&text).sites.remove(0).proxy.unwrap()
}

#[test]
fn without_a_word_the_defaults_hold() {
    let proxy = proxy("");
    assert_eq!(proxy.balancing.method, BalancingMethod::RoundRobin);
    assert!(!proxy.balancing.sticky_sessions && !proxy.rewrite_redirects);
    assert_eq!(proxy.interim_responses, InterimResponses::All);
    assert_eq!(proxy.health_check, None);
    assert_eq!(proxy.pools[0].servers[0].max_conns, None);
    let Retry {
        attempts,
        on_connect,
        on_reset,
        on_timeout,
        on_status,
    } = proxy.retry;
    assert_eq!((attempts, on_status), (2, vec![]));
    assert_eq!((on_connect, on_reset, on_timeout), (true, true, false));
}

#[test]
fn every_word_counts() {
    let proxy = proxy(
        "max_conns = 7\n[sites.proxy.load_balancing]\nmethod = \"least_conn\"\nsticky_sessions = true\n\
         [sites.proxy.health_check]\npath = \"/up?full\"\n\
         [sites.proxy.retry]\nattempts = 1\non = [\"timeout\", \"503\"]\n",
    );
    assert_eq!(proxy.pools[0].servers[0].max_conns, Some(7));
    assert_eq!(proxy.balancing.method, BalancingMethod::LeastConnections);
    assert!(proxy.balancing.sticky_sessions);
    let check = proxy.health_check.unwrap();
    assert_eq!((&*check.path, check.retries), ("/up?full", 3));
    assert_eq!(check.interval, Duration::from_secs(10));
    assert_eq!(
        (proxy.retry.attempts, proxy.retry.on_status),
        (1, vec![503])
    );
    assert!(proxy.retry.on_timeout && !proxy.retry.on_connect);
}

#[test]
fn a_health_check_can_be_switched_off() {
    let off = proxy("[sites.proxy.health_check]\nenabled = false\npath = \"/up\"\n");
    assert_eq!(off.health_check, None);
    assert!(proxy("[sites.proxy.health_check]\n").health_check.is_some());
}
