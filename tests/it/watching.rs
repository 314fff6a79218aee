//! `watch_config`: a changed file reloads by itself, when it is valid.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::bws::Bws;
use crate::harness::demo::{Demo, HOST};
use crate::harness::{listener, wait_for};

fn watched(demo: &Demo, number: u32) -> String {
    format!("[server]\nwatch_config = true\n\n{}", demo.bws(number))
}

fn serve() -> (Demo, Bws) {
    let (plain, secure) = (listener(), listener());
    let demo = Demo::new(3, plain.1, secure.1);
    let server = Bws::start(demo.path(), &watched(&demo, 0), vec![plain.0, secure.0]);
    (demo, server)
}

fn wait_served(demo: &Demo, number: u32) {
    wait_for("the changed configuration", || {
        (demo.served() == number).then_some(())
    });
}

#[test]
fn however_an_editor_writes() {
    let (demo, server) = serve();
    server.configure(&watched(&demo, 1));
    wait_served(&demo, 1);
    fs::write(server.config_path(), watched(&demo, 2)).unwrap();
    wait_served(&demo, 2);
    let aside = demo.path().join("aside.toml");
    fs::write(&aside, watched(&demo, 3)).unwrap();
    let link = demo.path().join("link.new");
    symlink(&aside, &link).unwrap();
    fs::rename(&link, server.config_path()).unwrap();
    wait_served(&demo, 3);
}

#[test]
fn a_broken_file_changes_nothing_until_it_is_mended() {
    let (demo, server) = serve();
    let version = demo.config_version();
    server.configure("[[sites]\n");
    wait_for("the complaint", || {
        server
            .process
            .output()
            .contains("config.toml:1")
            .then_some(())
    });
    assert_eq!((demo.served(), demo.config_version()), (0, version));
    server.configure(&watched(&demo, 1));
    wait_served(&demo, 1);
}

#[test]
fn a_renewed_certificate_is_noticed() {
    let (demo, _server) = serve();
    let version = demo.config_version();
    demo.authority.issue(demo.path(), "site", &[HOST]);
    wait_for("a reload", || {
        (demo.config_version() > version).then_some(())
    });
    assert_eq!(demo.served(), 0);
}
