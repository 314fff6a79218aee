//! Syntax errors in words that say what to do.

/// The message and the help for what the TOML parser says about `text`.
pub(super) fn explain(parser_message: &str, text: &str) -> (String, &'static str) {
    let message = parser_message.replace('`', "'");
    if message == "duplicate key" {
        return (
            format!("key '{text}' is written twice"),
            "remove one; a table has each key once",
        );
    }
    if message.starts_with("string values must be quoted") {
        return if text.trim().is_empty() {
            ("a value is missing".to_owned(), "write one after the '='")
        } else {
            (
                format!("'{text}' is not a value"),
                "put text in quotes, and one value behind each '='",
            )
        };
    }
    let help = HELP.iter().find(|(start, _)| message.starts_with(start));
    (
        message,
        help.map_or("correct the TOML here", |(_, help)| help),
    )
}

/// How messages of the parser begin, and what to do.
const HELP: [(&str, &str); 5] = [
    (
        "unclosed table",
        "close the brackets: [server] or [[sites]]",
    ),
    ("unclosed array", "close the list with ']'"),
    ("unclosed inline table", "close the table with '}'"),
    (
        "invalid basic string",
        "close the string with '\"' on the same line",
    ),
    (
        "invalid literal string",
        "close the string with an apostrophe on the same line",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_mistakes_are_explained() {
        for (text, help) in [
            ("[a\n", "close the brackets: [server] or [[sites]]"),
            ("a = [1\n", "close the list with ']'"),
            ("a = {b = 1\n", "close the table with '}'"),
            ("a = \"b\n", "close the string with '\"' on the same line"),
            (
                "a = 'b\n",
                "close the string with an apostrophe on the same line",
            ),
            ("a =\n", "write one after the '='"),
            (
                "a = b\n",
                "put text in quotes, and one value behind each '='",
            ),
            ("a = 1\na = 2\n", "remove one; a table has each key once"),
        ] {
            let (_, errors) = toml::de::DeTable::parse_recoverable(text);
            let span = errors[0].span().unwrap_or(0..0);
            assert_eq!(
                explain(errors[0].message(), &text[span]).1,
                help,
                "{text}: {}",
                errors[0].message()
            );
        }
    }
}
