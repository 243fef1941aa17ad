//! What is wrong with a file, said so that a person can put it right: where, what, and how.
//!
//! Diagnostics own the text they point into, so they outlive the loading. They are kept in the order of their
//! places, each mistake once. Nothing here decides what is a mistake.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};
use serde::Serialize;

/// A file, or another text that was read, like a `--set`.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
}

/// A range of bytes of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Place {
    pub(crate) fn new(source: usize, span: Range<usize>) -> Self {
        Self { source, start: span.start, end: span.end }
    }
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing can run before it is put right.
    Error,
    /// Legal, but probably not meant.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) hint: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(place: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        let (place, message) = (place.into(), message.into());
        Self { severity: Severity::Error, place, message, label: String::new(), hint: None }
    }

    pub(crate) fn warning(place: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Everything found wrong with a file and those it extends.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    sources: Vec<Source>,
    list: Vec<Diagnostic>,
}

/// One diagnostic for machines. Lines and columns count from 1, columns in characters; the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How to put it right.
    pub hint: Option<String>,
    /// The file, or what else was read.
    pub file: Option<String>,
    /// The first line.
    pub line: Option<usize>,
    /// The first column.
    pub column: Option<usize>,
    /// The last line.
    pub end_line: Option<usize>,
    /// The column behind the last.
    pub end_column: Option<usize>,
}

/// Most diagnostics of each severity that are kept: a file that is no TOML at all has one mistake per line.
const KEPT_MAX: usize = 500;
/// Most diagnostics that are written out for a person; the rest is counted.
const RENDERED_MAX: usize = 50;
/// Longest line that is shown; a longer one is only named.
const LINE_MAX: usize = 400;

impl Diagnostics {
    pub(crate) fn add_source(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> usize {
        self.sources.push(Source { name: name.into(), text: text.into() });
        self.sources.len() - 1
    }

    pub(crate) fn text(&self, source: usize) -> Arc<str> {
        self.sources.get(source).map_or_else(|| Arc::from(""), |source| Arc::clone(&source.text))
    }

    /// Adds a diagnostic, unless the same mistake is known already: cases of a matrix share theirs.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let same =
            |known: &Diagnostic| known.place == diagnostic.place && known.message == diagnostic.message;
        if !self.is_full(diagnostic.severity) && !self.list.iter().any(same) {
            self.list.push(diagnostic);
        }
    }

    /// Whether no more of this severity are kept. Errors have room of their own: no warning may displace one.
    pub(crate) fn is_full(&self, severity: Severity) -> bool {
        self.list.iter().filter(|diagnostic| diagnostic.severity == severity).count() >= KEPT_MAX
    }

    /// Puts them in the order of their places; those without one come first.
    pub(crate) fn sort(&mut self) {
        self.list.sort_by(|a, b| a.place.cmp(&b.place));
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// For a person, with the lines they are about; `colour` adds terminal escapes.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let shown = self.list.iter().take(RENDERED_MAX);
        let mut blocks: Vec<String> = shown.map(|one| renderer.render(&self.report(one))).collect();
        if let Some(more) = self.list.len().checked_sub(RENDERED_MAX).filter(|more| *more > 0) {
            blocks.push(format!("… and {more} more"));
        }
        blocks.join("\n\n")
    }

    /// For a machine.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.list.iter().map(|diagnostic| self.record(diagnostic)).collect()
    }

    fn record(&self, diagnostic: &Diagnostic) -> Record {
        let found =
            diagnostic.place.as_ref().and_then(|place| Some((self.sources.get(place.source)?, place)));
        let start = found.map(|(source, place)| line_and_column(&source.text, place.start));
        let end = found.map(|(source, place)| line_and_column(&source.text, place.end));
        Record {
            severity: diagnostic.severity,
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
            file: found.map(|(source, _)| source.name.clone()),
            line: start.map(|(line, _)| line),
            column: start.map(|(_, column)| column),
            end_line: end.map(|(line, _)| line),
            end_column: end.map(|(_, column)| column),
        }
    }

    fn report<'a>(&'a self, diagnostic: &'a Diagnostic) -> [Group<'a>; 1] {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(normalize_untrusted_str(&diagnostic.message)));
        if let Some(place) = &diagnostic.place
            && let Some(source) = self.sources.get(place.source)
        {
            group = group.element(excerpt(source, place, &diagnostic.label));
        }
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(normalize_untrusted_str(hint)));
        }
        [group]
    }
}

/// The line `place` begins in, marked; the rest of a longer place is left out.
fn excerpt<'a>(source: &'a Source, place: &Place, label: &str) -> Element<'a> {
    let text = &source.text;
    let start = floor(text, place.start);
    let from = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let to = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let (number, column) = line_and_column(text, start);
    if to - from > LINE_MAX {
        return Origin::path(&source.name).line(number).char_column(column).into();
    }
    let end = floor(text, place.end).clamp(start, to);
    let label = (!label.is_empty()).then(|| normalize_untrusted_str(label));
    let mark = AnnotationKind::Primary.span(start - from..end - from).label(label);
    Snippet::source(&text[from..to]).path(&source.name).line_start(number).annotation(mark).into()
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// Both from 1; the column in characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..floor(text, at)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
