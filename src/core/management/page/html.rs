//! Text as HTML. What is markup stands in the program's own text; everything else is escaped.

use std::fmt::{self, Display, Write as _};

#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Also for the value of an attribute, between double quotes.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing into a String does not fail.
        let _ = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// A name that somebody chose: letters of another direction do not reach what stands beside it.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.markup("<bdi>").text(name).markup("</bdi>")
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for sign in text.chars() {
            match sign {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// A table of rows; on a narrow screen each cell is named by its column.
pub(super) struct Table<'a> {
    html: &'a mut Html,
    columns: &'static [Column],
    next: usize,
}

/// Its title, and whether it holds numbers.
pub(super) struct Column(pub(super) &'static str, pub(super) bool);

impl<'a> Table<'a> {
    pub(super) fn begin(html: &'a mut Html, columns: &'static [Column]) -> Self {
        html.markup("<table><thead><tr>");
        for Column(title, number) in columns {
            let open = if *number {
                "<th scope=\"col\" class=\"n\">"
            } else {
                "<th scope=\"col\">"
            };
            html.markup(open).markup(title).markup("</th>");
        }
        html.markup("</tr></thead><tbody>");
        let next = 0;
        Self {
            html,
            columns,
            next,
        }
    }

    /// The next cell of the row, or the first one of the next row.
    pub(super) fn cell(&mut self, write: impl FnOnce(&mut Html)) -> &mut Self {
        if self.next == 0 {
            self.html.markup("<tr>");
        }
        let Column(title, number) = &self.columns[self.next];
        let open = if *number {
            "<td class=\"n\" data-is=\""
        } else {
            "<td data-is=\""
        };
        self.html.markup(open).markup(title).markup("\"><span>");
        write(self.html);
        self.html.markup("</span></td>");
        self.next = (self.next + 1) % self.columns.len();
        if self.next == 0 {
            self.html.markup("</tr>");
        }
        self
    }

    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        self.cell(|html| {
            html.text(text);
        })
    }

    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.cell(|html| {
            html.name(name);
        })
    }

    pub(super) fn end(self) {
        self.html.markup("</tbody></table>");
    }
}

/// How good or bad something is, as the style knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Busy,
    Bad,
    Quiet,
}

/// A word in the colour of its meaning.
pub(super) fn badge(html: &mut Html, tone: Tone, word: impl Display) {
    let open = match tone {
        Tone::Good => "<b class=\"good\">",
        Tone::Busy => "<b class=\"busy\">",
        Tone::Bad => "<b class=\"bad\">",
        Tone::Quiet => "<b>",
    };
    html.markup(open).text(word).markup("</b>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_told_is_markup() {
        let mut html = Html::default();
        html.markup("<p title=\"")
            .text("\"><script>'&'")
            .markup("\">")
            .name("</bdi>");
        let expected =
            "<p title=\"&quot;&gt;&lt;script&gt;&#39;&amp;&#39;\"><bdi>&lt;/bdi&gt;</bdi>";
        assert_eq!(html.finish(), expected);
    }

    #[test]
    fn rows_have_all_their_cells() {
        let mut html = Html::default();
        let mut table = Table::begin(&mut html, &[Column("a", false), Column("b", true)]);
        table.text(1).text(2).text(3).text(4);
        table.end();
        let html = html.finish();
        assert!(html.ends_with(
            "<tr><td data-is=\"a\"><span>3</span></td><td class=\"n\" data-is=\"b\"><span>4</span></td></tr></tbody></table>"
        ), "{html}");
    }
}
