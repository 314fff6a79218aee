//! A request becomes a response.

mod answering;
mod authority;
mod list;
mod metrics;
mod passage;
mod room;

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};

pub use self::answering::{Answering, Later};
use self::room::Room;
use super::admission::{self, Refusal};
use super::body::{Body, RequestBody};
use super::caching;
use super::challenges::{self, Challenges};
pub use super::client_certificate::{ClientCertificate, Verification};
use super::compression::{self, Compressors};
pub use super::connection::{Connection, Entrance, User, Visit};
use super::endpoints;
use super::error_page::{self, Audience};
use super::interim::Interim;
use super::leftover;
use super::max_forwards;
use super::metrics_page::MetricsPage;
use super::middleware::{Chain, Common};
use super::proxy::{self, Checks, Servers, Standings, Target, Tell, TlsClients};
use super::reach::Reach;
use super::recycled::Recycled;
use super::router::Router;
use super::site::Site;
use super::static_files::{self, Entry, FileCache};
use crate::config::types::{Config, SiteIndex};
use crate::dns::Resolver;
use crate::metrics::counters::Recorder;
use crate::metrics::lasting::Lasting;

/// What all threads of a worker share: made once, never written.
pub struct Shared {
    pub config: Arc<Config>,
    pub identity: Identity,
    upstream_tls: Arc<TlsClients>,
    /// Shared with the workers before and after this one.
    pub lasting: Lasting<'static>,
    /// What authorities are answered.
    pub challenges: Challenges,
    pub metrics: MetricsPage,
    router: Router,
    reach: Reach,
    middleware: Common,
    upstreams: Arc<Standings>,
    resolver: Arc<Resolver>,
}

impl Shared {
    /// Prepares the lookup of sites; everything else is made by the threads, site by site as they are asked for. What
    /// becomes of upstreams goes to `tell`.
    pub fn new(
        config: Arc<Config>,
        identity: Identity,
        lasting: Lasting<'static>,
        tell: Tell,
    ) -> Self {
        let router = Router::new(&config);
        let reach = Reach::new(&config);
        let challenges = Challenges::new(&config);
        let middleware = Common::new(&config, lasting);
        let upstreams = Standings::new(config.sites.len(), lasting, tell);
        Self {
            upstream_tls: Arc::new(TlsClients::new(config.clone())),
            resolver: Arc::new(Resolver::new(config.resolver.clone())),
            config,
            identity,
            lasting,
            challenges,
            metrics: MetricsPage::default(),
            router,
            reach,
            middleware,
            upstreams,
        }
    }
}

impl Shared {
    /// Whether connections from `peer` begin with a header of the PROXY protocol.
    pub fn is_introduced_by(&self, peer: IpAddr) -> bool {
        self.config.security.proxy_protocol && self.middleware.trusts(peer)
    }

    /// What the threads know of names.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Whether `connection` may ask for `host`, which belongs to `site`.
    fn reaches(&self, connection: &Connection, site: SiteIndex, host: &str) -> bool {
        let Some(entrance) = &connection.entrance else {
            return true;
        };
        entrance.site == site || {
            let meant = self.router.is_named(connection.listener, host);
            let host = meant.then_some(host);
            self.reach.admits(&self.config, entrance, site, host)
        }
    }
}

/// What `/health` tells of the process.
#[derive(Clone, Debug)]
pub struct Identity {
    pub generation: u64,
    pub config_version: u64,
    /// The master's start, nanoseconds since the epoch.
    pub started_at_ns: u64,
}

/// A response, and whose it is.
pub struct Answered {
    pub response: Response<Body>,
    /// None when no site was responsible.
    pub site: Option<SiteIndex>,
}

/// One thread's server of requests.
pub struct Service {
    pub shared: Arc<Shared>,
    pub recorder: Recorder,
    sites: Box<[OnceCell<Rc<Site>>]>,
    files: FileCache,
    servers: Servers,
    compressors: Compressors,
    ready: Cell<bool>,
    checks: RefCell<Checks>,
}

/// An answer, at once or later: files take no await, so the future that every request has stays small.
enum Answer {
    Now(Response<Body>),
    Later(Recycled),
}

