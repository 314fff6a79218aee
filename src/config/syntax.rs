//! Syntax errors in words that say what to do.

/// The message and the help for what the TOML parser says about `text`.
pub(super) fn explain(parser_message: &str, text: &str) -> (String, &'static str) {
    let message = parser_message.replace('`', "'");
    if message == DUPLICATE {
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

/// What the parser says of a key that comes again.
const DUPLICATE: &str = "duplicate key";

/// What it says where a list goes on without a comma.
const NO_COMMA: &str = "missing comma between array elements";

/// What it says where the inline table is not closed that a list of tables ends with.
const NO_ELEMENT: [&str; 2] = [
    "invalid inline table element",
    "missing key for inline table element",
];

/// Which errors tell something, in the order of the text.
#[derive(Default)]
pub(super) struct Trust {
    /// A table has no name: the keys of tables mix.
    mixed: bool,
}

/// What to make of an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Tell,
    /// It follows from another.
    Forget,
    /// A list was not closed, and takes in all that follows: nothing after it can be trusted.
    ListOpen,
}

impl Trust {
    /// `before` and `rest` of the error's line.
    pub(super) fn judge(&mut self, parser_message: &str, before: &str, rest: &str) -> Verdict {
        let begins = before.trim().is_empty();
        let says = |start: &str| parser_message.starts_with(start);
        if begins && (NO_ELEMENT.iter().any(|it| says(it)) || says(NO_COMMA) && is_no_value(rest)) {
            return Verdict::ListOpen;
        }
        if parser_message == DUPLICATE && self.mixed {
            return Verdict::Forget;
        }
        self.mixed |= parser_message.starts_with("unclosed table");
        Verdict::Tell
    }
}

/// A table's name, or a key and its value.
fn is_no_value(line: &str) -> bool {
    let key = |character: char| character.is_alphanumeric() || "_-.\"' ".contains(character);
    let key = line
        .split_once('=')
        .is_some_and(|(name, _)| name.chars().all(key));
    line.starts_with('[') || key
}

/// The message and the help for [`Verdict::ListOpen`].
pub(super) fn explain_open_list() -> (String, &'static str) {
    let message = "a list before this line is not closed, or an element of it".to_owned();
    (message, "close it with ']' (a table in it with '}')")
}

/// How messages of the parser begin, and what to do.
const HELP: [(&str, &str); 6] = [
    (NO_COMMA, "put a comma between the values of a list"),
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
