//! Upstreams that say what they are told, and what they saw.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::config::types::*;
use crate::http::testing::*;

pub(in crate::http) fn upstream(port: u16) -> Upstream {
    Upstream {
        address: UpstreamAddress::Http {
            host: "127.0.0.1".into(),
            port,
        },
        authority: format!("127.0.0.1:{port}"),
        base_path: String::new(),
        weight: 1,
        protocol: UpstreamProtocol::Http1,
        max_conns: None,
    }
}

pub(in crate::http) fn proxy(ports: &[u16]) -> Proxy {
    let seconds = Duration::from_secs;
    Proxy {
        pools: vec![Pool {
            name: "pool".into(),
            servers: ports.iter().map(|&port| upstream(port)).collect(),
        }],
        routes: vec![],
        fallback_pool: Some(0),
        balancing: Balancing {
            method: BalancingMethod::RoundRobin,
            sticky_sessions: false,
            queue: 2,
            queue_timeout: seconds(5),
        },
        health_check: None,
        retry: Retry {
            attempts: 2,
            on_connect: true,
            on_reset: true,
            on_timeout: false,
            on_status: vec![],
        },
        rewrite_redirects: false,
        interim_responses: InterimResponses::All,
        timeout: ProxyTimeout {
            connect: seconds(2),
            read: seconds(5),
            write: seconds(5),
            tunnel: seconds(5),
        },
        headers: ProxyHeaders {
            guard_client_certificates: false,
            preserve_host: true,
            add_forwarded: false,
            add_x_forwarded: true,
            remove: vec![],
            add: vec![],
        },
    }
}

pub(super) fn through(proxy: Proxy) -> Config {
    let mut site = site();
    site.proxy = Some(Box::new(proxy));
    config(vec![site])
}

/// What an upstream saw: the bytes of each connection.
pub(super) type Seen = Rc<RefCell<Vec<String>>>;

/// An upstream that answers each request head with the next of `answers` (the last for ever). After an answer that
/// has `close` in it, or an empty one, it closes.
pub(super) async fn serve(answers: &'static [&'static str]) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let log = seen.clone();
    tokio::task::spawn_local(async move {
        let turn = Rc::new(RefCell::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            let number = log.borrow().len();
            log.borrow_mut().push(String::new());
            tokio::task::spawn_local(talk(stream, answers, turn.clone(), log.clone(), number));
        }
    });
    (port, seen)
}

async fn talk(
    mut stream: TcpStream,
    answers: &'static [&'static str],
    turn: Rc<RefCell<usize>>,
    log: Seen,
    number: usize,
) {
    let mut answered = 0;
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        log.borrow_mut()[number].push_str(&String::from_utf8_lossy(&buffer[..count]));
        let heads = log.borrow()[number].matches("\r\n\r\n").count();
        while answered < heads {
            let index = turn.replace_with(|turn| *turn + 1).min(answers.len() - 1);
            answered += 1;
            let answer = answers[index];
            if stream.write_all(answer.as_bytes()).await.is_err()
                || answer.is_empty()
                || answer.contains("close")
            {
                return;
            }
        }
    }
    log.borrow_mut()[number].push_str("[closed]");
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: app\r\nX-Hop: 1\r\nConnection: x-hop\r\n\r\nok";