impl Answer {
    async fn response(self) -> Response<Body> {
        match self {
            Self::Now(response) => response,
            Self::Later(later) => later.await,
        }
    }
}

impl Service {
    /// The server of the calling thread; counts in `recorder`.
    pub fn new(shared: Arc<Shared>, recorder: Recorder) -> Rc<Self> {
        let sites = shared
            .config
            .sites
            .iter()
            .map(|_| OnceCell::new())
            .collect();
        Rc::new(Self {
            servers: Servers::new(
                shared.upstreams.clone(),
                shared.upstream_tls.clone(),
                shared.resolver.clone(),
            ),
            shared,
            recorder,
            sites,
            files: FileCache::default(),
            compressors: Compressors::default(),
            ready: Cell::new(true),
            checks: RefCell::default(),
        })
    }

    /// Begins to check the health of the upstreams, unless another thread does. Needs a `LocalSet`.
    pub fn start_checks(&self) {
        if self.shared.upstreams.claim_checks() {
            *self.checks.borrow_mut() = Checks::start(&self.shared.config, &self.servers);
        }
    }

    /// Leaves the checks to the next generation.
    pub fn stop_checks(&self) {
        self.checks.take();
    }

    /// What `/api/health/ready` says; true from the start, a draining worker may say no.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(ready);
    }

    /// What `request` shows of its connection and of who is behind it.
    pub fn identify<B>(
        &self,
        request: &mut Request<B>,
        connection: &Rc<Connection>,
    ) -> Rc<Connection> {
        self.shared.middleware.identify(request, connection)
    }

    /// Never fails: what goes wrong becomes a response of status 4xx or 5xx. What comes before it goes to `interim`.
    pub fn answer(
        self: Rc<Self>,
        request: Request<RequestBody>,
        connection: Rc<Connection>,
        interim: Option<Rc<dyn Interim>>,
    ) -> Answering {
        let visit = connection.visit.clone();
        let (answer, site) = self.dispatch(request, connection, interim);
        Answering::new(answer, site, visit)
    }

    fn dispatch(
        self: Rc<Self>,
        request: Request<RequestBody>,
        connection: Rc<Connection>,
        interim: Option<Rc<dyn Interim>>,
    ) -> (Answer, Option<SiteIndex>) {
        let site = match self.find_site(&request, &connection) {
            Ok(site) => site,
            Err(refusal) => return (Answer::Now(self.refuse(&request, refusal)), None),
        };
        let index = site.index;
        if let Some(token) = challenges::token(request.uri().path()) {
            if let Some(response) = self.answer_authority(&site, token, &request) {
                leftover::finish(request);
                return (Answer::Now(response), Some(index));
            }
        }
        let answer = match &site.chain {
            None => self.answer_content(site, request, connection, interim),
            Some(chain) => self.pass(chain.clone(), site, request, connection, interim),
        };
        (answer, Some(index))
    }

    fn answer_content(
        self: Rc<Self>,
        site: Rc<Site>,
        mut request: Request<RequestBody>,
        connection: Rc<Connection>,
        interim: Option<Rc<dyn Interim>>,
    ) -> Answer {
        let mut room = self.room(&site, request.method(), request.uri().path());
        if let Some(limit) = self.max_request_size(&site, &room) {
            request.body_mut().limit_to(limit);
        }
        if request.body().announces_too_much() {
            room = Room::Error(StatusCode::PAYLOAD_TOO_LARGE);
        }
        match room {
            Room::Upstream(target) if max_forwards::allow(&mut request) => {
                Answer::Later(self.forward(site, target, request, connection, interim))
            }
            Room::Metrics if is_readable(request.method()) => {
                Answer::Later(self.show_metrics(site, request))
            }
            Room::Static(Entry::Listing(folder)) if is_readable(request.method()) => {
                Answer::Later(self.list(site, folder, request))
            }
            room => {
                let response = self.respond(&site, room, &request);
                self.recorder
                    .request(site.index, response.status().as_u16());
                leftover::finish(request);
                Answer::Now(response)
            }
        }
    }

    fn find_site<B>(
        &self,
        request: &Request<B>,
        connection: &Connection,
    ) -> Result<Rc<Site>, Refusal> {
        let limits = self.shared.config.performance.head_limits();
        let host = admission::admit(request, &limits)?;
        let index = self.shared.router.site(connection.listener, host);
        let index = index.filter(|&index| self.shared.reaches(connection, index, host));
        index.and_then(|index| self.site(index)).ok_or(Refusal {
            status: StatusCode::MISDIRECTED_REQUEST,
            close: true,
        })
    }

    fn site(&self, index: SiteIndex) -> Option<Rc<Site>> {
        let cell = self.sites.get(index as usize)?;
        if let Some(site) = cell.get() {
            return Some(site.clone());
        }
        let config = &self.shared.config;
        let mut site = Site::new(config, index, &self.servers, &self.compressors)?;
        site.chain = Chain::new(config.sites.get(index as usize)?, &self.shared.middleware);
        let site = Rc::new(site);
        Some(cell.get_or_init(|| site).clone())
    }

    fn respond<B>(&self, site: &Site, room: Room, request: &Request<B>) -> Response<Body> {
        let (method, headers) = (request.method(), request.headers());
        let audience = || Audience::of(method, headers);
        let status = match room {
            Room::Static(Entry::File(file)) if is_readable(method) => {
                return static_files::respond_file(site, &file, method, headers);
            }
            Room::Endpoint(endpoint) if is_readable(method) => {
                let ready = self.ready.get();
                return endpoints::answer(endpoint, method, &self.shared, ready, &site.base);
            }
            Room::Static(Entry::Folder { .. }) => {
                return static_files::respond_redirect(site, request.uri(), audience());
            }
            Room::Methods
            | Room::Static(Entry::File(_) | Entry::Listing(_))
            | Room::Endpoint(_)
            | Room::Metrics
            | Room::Upstream(_) => {
                return static_files::respond_methods(site, method, headers);
            }
            Room::Static(Entry::Missing(status)) | Room::Error(status) => status,
        };
        let mut response = site.response();
        site.write_error(&mut response, status, audience());
        response
    }

    fn forward(
        self: Rc<Self>,
        site: Rc<Site>,
        target: Target,
        request: Request<RequestBody>,
        connection: Rc<Connection>,
        interim: Option<Rc<dyn Interim>>,
    ) -> Recycled {
        Recycled::new(async move {
            let (method, headers) = (request.method(), request.headers());
            let audience = Audience::of(method, headers);
            let compression = site.compression.as_deref();
            let asked = compression.map(|it| (it, compression::Request::new(method, headers)));
            let known =
                request.extensions().get::<User>().is_some() || connection.verified().is_some();
            let told = site.cache_proxied.as_ref();
            let told = told.filter(|_| caching::is_for_all(method, headers) && !known);
            let config = &self.shared.config.sites[site.index as usize];
            let forwarded = match (&config.proxy, &site.pools) {
                (Some(proxy), Some(pools)) => {
                    match proxy::forward(proxy, pools, target, request, &connection, interim) {
                        Ok(mut forwarding) => forwarding.answer().await,
                        Err(unanswered) => Err(unanswered),
                    }
                }
                _ => Err(StatusCode::NOT_FOUND.into()),
            };
            let mut response =
                forwarded.unwrap_or_else(|unanswered| unanswered.respond(&site, audience));
            if let Some(told) = told {
                caching::tell(told, &mut response);
            }
            site.finish_headers(response.headers_mut());
            if let Some((compression, asked)) = asked {
                compression.apply(asked, &mut response);
            }
            self.recorder
                .request(site.index, response.status().as_u16());
            response
        })
    }

    /// A request that belongs to no site.
    fn refuse(&self, request: &Request<RequestBody>, refusal: Refusal) -> Response<Body> {
        self.recorder.malformed(refusal.status.as_u16());
        let audience = Audience::of(request.method(), request.headers());
        let mut response = if refusal.close && request.version() <= http::Version::HTTP_11 {
            error_page::respond_error_and_close(refusal.status, audience)
        } else {
            error_page::respond_error(refusal.status, audience)
        };
        if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = http::HeaderValue::from_static("GET, HEAD, OPTIONS");
            response.headers_mut().insert(http::header::ALLOW, allowed);
        }
        response
    }
}

fn is_readable(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}
