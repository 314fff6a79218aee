//! Plans.

use super::super::diff;
use super::super::types::Config;
use super::{Folder, certificates, config};

fn site(name: &str, more: &str) -> String {
    format!(
        "[[sites]]\nname = \"{name}\"\nhostname = \"{name}.example\"\nport = 80\napi_only = true\n{more}\n"
    )
}

#[test]
fn equal_configurations_have_an_empty_plan() {
    let text = site("a", "") + &site("b", "");
    let (old, new) = (config(&text), config(&text));
    let plan = diff(&old, &new);
    assert!(plan.is_empty());
    assert_eq!(plan.summary(), "2 sites unchanged");
    assert_eq!(old.hash, new.hash);
    assert_ne!(old.hash, config(&site("a", "")).hash);
}

#[test]
fn a_plan_names_what_changes() {
    let old = config(&(site("a", "") + &site("b", "") + &site("c", "")));
    let new = config(
        &("[performance]\nworker_threads = 7\n[server]\nworkers = 2\n".to_owned()
            + &site("a", "")
            + &site("b", "headers = {X-A = \"1\"}").replace("port = 80", "port = 81")
            + &site("d", "")),
    );
    let plan = diff(&old, &new);
    assert_eq!(plan.added, ["d"]);
    assert_eq!(plan.removed, ["c"]);
    let changes = ["listen", "default", "headers"].map(str::to_owned).to_vec();
    assert_eq!(plan.changed, [("b".to_owned(), changes)]);
    assert_eq!(plan.listeners_added, ["port 81"]);
    assert!(plan.listeners_removed.is_empty());
    assert_eq!(
        plan.global,
        ["server.workers", "performance.worker_threads"]
    );
    assert_eq!(
        plan.summary(),
        "1 site added, 1 changed, 1 removed, 1 unchanged, 2 global settings changed"
    );
    let shown = plan.to_string();
    assert!(shown.starts_with(
        "+ site d\n- site c\n~ site b (listen, default, headers)\n+ listen on port 81\n"
    ));
}

#[test]
fn a_long_plan_is_shortened() {
    let many: String = (0..30)
        .map(|number| site(&format!("s{number}"), ""))
        .collect();
    let shown = diff(&config(""), &config(&many)).to_string();
    assert!(shown.contains("+ site … and 10 more"), "{shown}");
}

#[test]
fn a_renewed_certificate_changes_its_sites_only() {
    let folder = Folder::new();
    let text = |name: &str| {
        format!(
            "[[sites]]\nname = \"{name}\"\nhostname = \"{name}.example\"\nport = 443\napi_only = true\n\
             ssl = {{cert_file = \"{name}.pem\", key_file = \"{name}.key\"}}\n"
        )
    };
    let renew = |name: &str| {
        let pair = certificates::pair(&[&format!("{name}.example")], 90);
        folder.write(&format!("{name}.pem"), &pair.cert);
        folder.write(&format!("{name}.key"), &pair.key);
    };
    ["a", "b"].into_iter().for_each(renew);
    let load = |text: &str| -> Config { folder.load(text).unwrap().config };
    let old = load(&(text("a") + &text("b")));
    renew("b");
    let plan = diff(&old, &load(&(text("a") + &text("b"))));
    assert_eq!(
        plan.changed,
        [("b".to_owned(), vec!["certificate".to_owned()])]
    );
    // The certificate of "b" has another index now.
    let without = diff(&load(&(text("a") + &text("b"))), &load(&text("b")));
    assert_eq!(
        without.changed,
        [("b".to_owned(), vec!["default".to_owned()])]
    );
}
