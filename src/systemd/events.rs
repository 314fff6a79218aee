//! The events that an operator acts on: one table, from which come the MESSAGE_IDs of the journal, the level of each
//! line and the message catalog (`systemd/bws.catalog`, `bws generate catalog`).
//!
//! A new event is a new line here, with an identifier from `systemd-id128 new` that never changes again. It is told by
//! `tell!`, and its explanation may name the fields that it is told with as `@BWS_…@`.

use tracing::Level;

pub mod told;

/// A kind of event.
pub struct Event {
    /// MESSAGE_ID: 128 bits in hexadecimal, see sd_journal_print(3).
    pub id: &'static str,
    /// BWS_EVENT: what people and scripts look for.
    pub name: &'static str,
    pub level: Level,
    /// What happened, in one line.
    pub subject: &'static str,
    /// What it means, and what to do.
    pub explanation: &'static str,
}

/// Logs an event: its name, `FIELD = value` pairs of numbers and texts, and after a semicolon the message. Who listens
/// ([`told::listen`]) hears the same, whatever the level of the log, and what is told `beside` it: lists, which the
/// journal has no form for.
macro_rules! tell {
    ($event:ident $(, $field:ident = $value:expr)* $(,)?; beside $more:ident = $list:expr; $($message:tt)+) => {
        tell!(@ $event, [$($field = $value,)*] [$more = $list] $($message)+)
    };
    (@ $event:ident, [$($field:ident = $value:expr,)*] [$($more:ident = $list:expr)?] $($message:tt)+) => {{
        tracing::event!(
            $crate::systemd::events::$event.level,
            MESSAGE_ID = $crate::systemd::events::$event.id,
            BWS_EVENT = $crate::systemd::events::$event.name,
            $($field = $value,)*
            $($message)+
        );
        $crate::systemd::events::told::pass_on(&$crate::systemd::events::told::Told {
            event: &$crate::systemd::events::$event,
            fields: &[
                $((stringify!($field), (&$value).into()),)*
                $((stringify!($more), (&$list).into()),)?
            ],
            message: format_args!($($message)+),
        })
    }};
    ($event:ident $(, $field:ident = $value:expr)* $(,)?; $($message:tt)+) => {
        tell!(@ $event, [$($field = $value,)*] [] $($message)+)
    };
}
pub(crate) use tell;

macro_rules! events {
    ($($constant:ident = $id:literal $name:literal $level:ident $subject:literal $explanation:literal)+) => {
        $(pub const $constant: Event = Event {
            id: $id,
            name: $name,
            level: Level::$level,
            subject: $subject,
            explanation: $explanation,
        };)+

        /// Every event.
        pub const ALL: &[Event] = &[$($constant),+];
    };
}

