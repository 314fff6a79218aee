use std::time::Duration;

use super::super::failure::{Failure, Scope};
use super::*;

const DAY: Seconds = 86_400;

fn acme(site: &str) -> Acme {
    serde_json::from_value(serde_json::json!({
        "names": [format!("{site}.example.com")], "directory_url": "https://ca/", "roots": [], "email": null,
        "external_account": null, "challenge": "Http01", "file": format!("/x/{site}.pem"), "accounts": "/x"
    }))
    .unwrap()
}

fn entry(site: &str, held: Option<(Seconds, Seconds)>) -> Entry {
    let mut entry = Entry::new(acme(site), site);
    if let Some((not_before, not_after)) = held {
        entry.issued(issued(not_before, not_after), not_before);
        let held = entry.held.clone();
        entry.adopt(held, not_before);
    }
    entry
}

fn issued(not_before: Seconds, not_after: Seconds) -> Issued {
    let leaf = not_before.to_be_bytes().to_vec();
    Issued {
        leaf,
        not_before,
        not_after,
    }
}

fn schedule(sites: &[&str]) -> Schedule {
    let mut schedule = Schedule::default();
    for site in sites {
        schedule.sites.insert((*site).to_owned(), entry(site, None));
        schedule.queue.insert((Seconds::MIN, (*site).to_owned()));
    }
    schedule
}

fn refused(scope: Scope) -> Failure {
    let text = "no".to_owned();
    Failure { text, scope }
}

#[test]
fn few_are_under_way_at_a_time_and_each_once() {
    let mut schedule = schedule(&["a", "b", "c"]);
    let begun: Vec<_> = std::iter::from_fn(|| schedule.begin(0)).collect();
    assert_eq!(begun.len(), AT_A_TIME);
    assert_eq!(schedule.next(), None);
    schedule.ordered("a", Ok(issued(0, 90 * DAY)), 0, 0.5);
    assert_eq!(schedule.begin(0).unwrap().site, "c");
    assert_eq!(schedule.unserved().len(), 1);
    // It was told already.
    schedule.ordered("a", Err(refused(Scope::Names)), 0, 0.5);
    assert_eq!(schedule.running, 2);
}

#[test]
fn who_fails_waits_longer_and_longer_and_nobody_else_does() {
    let mut schedule = schedule(&["a", "b"]);
    let mut now = 0;
    for wait in [60, 120, 240] {
        while let Some(task) = schedule.begin(now) {
            let outcome = match &*task.site {
                "a" => Err(refused(Scope::Names)),
                _ => Ok(issued(now, now + 90 * DAY)),
            };
            schedule.ordered(&task.site, outcome, now, 0.5);
        }
        assert_eq!(schedule.phase("a").unwrap().due, Some(now + wait));
        now += wait;
    }
    assert_eq!(schedule.phase("a").unwrap().failures, 3);
    assert_eq!(schedule.phase("b").unwrap().error, None);
}

#[test]
fn an_authority_that_is_down_is_asked_by_one_site_at_a_time() {
    let mut schedule = schedule(&["a", "b", "c", "d"]);
    let (first, second) = (schedule.begin(0).unwrap(), schedule.begin(0).unwrap());
    for task in [first, second] {
        schedule.ordered(&task.site, Err(refused(Scope::Authority)), 0, 0.5);
    }
    assert!(schedule.begin(0).is_none(), "c and d wait as well");
    assert_eq!(schedule.next(), Some(60));
    assert!(schedule.begin(119).is_none());
    let task = schedule.begin(121).unwrap();
    schedule.ordered(&task.site, Ok(issued(121, 121 + 90 * DAY)), 121, 0.5);
    assert_eq!(std::iter::from_fn(|| schedule.begin(121)).count(), 2);
}

#[test]
fn renewal_is_at_two_thirds_unless_the_authority_knows_better() {
    let mut entry = entry("a", Some((0, 90 * DAY)));
    assert!((57 * DAY..=60 * DAY).contains(&entry.order_at()));
    let suggestion = Suggestion {
        from: 10 * DAY,
        until: 12 * DAY,
        ask_after: Duration::from_secs(1),
    };
    entry.begin(DAY);
    entry.suggested(Some(suggestion), DAY, 0.5);
    assert_eq!(entry.order_at(), 11 * DAY);
    assert_eq!(entry.due(), Some(DAY + ASK_AT_MOST));
    // The moment that was chosen stays.
    entry.suggested(Some(suggestion), DAY, 0.9);
    assert_eq!(entry.order_at(), 11 * DAY);
    entry.begin(11 * DAY);
    assert!(entry.phase().ordering);
    // Whoever makes no suggestion any more changes nothing about it.
    entry.suggested(None, DAY, 0.5);
    assert_eq!(entry.order_at(), 11 * DAY);
}

const ASK_AT_MOST: Seconds = 3600;

#[test]
fn other_names_or_another_authority_are_ordered_at_once() {
    for change in [
        |acme: &mut Acme| acme.names.push("new.example.com".into()),
        |acme: &mut Acme| acme.directory_url = "https://other/".into(),
    ] {
        let mut entry = entry("a", Some((0, 90 * DAY)));
        change(&mut entry.acme);
        assert_eq!(entry.begin(DAY), Kind::Order);
    }
    let mut fewer = entry("a", Some((0, 90 * DAY)));
    fewer.held.as_mut().unwrap().names.push("old".into());
    assert!(fewer.order_at() > DAY);
}

/// By a clock that is wrong, or an authority's, it seems to be over.
#[test]
fn a_new_certificate_is_not_replaced_at_once() {
    let mut entry = entry("a", None);
    entry.begin(1000 * DAY);
    entry.issued(issued(0, 90 * DAY), 1000 * DAY);
    assert_eq!(entry.order_at(), 1000 * DAY + DAY / 4);
}

/// A reload that began before the certificate was on disk shows the one before.
#[test]
fn what_is_on_disk_is_not_ordered_again() {
    let mut entry = entry("a", None);
    entry.begin(0);
    entry.issued(issued(0, 90 * DAY), 0);
    entry.adopt(None, 1);
    assert!(entry.is_unserved() && entry.order_at() > DAY);
    let held = entry.held.clone();
    entry.adopt(held, 2);
    assert!(!entry.is_unserved());
}
