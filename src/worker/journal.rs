//! What a worker tells the operator: each function is one event of `systemd::events`.

use std::path::Path;

use crate::systemd::events::tell;

pub fn master_lost() {
    tell!(MASTER_LOST; "the master is gone: draining");
}

pub fn drained() {
    tell!(WORKER_DRAINED; "graceful shutdown complete");
}

pub fn access_log_lost(file: &Path, count: u64, reason: &str) {
    let file = file.display().to_string();
    tell!(
        ACCESS_LOG_LOST,
        BWS_FILE = file,
        BWS_COUNT = count;
        "{count} requests are not in the access log '{file}': {reason}"
    );
}
