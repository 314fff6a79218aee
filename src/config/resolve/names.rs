//! Site names: there, sane, unique.

use std::collections::HashMap;

use super::super::raw::Site;
use super::super::report::{Finding, Findings};

/// A name is a metrics label and stands in paths and logs.
const MAX_LENGTH: usize = 128;

pub(super) fn check<'a>(sites: impl Iterator<Item = &'a Site>, findings: &Findings) {
    let mut first = HashMap::with_capacity(sites.size_hint().0);
    for site in sites {
        let Some(name) = &site.name else {
            if site.damaged {
                continue;
            }
            findings.push(
                Finding::error("a site has no name")
                    .at(site.place, "")
                    .help("add a unique 'name': counters and state are kept under it"),
            );
            continue;
        };
        let text = name.value.as_str();
        if text.is_empty() || text.len() > MAX_LENGTH || text.chars().any(char::is_control) {
            findings.push(
                Finding::error("this is no good name for a site")
                    .at(name.place, "")
                    .help(format!("write 1 to {MAX_LENGTH} visible characters")),
            );
        }
        if let Some(earlier) = first.insert(text, name.place) {
            findings.push(
                Finding::error(format!("two sites are named '{text}'"))
                    .at(name.place, "the second")
                    .at(earlier, "the first")
                    .help("give each site a name of its own"),
            );
        }
    }
}
