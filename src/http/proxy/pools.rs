//! The pools of a site as one thread knows them.

use std::rc::Rc;

use super::follower::Follower;
use super::headers::Rules;
use super::pool::Pool;
use super::server::Servers;
use super::standing::PoolStanding;
use crate::config::types::{self, Balancing, Config, SiteIndex};

/// The pools of one site, on one thread.
pub(in crate::http) struct Pools {
    pools: Vec<Kind>,
    pub(super) rules: Rules,
}

enum Kind {
    /// With the servers of the configuration.
    Fixed(Rc<Pool>),
    /// With those of a service.
    Following(Rc<Follower>),
}

impl Pools {
    /// None for a site without a proxy.
    pub(in crate::http) fn new(
        config: &Config,
        site: SiteIndex,
        servers: &Servers,
    ) -> Option<Self> {
        let proxy = config.sites.get(site as usize)?.proxy.as_ref()?;
        let standings = servers.standings.site(config, site)?;
        let pools = proxy.pools.iter().zip(standings.iter());
        Some(Self {
            pools: pools
                .map(|(pool, standing)| Kind::new(pool, standing, proxy.balancing, servers))
                .collect(),
            rules: Rules::new(&proxy.headers),
        })
    }

    /// A pool; and when nothing is known of its servers yet, who will know them.
    pub(super) fn pool(&self, number: usize) -> Option<(Rc<Pool>, Option<&Rc<Follower>>)> {
        Some(match self.pools.get(number)? {
            Kind::Fixed(pool) => (pool.clone(), None),
            Kind::Following(follower) => {
                let pool = follower.pool();
                let unknown = pool.is_empty();
                (pool, unknown.then_some(follower))
            }
        })
    }
}

impl Kind {
    fn new(
        pool: &types::Pool,
        standing: &std::sync::Arc<PoolStanding>,
        balancing: Balancing,
        servers: &Servers,
    ) -> Self {
        let own = match standing.service {
            Some(_) => &[],
            None => &pool.servers[..],
        };
        let pool = Rc::new(Pool::new(balancing, own, standing, servers));
        match standing.service {
            Some(_) => Self::Following(Follower::new(pool, balancing, standing, servers)),
            None => Self::Fixed(pool),
        }
    }
}
