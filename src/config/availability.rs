//! Which parts of the documented configuration this version cannot do yet. Whoever builds a feature deletes its line
//! here and reads the key in `raw`.

use toml::de::DeValue;

use super::schema;

/// Table and key; switching it off is always available.
const NOT_YET: &[(&str, &str)] = &[];

/// Whether a key is not available.
pub(super) fn lacks_key(table: &str, key: &str) -> bool {
    NOT_YET.contains(&(table, key))
}

/// Whether a value only says that its feature is not wanted.
pub(super) fn is_off(table: &str, key: &str, value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Boolean(on) => !on,
        DeValue::String(text) => text.is_empty(),
        DeValue::Integer(number) => number.as_str() == "0",
        DeValue::Array(list) => list.is_empty(),
        DeValue::Table(entries) => match entries.get("enabled") {
            Some(enabled) => matches!(enabled.get_ref(), DeValue::Boolean(false)),
            // An empty table that could say "enabled" means its defaults.
            None => {
                let name = schema::qualified(table, key);
                entries.is_empty() && !schema::keys(&name).contains(&"enabled")
            }
        },
        DeValue::Float(_) | DeValue::Datetime(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_key_of_the_schema() {
        for (table, key) in NOT_YET {
            assert!(
                schema::keys(table).contains(key),
                "'{key}' is no key of '{table}'"
            );
        }
    }

    #[test]
    fn saying_no_is_always_available() {
        for off in [
            "false",
            "[]",
            "{}",
            "{enabled = false, level = 6}",
            "0",
            "\"\"",
        ] {
            let value = DeValue::parse(off).unwrap();
            assert!(is_off("sites", "error_pages", value.get_ref()), "{off}");
        }
        for on in ["true", "[1]", "{enabled = true}", "{a = 1}", "7", "1.5"] {
            let value = DeValue::parse(on).unwrap();
            assert!(!is_off("sites", "error_pages", value.get_ref()), "{on}");
        }
        assert!(!is_off(
            "sites",
            "compression",
            DeValue::parse("{}").unwrap().get_ref()
        ));
    }
}