events! {
    STARTED = "ad2531573235b53c487274ccb6cae711" "started" INFO
        "BWS serves configuration version @BWS_CONFIG_VERSION@"
        "The web server has started. Its first workers (generation @BWS_GENERATION@) accept connections.\n\
        'bws status' shows the sites, the workers and what they do."

    START_FAILED = "945f7d8a9efab12d32d76af924ccd05b" "start-failed" ERROR
        "BWS could not start"
        "Nothing is served. The message says which line of the configuration, which file or which port is the reason.\n\
        Correct it, check it with 'bws --config-check', and start the service again:\n\
        \n    systemctl start bws\n\n\
        Connections wait meanwhile in the sockets of bws.socket if it is active."

    STOPPING = "7e0fb6f77cfa84c9fb4df9141fa0f434" "stopping" INFO
        "BWS was asked to stop"
        "No new connection is accepted. Open connections may finish within server.shutdown_timeout."

    STOPPED = "32ba6b8979fc2570902e0b6029aa8055" "stopped" INFO
        "BWS has stopped"
        "All workers are gone. New connections wait in the sockets of bws.socket if it is active; a connection starts\n\
        the service again."

    RELOAD_REQUESTED = "cb9e4e8b64322da4af0b0f2d5cb0f67e" "reload-requested" INFO
        "A reload of the configuration was asked for"
        "The configuration is read and checked. Until a new one serves, the old one does.\n\
        Another entry tells how it ended: look for BWS_EVENT=reload-complete or BWS_EVENT=reload-failed."

    RELOAD_COMPLETE = "ed86a759a336aa2970e180a14479052b" "reload-complete" INFO
        "Configuration version @BWS_CONFIG_VERSION@ serves after @BWS_DURATION_MS@ ms"
        "What changed: @BWS_PLAN@.\n\
        The workers of generation @BWS_GENERATION@ accept all new connections. Those of the generations before finish\n\
        what they have begun and leave, after server.shutdown_timeout at the latest."

    RELOAD_FAILED = "9244ca6a6c66b3e4576326c5edea347d" "reload-failed" ERROR
        "The reload failed; version @BWS_CONFIG_VERSION@ still serves"
        "Nothing has changed for any client. The reason:\n\
        \n@BWS_ERRORS@\n\n\
        Correct it, check it with 'bws --config-check', and ask again:\n\
        \n    systemctl reload bws\n\n\
        A restart would not help: with a configuration that is refused, BWS does not start."

    PROGRAM_REPLACED = "7fae74b694437fdb4355ded02f6539b6" "program-replaced" INFO
        "BWS @BWS_VERSION@ has taken over from BWS @BWS_OLD_VERSION@"
        "A reload found another program on disk, asked it whether it understands the state and the configuration, and\n\
        became that program: same process, same sockets, same connections. Its first workers start now, the old ones\n\
        finish what they have begun."

    PORTS_MISSING = "97394faf00c0aa92d3ce9ae46a2f45b1" "ports-missing" WARN
        "BWS serves without some of its ports"
        "Only root may bind them, and at this start nobody held them: @BWS_REASON@.\n\
        Root's helper (ExecStartPost=+ of the service) binds them right after the start. If this lasts:\n\
        \n    systemctl reload bws"

    PORTS_DECLINED = "d462aa5e13000b9c10dfaaa9f0f0a96c" "ports-declined" WARN
        "Root binds no ports for BWS"
        "Its helper does not follow a configuration that others than root can write: @BWS_REASON@.\n\
        Correct the owner or the mode, then: systemctl reload bws"

    WORKER_STARTED = "02b6fbe9b41c40d7891298106e167bce" "worker-started" INFO
        "A worker (PID @BWS_WORKER_PID@) of generation @BWS_GENERATION@ was started"
        "It reads the configuration that the master has checked, and says when it is ready."

    WORKER_READY = "dbca617902394ffbb1ef8f13fae1be4e" "worker-ready" INFO
        "A worker (PID @BWS_WORKER_PID@) is ready after @BWS_DURATION_MS@ ms"
        "It accepts connections as soon as all workers of its generation are ready."

    WORKER_DRAINING = "76b3b447daa443789fb0ddb56571d66a" "worker-draining" INFO
        "A worker (PID @BWS_WORKER_PID@) finishes its connections"
        "It accepts no new ones, and leaves when the last one has ended, after server.shutdown_timeout at the latest."

    WORKER_GONE = "b74cb94da46541a58302f077a1930a5f" "worker-gone" DEBUG
        "A worker (PID @BWS_WORKER_PID@) @BWS_REASON@"
        "Its process has ended. Where that was not meant to be, another entry says so: BWS_EVENT=worker-lost."

    WORKER_LOST = "a514d0fe8b5d7e4b6d76d5f7ee246e55" "worker-lost" WARN
        "A worker (PID @BWS_WORKER_PID@) ended and is replaced"
        "A worker process of the generation in force @BWS_REASON@. The requests that it was answering are lost, no other\n\
        ones are: new connections wait in the sockets until its successor accepts.\n\
        A single loss after 'kill' or when memory ran out explains itself. If it happens again and again, look at what\n\
        the worker said last (journalctl -t bws-worker), at 'coredumpctl info' and at MemoryMax= of the service, and\n\
        report it."

    WORKER_HUNG = "34014dd0ea8dd2b16be4a61c16e7181a" "worker-hung" ERROR
        "A worker (PID @BWS_WORKER_PID@) hung and is replaced"
        "One of its threads did not answer the master's heartbeat for @BWS_DURATION_MS@ ms, so that its clients waited\n\
        in vain. It was killed, a successor takes its place.\n\
        Likely reasons: the process was stopped (SIGSTOP, a debugger), the machine hardly gets CPU time or swaps, or files\n\
        are served from a network drive that does not answer. If it is none of these, report it."

    WORKER_BROKEN = "5bc1ae95eb6e4e70adeeb35e58fbfbe4" "worker-broken" WARN
        "A worker (PID @BWS_WORKER_PID@) misbehaved and is killed"
        "What it did: it @BWS_REASON@. The connections that it had are lost. One of the generation in force is\n\
        replaced, one that drained would have left soon.\n\
        Shortly after a change of the program, it may be that worker and master are of versions that do not understand\n\
        each other. At any other time, report it."

    WORKER_START_FAILED = "36254bbc02949674ca44d61ae2de59be" "worker-start-failed" WARN
        "A new worker did not start"
        "The reason: @BWS_REASON@. It is tried again. When a reload was the occasion, the old workers serve on, and the\n\
        reload fails after several attempts; no client notices."

    WORKER_NOT_STOPPED = "1c391fb75f803117116783dc7dc7ca9d" "worker-not-stopped" WARN
        "An old worker (PID @BWS_WORKER_PID@) did not confirm that it stopped accepting"
        "The new configuration serves, but for a moment the old worker may have answered new connections as well. It is\n\
        told to drain, and killed when it does not answer."

    WORKER_OVERDUE = "29bad0ee49a012f395a60ae2bb6d5d1b" "worker-overdue" WARN
        "An old worker (PID @BWS_WORKER_PID@) drained beyond its deadline and is killed"
        "Its last connections are reset. If they were long downloads or tunnels that should have finished, raise\n\
        server.shutdown_timeout (and TimeoutStopSec= of the service above it)."

    WORKER_DRAINED = "bff3df8352e222bb2322078265520e44" "worker-drained" INFO
        "An old worker has finished its connections and leaves"
        "Nothing is left of the configuration that it served."

    MASTER_LOST = "507d4640b18b5b72447644d803b04f0e" "master-lost" WARN
        "The master is gone; its worker drains and leaves"
        "The master process ended without stopping its workers, as after 'kill -9'. Systemd starts it anew. If nobody\n\
        killed it, look for its last words in the journal and for 'coredumpctl info', and report it."

    RESOURCES_EXHAUSTED = "c2626f3d726c0dd24a16e6c70cb35250" "resources-exhausted" WARN
        "Descriptors, processes or memory ran out"
        "The message says which limit was reached and where to raise it. What is served goes on; new connections wait,\n\
        and a reload fails, until there is room again."

    CONFIGURATION_WARNING = "ebb96e99f178fdf4df93059de16ede65" "configuration-warning" WARN
        "The configuration serves, with a warning"
        "It is not wrong, but probably not what was meant. 'bws --config-check' shows the same."

    CERTIFICATE_EXPIRING = "ddf1a2849c13317aa150de548023512d" "certificate-expiring" WARN
        "The certificate of site '@BWS_SITE@' expires soon"
        "It is valid until @BWS_NOT_AFTER@. Clients refuse to connect after that. Renew the file\n\
        '@BWS_FILE@' and reload:\n\
        \n    systemctl reload bws"

    CERTIFICATES_EXPIRING = "febea89a56c7477683371369446fa33d" "certificates-expiring" WARN
        "@BWS_COUNT@ more certificates expire soon"
        "Beside those that were named one by one, as BWS_EVENT=certificate-expiring; the next one on @BWS_NOT_AFTER@.\n\
        Each is told once a day. All of them, with what is left:\n\
        \n    curl --unix-socket /run/bws/control.sock http://localhost/api/certificates\n\n\
        Renew the files and reload: systemctl reload bws"

    CERTIFICATE_ISSUED = "04bf830f37594ad3a93a539be7c2e43e" "certificate-issued" INFO
        "Site '@BWS_SITE@' got its certificate"
        "The authority issued it after it had seen whose the names are; it is valid until @BWS_NOT_AFTER@. A reload of this\n\
        certificate alone follows, and then clients see it. 'bws status' shows when it will be renewed."

    CERTIFICATE_RENEWED = "b8886eafe74c4c63baf4b7d7df77a0dd" "certificate-renewed" INFO
        "The certificate of site '@BWS_SITE@' was renewed"
        "The new one is valid until @BWS_NOT_AFTER@. A reload of this certificate alone follows; clients notice nothing."

    CERTIFICATE_FAILED = "cdb70fe3f72a4d8bbf9b537a22ad5151" "certificate-failed" WARN
        "Site '@BWS_SITE@' got no certificate"
        "The reason: @BWS_REASON@.\n\
        It is tried again in @BWS_DURATION_MS@ ms, after further failures later and later; 'systemctl reload bws' tries at\n\
        once. Meanwhile the site shows the certificate that it has, or one that no client trusts.\n\
        If the authority could not reach the site: its names must lead to this machine, port 80 (http-01) or 443\n\
        (tls-alpn-01) must be open to the world, and BWS must listen there."

    WATCHED_FILE_INVALID = "145097170e8941a29f81b0af1ce0b1d9" "watched-file-invalid" WARN
        "A watched file changed, but makes no valid configuration"
        "Nothing was reloaded: version @BWS_CONFIG_VERSION@ serves on. The message says what is wrong. When it is\n\
        corrected, the reload follows by itself (server.watch_config)."

    LOGS_REOPENED = "fe4a1de0134bf0579c8e1543cb3cf178" "logs-reopened" INFO
        "Log files were opened anew"
        "After SIGUSR1, as logrotate sends it: further lines go to files of the configured names."

    CLIENT_REFUSED = "dfed0314fd50bf7b2a4cb18bad715f40" "client-refused" INFO
        "A client is refused for its certificate"
        "A site with 'client_ca' wants to know its clients, and this one did not show what it should: @BWS_REASON@.\n\
        This is told once a minute at most; the metric bws_tls_handshakes_failed_total counts all of them."

    ACCESS_LOG_LOST = "88041a21639d19d215802a4a3ef6b7db" "access-log-lost" WARN
        "The access log cannot be written"
        "Requests are answered, but @BWS_COUNT@ of them are missing in the access log '@BWS_FILE@'. The message says why:\n\
        mostly a disk that is full or too slow. Make room; nothing needs to be restarted. The metric\n\
        bws_access_log_dropped_total counts all of them."

    UPSTREAM_DOWN = "0c63e360836d45578a3cf0785cc4dd02" "upstream-down" WARN
        "The upstream '@BWS_UPSTREAM@' of site '@BWS_SITE@' is down"
        "The reason: @BWS_REASON@. Requests go to the other servers of the same upstream name; where there is none, they are\n\
        answered 503. A request now and then, or the health check, finds out when it is back; another entry tells then.\n\
        What all of them do: GET /api/upstreams of the management API, or the metric bws_upstream_healthy."

    UPSTREAM_BACK = "66ed3be8c47f4f4abe26edfd499b031f" "upstream-back" INFO
        "The upstream '@BWS_UPSTREAM@' of site '@BWS_SITE@' is back"
        "It answers again, and gets its share of the requests within a few seconds."
}

