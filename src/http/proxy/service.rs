//! A pool whose servers are the targets of a service (RFC 2782), as all threads know it. When the targets change there is
//! a new standing; what is known of a target is found again by its address, as after a reload.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::standing::{Ground, PoolStanding};
use crate::config::types::{Pool, Upstream, UpstreamAddress};
use crate::dns::Target;

/// Targets that are used: those of the lowest priorities.
const MOST: usize = 256;
/// Of a weight of 1, where another target has 0: that one is chosen hardly ever.
const HARDLY_EVER: u32 = 100;

pub(super) struct Service {
    pub(super) name: String,
    site: String,
    pool: String,
    /// Each target's upstream but for its address and weight.
    template: Upstream,
    ground: Ground,
    fleet: Mutex<Option<Arc<Fleet>>>,
    /// Of the fleet; 0: there is none.
    version: AtomicU64,
}

/// The servers of a service at a time.
pub(super) struct Fleet {
    pub(super) version: u64,
    targets: Arc<[Target]>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) priorities: Vec<u16>,
    pub(super) standing: Arc<PoolStanding>,
}

impl Service {
    /// The service that `pool` is made of.
    pub(super) fn of(pool: &Pool, site: &str, ground: Ground) -> Option<Self> {
        let [template] = &pool.servers[..] else {
            return None;
        };
        let UpstreamAddress::Service(name) = &template.address else {
            return None;
        };
        Some(Self {
            name: name.clone(),
            site: site.to_owned(),
            pool: pool.name.clone(),
            template: template.clone(),
            ground,
            fleet: Mutex::default(),
            version: AtomicU64::new(0),
        })
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn fleet(&self) -> Option<Arc<Fleet>> {
        let fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        fleet.clone()
    }

    /// From now on these are the targets.
    pub(super) fn learn(&self, targets: &Arc<[Target]>) {
        let mut fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        if fleet.as_ref().is_some_and(|it| it.targets == *targets) {
            return;
        }
        let version = self.version() + 1;
        *fleet = Some(Arc::new(self.make(version, targets)));
        self.version.store(version, Ordering::Release);
    }

    fn make(&self, version: u64, targets: &Arc<[Target]>) -> Fleet {
        let used = &targets[..targets.len().min(MOST)];
        let zeros = used.iter().any(|target| target.weight == 0);
        let upstream = |target: &Target| Upstream {
            address: UpstreamAddress::Http {
                host: target.host.clone(),
                port: target.port,
            },
            weight: match (target.weight, zeros) {
                (0, _) => 1,
                (weight, true) => u32::from(weight) * HARDLY_EVER,
                (weight, false) => weight.into(),
            },
            ..self.template.clone()
        };
        let pool = Pool {
            name: self.pool.clone(),
            servers: used.iter().map(upstream).collect(),
        };
        Fleet {
            version,
            targets: targets.clone(),
            priorities: used.iter().map(|target| target.priority).collect(),
            standing: Arc::new(PoolStanding::new(self.ground, &self.site, &pool)),
            upstreams: pool.servers,
        }
    }
}
