//! Who may come at all, by address.

use std::net::IpAddr;

use super::networks::Networks;
use crate::config::types;

#[derive(Debug)]
pub(super) struct AddressRules {
    /// None: everybody.
    allow: Option<Networks>,
    deny: Networks,
}

impl AddressRules {
    pub(super) fn new(rules: &types::AddressRules) -> Self {
        Self {
            allow: Some(Networks::new(&rules.allow)).filter(|allow| !allow.is_empty()),
            deny: Networks::new(&rules.deny),
        }
    }

    /// Deny wins. A client without an address (on a Unix socket) is on no list.
    pub(super) fn admit(&self, client: Option<IpAddr>) -> bool {
        let on = |list: &Networks| client.is_some_and(|client| list.contain(client));
        !on(&self.deny) && self.allow.as_ref().is_none_or(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> AddressRules {
        let network = |text: &&str| {
            let (address, prefix) = text.split_once('/').unwrap();
            types::Network {
                address: address.parse().unwrap(),
                prefix: prefix.parse().unwrap(),
            }
        };
        AddressRules::new(&types::AddressRules {
            allow: allow.iter().map(network).collect(),
            deny: deny.iter().map(network).collect(),
        })
    }

    #[test]
    fn deny_wins_and_an_empty_list_allows_all() {
        let both = rules(&["10.0.0.0/8"], &["10.1.0.0/16"]);
        let admits = |rules: &AddressRules, client: &str| rules.admit(client.parse().ok());
        assert!(admits(&both, "10.2.0.1"));
        assert!(!admits(&both, "10.1.0.1"));
        assert!(!admits(&both, "192.0.2.1"));
        let deny = rules(&[], &["10.1.0.0/16"]);
        assert!(admits(&deny, "192.0.2.1") && !admits(&deny, "10.1.0.1"));
        assert!(deny.admit(None) && !both.admit(None));
    }
}
