//! A report as text: severity, message, place, the lines with carets, help.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::report::{Mark, Problem, Report, Severity};
use super::source::Source;

/// Marks nearer to each other than this many lines share a snippet.
const SHARED_SNIPPET_LINES: usize = 24;

pub(super) fn report(report: &Report, colours: bool) -> String {
    let renderer = if colours {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let rendered: Vec<String> = report
        .problems
        .iter()
        .map(|problem| render(problem, &renderer))
        .collect();
    rendered.join("\n\n")
}

fn render(problem: &Problem, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(problem.message.as_str()));
    for excerpt in excerpts(&problem.marks) {
        group = group.element(excerpt.snippet());
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// Some lines of a file and the marks in them. Only these lines are given to the renderer, which reads all it gets.
struct Excerpt<'a> {
    source: &'a Arc<Source>,
    first_line: usize,
    last_line: usize,
    marks: Vec<(&'a Mark, AnnotationKind)>,
}

fn excerpts(marks: &[Mark]) -> Vec<Excerpt<'_>> {
    let mut excerpts: Vec<Excerpt<'_>> = Vec::new();
    for (number, mark) in marks.iter().enumerate() {
        let kind = if number == 0 {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        let line = mark
            .source
            .line_index(mark.source.boundary(mark.span.start));
        match excerpts
            .iter_mut()
            .find(|excerpt| excerpt.is_near(&mark.source, line))
        {
            Some(excerpt) => {
                excerpt.first_line = excerpt.first_line.min(line);
                excerpt.last_line = excerpt.last_line.max(line);
                excerpt.marks.push((mark, kind));
            }
            None => excerpts.push(Excerpt {
                source: &mark.source,
                first_line: line,
                last_line: line,
                marks: vec![(mark, kind)],
            }),
        }
    }
    excerpts
}

impl<'a> Excerpt<'a> {
    fn is_near(&self, source: &Arc<Source>, line: usize) -> bool {
        Arc::ptr_eq(self.source, source)
            && line + SHARED_SNIPPET_LINES >= self.last_line
            && line <= self.first_line + SHARED_SNIPPET_LINES
    }

    fn snippet(&self) -> Snippet<'a, Annotation<'a>> {
        let lines = self.source.lines(self.first_line, self.last_line);
        let mut snippet = Snippet::source(&self.source.text[lines.clone()])
            .line_start(self.first_line + 1)
            .path(self.source.path.display().to_string());
        for (mark, kind) in &self.marks {
            let mut annotation = kind.span(clip(self.source, &mark.span, &lines));
            if !mark.label.is_empty() {
                annotation = annotation.label(mark.label.as_str());
            }
            snippet = snippet.annotation(annotation);
        }
        snippet
    }
}

/// The part of a span that lies on its first line, relative to the excerpt.
fn clip(source: &Source, span: &Range<usize>, excerpt: &Range<usize>) -> Range<usize> {
    let start = source
        .boundary(span.start)
        .clamp(excerpt.start, excerpt.end);
    let line = source.line_index(start);
    let end = source
        .boundary(span.end)
        .clamp(start, source.lines(line, line).end.max(start));
    start - excerpt.start..end - excerpt.start
}
