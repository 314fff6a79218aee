//! The same for those who have no runtime and may wait.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::lookup::Target;
use super::resolver::Resolver;

impl Resolver {
    /// The addresses of `host`, which may be one itself, within `limit`.
    pub fn wait_for_addresses(&self, host: &str, limit: Duration) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let known = wait(|| self.addresses(host, false), limit)?;
        Ok(known.values.to_vec())
    }

    /// The targets of `service`, within `limit`.
    pub fn wait_for_targets(&self, service: &str, limit: Duration) -> io::Result<Vec<Target>> {
        let known = wait(|| self.targets(service, false), limit)?;
        Ok(known.values.to_vec())
    }
}

/// On a thread of its own: the caller's may have a runtime already.
fn wait<T: Send, F: Future<Output = io::Result<T>>>(
    find: impl FnOnce() -> F + Send,
    limit: Duration,
) -> io::Result<T> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(async { tokio::time::timeout(limit, find()).await });
        // What still asks the system is not waited for.
        runtime.shutdown_background();
        outcome?
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work)?;
        let outcome = thread.join();
        outcome.unwrap_or_else(|_| Err(io::Error::other("the lookup broke off")))
    })
}
