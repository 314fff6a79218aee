//! curl, and what it saw.

use std::process::{Command, Stdio};

/// The last response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// As they came, names in lower case.
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn all(&self, name: &str) -> Vec<&str> {
        let matching = self.headers.iter().filter(|(known, _)| known == name);
        matching.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that is there at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [] => None,
            [value] => Some(value),
            _ => panic!("'{name}' is there twice: {self:?}"),
        }
    }
}

/// Runs curl; it has to get a response.
pub fn curl(arguments: &[&str]) -> Answer {
    let text = output(&[&["--include"], arguments].concat());
    let mut rest = &*text;
    // Interim responses and redirects that were followed come before the last one.
    loop {
        let (head, body) = rest
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("curl {arguments:?}: {text}"));
        if !body.starts_with("HTTP/") {
            return parse(head, body);
        }
        rest = body;
    }
}

/// What curl prints; it has to succeed.
pub fn output(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("http_proxy")
        .output()
        .expect("curl is installed");
    assert!(output.status.success(), "curl {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn parse(head: &str, body: &str) -> Answer {
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status
            .and_then(|status| status.parse().ok())
            .expect("a status"),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}
