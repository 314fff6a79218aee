//! `bws bind-ports`: root binds what the configuration wants and the running master may not bind itself.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::arguments::BindPorts;
use super::output::{complain, print};
use crate::config;
use crate::config::types::ListenAddress;
use crate::core::ports::helper::{Helper, Outcome};
use crate::core::ports::trust;

/// With the reload of a start that lacked ports.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn run(order: &BindPorts) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let work = tokio::time::timeout(TIMEOUT, bind(order)).await;
        work.with_context(|| format!("the master took longer than {} s", TIMEOUT.as_secs()))?
    })
}

async fn bind(order: &BindPorts) -> anyhow::Result<ExitCode> {
    let helper = Helper::connect(order.control.as_deref()).await?;
    match addresses(order) {
        Ok(Some(wanted)) => Ok(tell(&helper.provide(&wanted).await?)),
        Ok(None) => Ok(ExitCode::SUCCESS),
        Err(reason) => {
            complain(&format!("bws: no ports are bound: {reason}"));
            helper.decline(&reason).await?;
            // Whether any is needed, and what to do then, the reload knows.
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// None: the file is broken, which the reload tells better.
fn addresses(order: &BindPorts) -> Result<Option<Vec<ListenAddress>>, String> {
    trust::check(&order.file)?;
    let Ok(addresses) = config::addresses(&order.file) else {
        complain("bws: no ports are bound: the configuration is not valid; the reload says why");
        return Ok(None);
    };
    addresses
        .sources
        .iter()
        .try_for_each(|source| trust::check(source))?;
    Ok(Some(addresses.listen))
}

/// The reload that follows fails for what could not be bound; where none follows, this does.
fn tell(outcome: &Outcome) -> ExitCode {
    for address in &outcome.bound {
        print(&format!("{} is bound for the server\n", show(address)));
    }
    for problem in &outcome.refused {
        complain(&format!("bws: {problem}"));
    }
    match &outcome.served {
        Some(Err(problem)) => {
            complain(&format!("bws: not everything is served: {problem}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn show(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Port(port) => format!("port {port}"),
        ListenAddress::Address(address) => format!("'{address}'"),
        ListenAddress::Unix(path) => format!("'unix:{}'", path.display()),
    }
}
