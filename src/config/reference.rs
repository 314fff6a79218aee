//! Every key that a configuration may hold and what of it this version can do: what bws.toml(5) has to say.

use super::{availability, schema};

/// A key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// How the table's head is written, `[[sites]]`; empty for the file itself.
    pub table: String,
    pub name: &'static str,
    /// The key, or all of its table, is refused.
    pub is_lacking: bool,
}

/// All keys, table by table.
pub fn keys() -> Vec<Key> {
    let tables = schema::TABLES.iter();
    tables
        .flat_map(|(table, names)| names.iter().map(|name| key(table, name)))
        .collect()
}

fn key(table: &str, name: &'static str) -> Key {
    Key {
        table: match table {
            "" => String::new(),
            _ => schema::heading(table),
        },
        name,
        is_lacking: availability::lacks_key(table, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_table() {
        let keys = keys();
        let port = keys
            .iter()
            .find(|key| key.name == "port" && key.table == "[[sites]]");
        assert!(!port.unwrap().is_lacking);
    }
}
