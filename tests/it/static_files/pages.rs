//! Listings, pages for errors, media types, what caches are told.

use std::fs;

use super::Setup;
use crate::middleware::curl::curl;

#[test]
fn listings() {
    let setup = Setup::new("directory_listing = true", "", |root| {
        fs::create_dir_all(root.join("music/<b>")).unwrap();
        fs::write(root.join("music/Größe.txt"), "12345").unwrap();
        fs::write(root.join("music/.hidden"), "").unwrap();
    });
    let page = setup.curl("/music/", &["--header", "Accept: text/html"]);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("vary"), Some("accept"));
    assert!(
        page.body.contains("<a href=\"./%3Cb%3E/\">&lt;b&gt;/</a>"),
        "{}",
        page.body
    );
    assert!(
        page.body
            .contains("<a href=\"./Gr%C3%B6%C3%9Fe.txt\">Größe.txt</a>")
    );
    assert!(!page.body.contains("hidden"));
    let json = setup.curl("/music/", &["--header", "Accept: application/json"]);
    let value: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(
        (&value[0]["name"], &value[0]["type"]),
        (&"<b>".into(), &"directory".into())
    );
    assert_eq!(
        (&value[1]["name"], &value[1]["size"]),
        (&"Größe.txt".into(), &5.into())
    );
    assert_eq!(setup.curl("/music/", &["--head"]).body, "");
    assert_eq!(
        setup.curl("/music", &[]).header("location"),
        Some("/music/")
    );
    assert_eq!(setup.curl("/.git/", &[]).status, 404);
}

#[test]
fn error_pages() {
    let keys = "error_pages = { 404 = \"404.html\", 502 = \"/502.html\" }";
    let setup = Setup::new(keys, "", |root| {
        fs::write(root.join("404.html"), "<h1>nothing here</h1>").unwrap();
        fs::write(root.join("502.html"), "<h1>back soon</h1>").unwrap();
    });
    let missing = setup.curl("/none", &[]);
    assert_eq!(
        (missing.status, &*missing.body),
        (404, "<h1>nothing here</h1>")
    );
    let down = curl(&[&setup.url("/down/x")]);
    assert_eq!((down.status, &*down.body), (502, "<h1>back soon</h1>"));
    // What an upstream says stays.
    let theirs = setup.curl("/up/status/404", &[]);
    assert_eq!((theirs.status, &*theirs.body), (404, ""));
    crate::harness::write_file(&setup.path("404.html"), "changed");
    crate::harness::wait_for("the changed page", || {
        (curl(&[&setup.url("/none")]).body == "changed").then_some(())
    });
}

#[test]
fn media_types_and_caching() {
    let keys = "mime_types = { glb = \"model/gltf-binary\" }";
    let tables = "[sites.cache]\ncache_control = \"public\"\nmax_age_static = \"1h\"\nmax_age_dynamic = 5\netag_enabled = false\n";
    let setup = Setup::new(keys, tables, |root| {
        fs::write(root.join("x.glb"), "x").unwrap()
    });
    let file = setup.curl("/x.glb", &[]);
    assert_eq!(file.header("content-type"), Some("model/gltf-binary"));
    assert_eq!(file.header("cache-control"), Some("public, max-age=3600"));
    assert_eq!(file.header("etag"), None);
    assert!(file.header("last-modified").is_some());
    let proxied = setup.curl("/up/bytes/5", &[]);
    assert_eq!(proxied.header("cache-control"), Some("public, max-age=5"));
    assert_eq!(setup.curl("/none", &[]).header("cache-control"), None);
}
