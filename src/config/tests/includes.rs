//! `include`.

use super::Folder;

const MAIN: &str = "include = [\"sites.d/*.toml\"]\n";

fn site(name: &str) -> String {
    format!(
        "[[sites]]\nname = \"{name}\"\nhostname = \"{name}.example\"\nport = 80\nstatic_dir = \".\"\n"
    )
}

#[test]
fn included_sites_follow_in_the_order_of_the_files() {
    let folder = Folder::new();
    folder.write("sites.d/20.toml", &site("second"));
    folder.write("sites.d/10.toml", &site("first"));
    let config = folder
        .load(&(MAIN.to_owned() + &site("main")))
        .unwrap()
        .config;
    let names: Vec<_> = config.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["main", "first", "second"]);
    // Paths are relative to the file that they stand in.
    assert_eq!(
        config.sites[1].static_files.as_ref().unwrap().root,
        folder.path("sites.d")
    );
    for source in [
        "config.toml",
        "sites.d",
        "sites.d/10.toml",
        "sites.d/20.toml",
    ] {
        assert!(config.sources.contains(&folder.path(source)), "{source}");
    }
}

#[test]
fn a_pattern_without_files_is_fine_and_a_missing_file_is_not() {
    let folder = Folder::new();
    assert!(folder.load(MAIN).is_ok());
    let report = folder.load("include = [\"site.toml\"]\n").unwrap_err();
    assert_eq!(report.problems.len(), 1);
    assert_eq!(
        (report.problems[0].line, report.problems[0].column),
        (Some(1), Some(12))
    );
}

#[test]
fn an_included_file_holds_sites_only() {
    let folder = Folder::new();
    folder.write(
        "sites.d/a.toml",
        "include = [\"b.toml\"]\n[server]\nname = \"x\"\n",
    );
    let report = folder.load(MAIN).unwrap_err();
    let messages: Vec<_> = report
        .problems
        .iter()
        .map(|it| it.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "'include' is not allowed in an included file",
            "'server' is not allowed in an included file",
            "there is no site: nothing is served",
        ]
    );
    assert!(
        report.problems[0]
            .file
            .as_ref()
            .unwrap()
            .ends_with("sites.d/a.toml")
    );
}

#[test]
fn the_same_file_twice_counts_once() {
    let folder = Folder::new();
    folder.write("sites.d/a.toml", &site("a"));
    let config = folder
        .load("include = [\"sites.d/*.toml\", \"sites.d/a.toml\"]\n")
        .unwrap()
        .config;
    assert_eq!(config.sites.len(), 1);
}

#[test]
fn a_conflict_over_two_files_shows_both() {
    let folder = Folder::new();
    folder.write("sites.d/a.toml", &site("main"));
    let report = folder.load(&(MAIN.to_owned() + &site("main"))).unwrap_err();
    let shown = report.plain();
    assert!(
        shown.contains("sites.d/a.toml:2:8") && shown.contains("config.toml:3:8"),
        "{shown}"
    );
}
