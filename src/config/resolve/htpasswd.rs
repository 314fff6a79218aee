//! Files of names and passwords, as htpasswd(1) writes them: `name:hash`, one a line. Hashes are bcrypt or SHA-crypt;
//! whatever is older is no protection any more.

use std::collections::HashMap;

use super::super::types::User;

/// Dearer ones would keep a CPU busy for seconds with every wrong password.
const MAX_BCRYPT_COST: u32 = 16;
/// Rounds of SHA-crypt: from what crypt(5) allows to what takes about as long.
const SHA_ROUNDS: std::ops::RangeInclusive<u32> = 1000..=5_000_000;
/// Wrong lines that are told of.
const TOLD: usize = 5;

/// What is wrong with a line: its number from 1, what, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrongLine {
    pub(super) number: usize,
    pub(super) what: String,
    pub(super) help: &'static str,
}

const FORM: &str = "write NAME:HASH, as 'htpasswd -B FILE NAME' does";
const HASHES: &str =
    "make it anew with 'htpasswd -B FILE NAME' (bcrypt) or 'openssl passwd -6' (SHA-crypt)";
const DEAR: &str = "make it anew with a smaller cost, as 'htpasswd -B -C 10 FILE NAME'";

/// The users of a file, or its first wrong lines.
pub(super) fn parse(text: &str) -> Result<Vec<User>, Vec<WrongLine>> {
    let (mut users, mut wrong, mut first) = (Vec::new(), Vec::new(), HashMap::new());
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim_end());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match user(line) {
            Ok(user) => match first.insert(user.name.clone(), number) {
                None => users.push(user),
                Some(earlier) => wrong.push(WrongLine {
                    number,
                    what: format!("names user '{}' again, after line {earlier}", user.name),
                    help: "remove one of both lines",
                }),
            },
            Err((what, help)) => wrong.push(WrongLine { number, what, help }),
        }
    }
    wrong.truncate(TOLD);
    if wrong.is_empty() {
        Ok(users)
    } else {
        Err(wrong)
    }
}

/// Never shows what stands in the place of a hash: it may be a password.
fn user(line: &str) -> Result<User, (String, &'static str)> {
    let Some((name, hash)) = line.split_once(':') else {
        return Err(("has no colon".to_owned(), FORM));
    };
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(("has no name before its colon".to_owned(), FORM));
    }
    check_hash(hash).map_err(|(what, help)| (format!("has {what} for user '{name}'"), help))?;
    Ok(User {
        name: name.to_owned(),
        hash: hash.to_owned(),
    })
}

fn check_hash(hash: &str) -> Result<(), (&'static str, &'static str)> {
    let fields: Vec<&str> = hash.split('$').collect();
    match fields[..] {
        ["", "2y" | "2b" | "2a", cost, rest] => match cost.parse::<u32>() {
            Ok(MAX_BCRYPT_COST..) if cost != "16" => {
                Err(("a bcrypt hash that costs too much", DEAR))
            }
            Ok(4..) if cost.len() == 2 && rest.len() == 53 && is_crypt(rest) => Ok(()),
            _ => Err(("a damaged bcrypt hash", HASHES)),
        },
        ["", "5", ref rest @ ..] => check_sha(rest, 43),
        ["", "6", ref rest @ ..] => check_sha(rest, 86),
        ["", "apr1" | "1", ..] => Err(("an MD5 hash, which is not accepted,", HASHES)),
        _ if hash.starts_with("{SHA}") => {
            Err(("an unsalted SHA-1 hash, which is not accepted,", HASHES))
        }
        _ => Err(("a hash that is neither bcrypt nor SHA-crypt", HASHES)),
    }
}

/// `rounds=N` or nothing, salt, hash.
fn check_sha(fields: &[&str], length: usize) -> Result<(), (&'static str, &'static str)> {
    const DAMAGED: (&str, &str) = ("a damaged SHA-crypt hash", HASHES);
    let (rounds, salt, hash) = match *fields {
        [salt, hash] => (None, salt, hash),
        [rounds, salt, hash] => (
            Some(rounds.strip_prefix("rounds=").ok_or(DAMAGED)?),
            salt,
            hash,
        ),
        _ => return Err(DAMAGED),
    };
    match rounds.map(str::parse::<u32>) {
        None => {}
        Some(Ok(rounds)) if SHA_ROUNDS.contains(&rounds) => {}
        Some(Ok(rounds)) if rounds > *SHA_ROUNDS.end() => {
            return Err(("a SHA-crypt hash of too many rounds", HASHES));
        }
        Some(_) => return Err(DAMAGED),
    }
    let fits = (1..=16).contains(&salt.len()) && is_crypt(salt);
    let fits = fits && hash.len() == length && is_crypt(hash);
    if fits { Ok(()) } else { Err(DAMAGED) }
}

/// The digits of crypt(3).
fn is_crypt(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
    const SHA: &str =
        "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA";

    #[test]
    fn names_and_hashes() {
        let text = format!("# staff\n\nalice:{BCRYPT}\nb\u{f6}b:{SHA}\r\n");
        let users = parse(&text).unwrap();
        let read: Vec<_> = users
            .iter()
            .map(|user| (&*user.name, &*user.hash))
            .collect();
        assert_eq!(read, [("alice", BCRYPT), ("b\u{f6}b", SHA)]);
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_protection_is_refused_by_line_without_being_shown() {
        for (hash, what) in [
            ("secret", "neither"),
            ("", "neither"),
            ("$apr1$abcdefgh$0123456789012345678901", "MD5"),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"),
            (
                "$2y$17$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
                "too much",
            ),
            (
                "$2y$99$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
                "too much",
            ),
            ("$2y$05$c4WoMPo3SXsafkva", "damaged"),
            (
                "$2y$3$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
                "damaged",
            ),
            ("$6$salt$short", "damaged"),
            (
                "$5$rounds=9999999$salt$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
                "rounds",
            ),
            (
                "$5$rounds=1$salt$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
                "damaged",
            ),
        ] {
            let [wrong] = &parse(&format!("#\nbob:{hash}")).unwrap_err()[..] else {
                panic!("{hash}")
            };
            assert_eq!(wrong.number, 2);
            assert!(
                wrong.what.contains(what) && wrong.what.contains("'bob'"),
                "{wrong:?}"
            );
            assert!(hash.is_empty() || !wrong.what.contains(hash));
        }
        let twice = parse(&format!("a:{BCRYPT}\na:{SHA}")).unwrap_err();
        assert!(twice[0].what.contains("again, after line 1"));
        assert_eq!(parse(&"x\n".repeat(100)).unwrap_err().len(), TOLD);
        assert_eq!(parse(&format!(":{BCRYPT}")).unwrap_err().len(), 1);
    }
}
