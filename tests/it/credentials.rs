//! Keys that only the service sees: `credential:NAME`.

use std::fs;
use std::process::Command;

use crate::client::storm::{Kind, Storm};
use crate::harness::bws::{Bws, binary};
use crate::harness::demo::{Demo, HOST};
use crate::harness::{listener, runtime};

fn with_credential(demo: &Demo) -> String {
    let key = demo.pair.key_file.display().to_string();
    demo.bws(0).replace(&key, "credential:site.key")
}

fn move_key_to_credentials(demo: &Demo) -> String {
    let folder = demo.path().join("credentials");
    fs::create_dir_all(&folder).unwrap();
    fs::rename(&demo.pair.key_file, folder.join("site.key")).unwrap();
    folder.display().to_string()
}

#[test]
fn a_credential_serves_and_its_renewal_too() {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(0, plain.1, secure.1);
    let folder = move_key_to_credentials(&demo);
    let config = with_credential(&demo);
    let environment = [("CREDENTIALS_DIRECTORY", &*folder)];
    let server = Bws::start_with(demo.path(), &config, vec![plain.0, secure.0], &environment);
    demo.authority.issue(demo.path(), "site", &[HOST]);
    // The certificate is new and the key is not yet: nothing may change.
    assert!(!server.reload().status.success());
    move_key_to_credentials(&demo);
    server.reload_to(&config);
    let sums = runtime().block_on(async {
        let pause = std::time::Duration::from_millis(1);
        let storm = Storm::start(&demo.target(), &[Kind::Http2], 2, pause);
        tokio::time::sleep(pause * 100).await;
        storm.stop().await
    });
    assert!(
        sums[0].1.requests() > 0 && sums[0].1.failures() == 0,
        "{}",
        sums[0].1
    );
}

#[test]
fn outside_the_service_a_check_says_what_it_cannot_see() {
    let demo = Demo::new(0, listener().1, listener().1);
    let path = demo.path().join("config.toml");
    fs::write(&path, with_credential(&demo)).unwrap();
    let mut check = Command::new(binary());
    check.arg("--config-check").arg(&path);
    let output = check.env_remove("CREDENTIALS_DIRECTORY").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("'site.key' cannot be checked here"), "{said}");
}

#[test]
fn a_service_without_the_credential_says_which_line_to_write() {
    let demo = Demo::new(0, listener().1, listener().1);
    let mut server = Bws::launch(&binary(), demo.path(), &with_credential(&demo), Vec::new());
    assert_eq!(server.process.wait().code(), Some(78));
    let log = server.process.output();
    assert!(log.contains("LoadCredential=site.key:"), "{log}");
}
