//! A request with its response. Whatever becomes of it, its end is the drop of the last part that goes to the client:
//! then it is counted and logged, with the bytes that really left.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use http::header::{HOST, HeaderValue, REFERER, USER_AGENT};
use http::{Method, Request, Uri, Version};

use super::AccessLog;
use super::line::{Record, RequestLine};
use crate::config::types::SiteIndex;
use crate::http::service::{Connection, User};
use crate::metrics::counters::{Recorder, SITE_BYTES};
use crate::worker::activity::{Activity, Ticks};
use crate::worker::thread::Thread;

/// What is logged for a client that left before its response began, as nginx does.
const CLIENT_LEFT: u16 = 499;

pub struct Exchange {
    recorder: Recorder,
    activity: Rc<Activity>,
    site: Cell<Option<SiteIndex>>,
    /// None until its response begins.
    status: Cell<Option<u16>>,
    /// Body bytes.
    sent: Cell<u64>,
    /// Of its response there is more than the client takes.
    owed: Cell<bool>,
    began: Ticks,
    /// Where an access log is kept.
    logged: Option<Box<Logged>>,
}

/// What of the request stands in the log.
struct Logged {
    thread: Rc<Thread>,
    log: Rc<AccessLog>,
    connection: Rc<Connection>,
    started: Instant,
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    user: OnceCell<User>,
}

impl Exchange {
    pub fn begin<B>(
        thread: &Rc<Thread>,
        connection: &Rc<Connection>,
        activity: &Rc<Activity>,
        request: &Request<B>,
    ) -> Rc<Self> {
        let header = |name| request.headers().get(name).cloned();
        let logged = thread.access_log.as_ref().map(|log| {
            Box::new(Logged {
                thread: thread.clone(),
                log: log.clone(),
                connection: connection.clone(),
                started: Instant::now(),
                method: request.method().clone(),
                uri: request.uri().clone(),
                version: request.version(),
                host: header(HOST),
                referer: header(REFERER),
                user_agent: header(USER_AGENT),
                user: OnceCell::new(),
            })
        });
        Rc::new(Self {
            recorder: thread.recorder,
            activity: activity.clone(),
            site: Cell::new(None),
            status: Cell::new(None),
            sent: Cell::new(0),
            owed: Cell::new(false),
            began: activity.now(),
            logged,
        })
    }

    /// Its response begins.
    pub fn answered(&self, status: u16, site: Option<SiteIndex>) {
        self.status.set(Some(status));
        self.site.set(site);
    }

    /// Its response, if one begins, is `site`'s.
    pub fn concerns(&self, site: Option<SiteIndex>) {
        self.site.set(site);
    }

    pub fn site(&self) -> Option<SiteIndex> {
        self.site.get()
    }

    /// The client left before it was answered, whatever it is told.
    pub fn client_left(&self) {
        self.status.set(Some(CLIENT_LEFT));
    }

    /// Somebody is known by name.
    pub fn known_as(&self, user: User) {
        if let Some(logged) = &self.logged {
            // A request has one response.
            let _ = logged.user.set(user);
        }
    }

    /// So many bytes of the body left.
    pub fn sent(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
        self.activity.note_taken(bytes as u64, self.began);
    }

    /// Bytes of the body that left.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.get()
    }

    pub fn is_owed(&self) -> bool {
        self.owed.get()
    }

    /// HTTP/1: whether something that was to be written waits for the client.
    pub fn is_blocked(&self) -> bool {
        self.activity.write_blocked.get()
    }

    /// The body has something for the client, or the client has all that there is.
    pub fn owes(&self, before: bool, now: bool) {
        self.owed.set(now);
        self.activity.note_owed(before, now);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let refused = self.activity.refused.get();
        if let (None, Some(status), Some(site)) = (self.status.get(), refused, self.site.get()) {
            self.recorder.request(site, status);
        }
        if let Some(site) = self.site.get() {
            self.recorder.site(site, SITE_BYTES, self.sent.get());
        }
        if let Some(logged) = &self.logged {
            logged.log.add(&self.record(logged));
        }
    }
}

impl Exchange {
    fn status(&self) -> u16 {
        let status = self.status.get().or(self.activity.refused.get());
        status.unwrap_or(CLIENT_LEFT)
    }

    fn record<'a>(&self, logged: &'a Logged) -> Record<'a> {
        let site = self.site.get().map(|site| site as usize);
        let sites = &logged.thread.process.config.sites;
        let site = site.and_then(|site| sites.get(site));
        let visit = logged.connection.visit.as_deref();
        Record {
            at: SystemTime::now(),
            took: logged.started.elapsed(),
            client: logged.connection.peer.map(|peer| peer.ip()),
            secure: logged.connection.secure,
            site: site.map(|site| &*site.name),
            host: logged.host.as_ref(),
            request: Some(RequestLine {
                method: &logged.method,
                uri: &logged.uri,
                version: logged.version,
            }),
            status: self.status(),
            sent: self.sent.get(),
            referer: logged.referer.as_ref(),
            user_agent: logged.user_agent.as_ref(),
            user: logged.user.get().map(|User(user)| &**user),
            request_id: visit.and_then(|visit| visit.request_id.as_ref()),
            client_subject: logged.connection.verified().map(|client| &client.subject),
        }
    }
}
