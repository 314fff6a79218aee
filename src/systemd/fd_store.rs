//! The file descriptor store of the service manager (FileDescriptorStoreMax= in systemd.service(5)): listening sockets
//! that it keeps open for us over a restart or a crash, and passes at the next start beside those of the socket units.

use std::os::fd::BorrowedFd;

use super::notify;

/// In front of the names of our descriptors, which no socket unit has.
const PREFIX: &str = "bws-store-";
/// Of a name, sd_pid_notify_with_fds(3).
const LONGEST: usize = 255;

/// The name under which the socket of an address is kept: one for each address.
pub fn name(address: &str) -> String {
    let allowed = |sign: char| match sign {
        // Colons separate names, the rest is not allowed.
        ':' => '_',
        '!'..='~' => sign,
        _ => '-',
    };
    let mut name = format!("{PREFIX}{address}")
        .chars()
        .map(allowed)
        .collect::<String>();
    name.truncate(LONGEST);
    name
}

pub fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Has a copy of the descriptor kept. False: nobody keeps it.
pub fn keep(name: &str, descriptor: BorrowedFd<'_>) -> bool {
    let text = format!("FDSTORE=1\nFDPOLL=0\nFDNAME={name}\n");
    notify::send_with(&text, Some(descriptor))
}

/// Has it closed.
pub fn forget(name: &str) {
    notify::send_with(&format!("FDSTOREREMOVE=1\nFDNAME={name}\n"), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_service_manager_takes() {
        assert_eq!(name("[::1]:81"), "bws-store-[__1]_81");
        assert!(is_ours(&name("/run/bws/site.sock")));
        assert!(!is_ours("bws.socket"));
        assert_eq!(name(&"ü".repeat(300)).len(), LONGEST);
    }
}