/// The message catalog, as journalctl --update-catalog reads it.
pub fn catalog() -> String {
    let mut text = String::from(
        "# The message catalog of BWS: what 'journalctl -x' adds to its entries.\n\
         # Made by 'bws generate catalog' from src/systemd/events.rs.\n",
    );
    for event in ALL {
        text += &format!(
            "\n-- {}\nSubject: {}\nDefined-By: BWS\nDocumentation: man:bws(8)\n\n{}\n",
            event.id, event.subject, event.explanation
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn identifiers_and_names_are_unique_and_well_formed() {
        let ids: BTreeSet<_> = ALL.iter().map(|event| event.id).collect();
        let names: BTreeSet<_> = ALL.iter().map(|event| event.name).collect();
        assert_eq!((ids.len(), names.len()), (ALL.len(), ALL.len()));
        for event in ALL {
            let hexadecimal = |sign: char| sign.is_ascii_digit() || ('a'..='f').contains(&sign);
            assert!(event.id.len() == 32 && event.id.chars().all(hexadecimal));
            let fits = |line: &str| line.chars().count() <= 120 && line.trim_end() == line;
            assert!(event.explanation.lines().all(fits), "{}", event.name);
            assert!(event.subject.len() <= 100, "{}", event.name);
        }
    }

    #[test]
    fn the_shipped_catalog_is_made_from_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/bws.catalog");
        let shipped = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            shipped,
            catalog(),
            "bws generate catalog > systemd/bws.catalog"
        );
    }

    #[test]
    fn the_manual_lists_every_event() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/man/bws.8");
        let manual = std::fs::read_to_string(path).unwrap();
        for event in ALL {
            let item = format!("\n.It Li {}\n", event.name);
            assert!(manual.contains(&item), "man/bws.8: {}", event.name);
        }
    }

    #[test]
    fn fields_named_by_the_catalog_are_told() {
        let mut sources = String::new();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        for file in [
            "core/journal.rs",
            "core/hot_reload/journal.rs",
            "worker/journal.rs",
        ] {
            sources += &std::fs::read_to_string(format!("{root}/{file}")).unwrap();
        }
        for event in ALL {
            for field in event.subject.split('@').chain(event.explanation.split('@')) {
                if field.starts_with("BWS_") {
                    assert!(sources.contains(&format!("{field} =")), "{field}");
                }
            }
        }
        for word in sources.split("tell!(").skip(1) {
            assert!(word.contains(';'), "tell! without a message");
        }
    }
}
