//! The published example configurations load unchanged once their folders and certificates exist.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::bws::{Bws, binary};
use crate::harness::certificates::Authority;

const FOLDERS: &str = "/var/www/html /var/www/api /var/www/company /etc/ssl/certs /etc/ssl/private";

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/examples");
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    found.sort();
    found
}

/// A program that runs BWS where the examples' absolute paths exist and their ports are free: in namespaces of its
/// own, so that nothing of the machine is touched.
fn in_a_world_of_its_own(folder: &Path) -> PathBuf {
    let pair = Authority::new().issue(folder, "site", &["secure.example.com"]);
    let script = format!(
        r#"#!/bin/sh
set -e
[ "$(id -u)" = 0 ] || user="--user --map-root-user"
exec unshare $user --mount --net sh -c '
set -e
mount -t tmpfs tmpfs /var; mount -t tmpfs tmpfs /etc
mkdir -p {FOLDERS}
cp {cert} /etc/ssl/certs/new-cert.pem; cp {key} /etc/ssl/private/new-key.pem
exec "$0" "$@"' {binary} "$@"
"#,
        cert = pair.cert_file.display(),
        key = pair.key_file.display(),
        binary = binary().display(),
    );
    let path = folder.join("bws-elsewhere");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn they_pass_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let program = in_a_world_of_its_own(folder.path());
    let examples = examples();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let output = Command::new(&program)
            .arg("--config-check")
            .arg(&example)
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}: {output:?}",
            example.display()
        );
    }
}

#[test]
fn they_serve() {
    for example in examples() {
        let folder = tempfile::tempdir().unwrap();
        let program = in_a_world_of_its_own(folder.path());
        let config = fs::read_to_string(&example).unwrap();
        // Waits for READY=1: all sockets are bound, a worker accepts.
        let server = Bws::start_binary(&program, folder.path(), &config, Vec::new());
        let (status, _) = server.stop();
        assert!(status.success(), "{}: {status}", example.display());
    }
}
