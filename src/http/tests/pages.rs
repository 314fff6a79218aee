//! Pages that BWS makes, or puts in the place of its own: listings and errors.

use std::fs;

use super::upstream::{proxy, serve};
use super::{files, folder};
use crate::config::types::*;
use crate::http::testing::*;

#[test]
fn a_folder_without_an_index_is_listed() {
    run(async {
        let folder = folder();
        let bare = folder.path().join("bare");
        fs::create_dir_all(bare.join("inner")).unwrap();
        fs::write(bare.join("ä b.txt"), "12345").unwrap();
        fs::write(bare.join(".hidden"), "x").unwrap();
        let mut config = files(folder.path());
        config.sites[0]
            .static_files
            .as_mut()
            .unwrap()
            .directory_listing = true;
        let service = service(config);
        let page = ask(&service, "GET /bare/", "").await;
        assert_eq!(status(&page), 200);
        assert_eq!(header(&page, "vary"), Some("accept"));
        assert_eq!(header(&page, "server"), Some("BWS"));
        assert_eq!(
            header(&page, "content-length").unwrap(),
            body(&page).len().to_string()
        );
        let shown = body(&page);
        let at = |text: &str| {
            shown
                .find(text)
                .unwrap_or_else(|| panic!("{text}: {shown}"))
        };
        assert!(at("href=\"../\"") < at("href=\"./inner/\""));
        assert!(at("href=\"./inner/\"") < at("href=\"./%C3%A4%20b.txt\">ä b.txt</a>"));
        assert!(!shown.contains("hidden"));
        let head = ask(&service, "HEAD /bare/", "").await;
        assert_eq!(undated(&head), undated(&page).replace(shown, ""));
        let json = ask(&service, "GET /bare/?q", "Accept: application/json\r\n").await;
        assert_eq!(header(&json, "content-type"), Some("application/json"));
        let value: serde_json::Value = serde_json::from_str(body(&json)).unwrap();
        assert_eq!(value[0]["type"], "directory");
        assert_eq!(
            (&value[1]["name"], &value[1]["size"]),
            (&"ä b.txt".into(), &5.into())
        );
        assert!(value[1]["mtime"].as_str().unwrap().ends_with('Z'));
        for (line, expected) in [
            ("GET /dir/", 200),
            ("GET /bare", 301),
            ("GET /", 200),
            ("GET /none/", 404),
            ("GET /.git/", 404),
            ("POST /bare/", 405),
        ] {
            assert_eq!(status(&ask(&service, line, "").await), expected, "{line}");
        }
        assert_eq!(body(&ask(&service, "GET /dir/", "").await), "<p>");
        assert!(!body(&ask(&service, "GET /", "").await).contains("../"));
    });
}

#[test]
fn folders_are_not_listed_by_default() {
    run(async {
        let folder = folder();
        let service = service(files(folder.path()));
        assert_eq!(status(&ask(&service, "GET /", "").await), 403);
    });
}

fn page(status: u16, folder: &tempfile::TempDir, name: &str) -> ErrorPage {
    let file = folder.path().join(name);
    fs::write(&file, format!("<h1>{status}</h1>")).unwrap();
    ErrorPage { status, file }
}

#[test]
fn a_site_has_pages_of_its_own_for_errors() {
    run(async {
        let folder = folder();
        let mut config = files(folder.path());
        config.sites[0].error_pages = vec![
            page(404, &folder, "404.html"),
            page(405, &folder, "405.html"),
            page(416, &folder, "416.txt"),
        ];
        let service = service(config);
        let missing = ask(&service, "GET /none", "").await;
        assert_eq!((status(&missing), body(&missing)), (404, "<h1>404</h1>"));
        assert_eq!(
            header(&missing, "content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(header(&missing, "server"), Some("BWS"));
        assert_eq!(header(&missing, "etag"), None);
        let head = ask(&service, "HEAD /none", "").await;
        assert_eq!(
            (status(&head), body(&head), header(&head, "content-length")),
            (404, "", Some("12"))
        );
        let post = ask(&service, "POST /x.txt", "").await;
        assert_eq!(
            (body(&post), header(&post, "allow")),
            ("<h1>405</h1>", Some("GET, HEAD, OPTIONS"))
        );
        let beyond = ask(&service, "GET /x.txt", "Range: bytes=99-\r\n").await;
        assert_eq!((status(&beyond), body(&beyond)), (416, "<h1>416</h1>"));
        assert_eq!(
            header(&beyond, "content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(header(&beyond, "content-range"), Some("bytes */10"));
        // Asked for by its name it is a file like any other.
        assert_eq!(status(&ask(&service, "GET /404.html", "").await), 200);
        fs::write(folder.path().join("404.html"), "new").unwrap();
        eventually(async || body(&ask(&service, "GET /none", "").await) == "new").await;
        fs::remove_file(folder.path().join("404.html")).unwrap();
        eventually(async || body(&ask(&service, "GET /none", "").await) == "404 Not Found\n").await;
    });
}

#[test]
fn a_page_is_for_our_errors_not_for_those_of_an_upstream() {
    run(async {
        let folder = folder();
        let (port, _) = serve(&[
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\napp",
            "HTTP/1.1 garbage\r\n\r\n",
        ])
        .await;
        let mut site = site();
        site.proxy = Some(Box::new(proxy(&[port])));
        site.error_pages = vec![page(502, &folder, "502.html")];
        let service = service(config(vec![site]));
        assert_eq!(body(&ask(&service, "POST /", "").await), "app");
        let ours = ask(&service, "POST /", "").await;
        assert_eq!((status(&ours), body(&ours)), (502, "<h1>502</h1>"));
        assert_eq!(ours.matches("server: ").count(), 1);
    });
}

#[test]
fn a_site_has_media_types_of_its_own() {
    run(async {
        let folder = folder();
        let mut config = files(folder.path());
        config.sites[0].static_files.as_mut().unwrap().media_types = vec![MediaType {
            extension: "txt".into(),
            value: "text/x-own".into(),
        }];
        let service = service(config);
        let answer = ask(&service, "GET /x.txt", "").await;
        assert_eq!(header(&answer, "content-type"), Some("text/x-own"));
    });
}
