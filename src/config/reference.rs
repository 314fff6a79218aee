//! Every key that a configuration may hold: what bws.toml(5) has to tell of.

use super::schema;

/// A key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// How the table's head is written, `[[sites]]`; empty for the file itself.
    pub table: String,
    pub name: &'static str,
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_table() {
        let keys = keys();
        let is_port = |key: &Key| key.name == "port" && key.table == "[[sites]]";
        assert_eq!(keys.iter().filter(|key| is_port(key)).count(), 1);
    }
}
