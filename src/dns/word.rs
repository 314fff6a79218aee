//! What a name stands for, as it is told to others: to operators, and to who resolves it next.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::lookup::Target;

/// More values are not told: who resolves the name next finds them soon.
const MOST: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// As it is asked for.
    pub name: String,
    pub meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meaning {
    Addresses(Vec<IpAddr>),
    Targets(Vec<Target>),
}

/// What a name can stand for.
pub(super) trait Value: Clone + Ord {
    fn meaning(values: &[Self]) -> Meaning;
}

impl Value for IpAddr {
    fn meaning(values: &[Self]) -> Meaning {
        Meaning::Addresses(values.iter().take(MOST).copied().collect())
    }
}

impl Value for Target {
    fn meaning(values: &[Self]) -> Meaning {
        Meaning::Targets(values.iter().take(MOST).cloned().collect())
    }
}

/// Whether `one` and `other` hold the same; name servers change the order by themselves.
pub(super) fn is_same<T: Value>(one: &[T], other: &[T]) -> bool {
    let sorted = |values: &[T]| {
        let mut values = values.to_vec();
        values.sort();
        values
    };
    one.len() == other.len() && sorted(one) == sorted(other)
}
