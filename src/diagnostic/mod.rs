//! Mistakes in what the user wrote, with their places.
//!
//! A pipeline is read from several texts: the file, and each `-S` of the command line. They lie behind each other in
//! one [`Sources`], so that a span is one range of offsets whichever text it points into.

use std::{
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// A range of bytes in a [`Sources`].
pub type Span = Range<usize>;

/// The texts that a pipeline was read from.
#[derive(Debug, Default)]
pub struct Sources {
    texts: Vec<Text>,
    made: Made,
}

type Shelf = Box<[OnceLock<Box<str>>]>;

/// Texts that live as long as the sources and can be added through a shared reference: shelf `n` holds `2^n` of them.
#[derive(Debug, Default)]
struct Made {
    shelves: [OnceLock<Shelf>; 32],
    next: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Text {
    name: String,
    text: String,
    start: usize,
}

impl Text {
    /// A span counted from the start of the text.
    fn local(&self, span: &Span) -> Span {
        let at = |offset: usize| offset.saturating_sub(self.start).min(self.text.len());
        at(span.start)..at(span.end)
    }
}

/// A place that people can find: line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, or `command line`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) {
        let start = self.texts.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.texts.push(Text { name: name.into(), text: text.into(), start });
    }

    /// Keeps a text that was worked out while reading, such as a number of a range: parsed values may borrow from it.
    pub fn keep(&self, text: impl Into<Box<str>>) -> &str {
        let place = self.made.next.fetch_add(1, Ordering::Relaxed) + 1;
        let shelf = place.ilog2() as usize;
        let books = self.made.shelves[shelf].get_or_init(|| (0..1usize << shelf).map(|_| OnceLock::new()).collect());
        books[place - (1 << shelf)].get_or_init(|| text.into())
    }

    fn text(&self, offset: usize) -> Option<&Text> {
        self.texts.iter().rev().find(|text| text.start <= offset)
    }

    /// The texts, each with the offset where it starts.
    pub fn texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.texts.iter().map(|text| (text.start, text.text.as_str()))
    }

    /// What stands at a span.
    #[must_use]
    pub fn slice(&self, span: &Span) -> Option<&str> {
        let text = self.text(span.start)?;
        text.text.get(span.start - text.start..span.end.checked_sub(text.start)?)
    }

    /// The place where a span begins.
    #[must_use]
    pub fn place(&self, span: &Span) -> Option<Place> {
        let text = self.text(span.start)?;
        let before = text.text.get(..(span.start - text.start).min(text.text.len()))?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some(Place {
            file: text.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }
}

/// Whether a diagnostic stops the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing runs until it is mended.
    Mistake,
    /// Everything runs, but probably not as the user expects.
    Warning,
}

/// One mistake or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the command.
    pub severity: Severity,
    /// What is wrong: a lowercase sentence without a full stop.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to say at that place; may be empty.
    pub label: String,
    /// Other places that matter, and what to say there.
    pub others: Vec<(Span, String)>,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        let (severity, label) = (Severity::Mistake, String::new());
        Self { severity, message: message.into(), span, label, others: Vec::new(), help: None }
    }

    /// A warning at a place.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(span, message) }
    }

    /// True for a mistake, false for a warning.
    #[must_use]
    pub fn is_mistake(&self) -> bool {
        self.severity == Severity::Mistake
    }

    /// Adds what to say at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn other(mut self, span: Span, label: impl Into<String>) -> Self {
        self.others.push((span, label.into()));
        self
    }

    /// Adds what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the other places that lie in a text.
    fn with_others<'a>(
        &self,
        snippet: Snippet<'a, Annotation<'a>>,
        text: &Text,
        sources: &Sources,
    ) -> Snippet<'a, Annotation<'a>> {
        let here =
            self.others.iter().filter(|(span, _)| sources.text(span.start).is_some_and(|t| t.start == text.start));
        here.fold(snippet, |snippet, (span, label)| {
            snippet.annotation(AnnotationKind::Context.span(text.local(span)).label(label.clone()))
        })
    }

    /// The diagnostic with the lines it is about, as a compiler would show it.
    #[must_use]
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        let level = if self.is_mistake() { Level::ERROR } else { Level::WARNING };
        let title = level.primary_title(self.message.clone());
        let mut group = Group::with_title(title);
        if let Some(text) = sources.text(self.span.start) {
            let snippet = Snippet::source(text.text.clone())
                .path(text.name.clone())
                .annotation(AnnotationKind::Primary.span(text.local(&self.span)).label(self.label.clone()));
            group = group.element(self.with_others(snippet, text, sources));
        }
        // Places in other texts, such as the file where the command line is at fault, follow with their own lines.
        let elsewhere = sources.texts.iter().filter(|text| {
            let is_here = |span: &Span| sources.text(span.start).is_some_and(|other| other.start == text.start);
            !is_here(&self.span) && self.others.iter().any(|(span, _)| is_here(span))
        });
        for text in elsewhere {
            let snippet = Snippet::source(text.text.clone()).path(text.name.clone());
            group = group.element(self.with_others(snippet, text, sources));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.clone()));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// The candidate most like `word`, if one is like enough to be what was meant.
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes time and memory by the product of the lengths, and nobody misspells a word that long.
    candidates
        .into_iter()
        .filter(|candidate| word.len().max(candidate.len()) <= 200)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(word.chars().count()) / 3 + 1)
        .min()
        .map(|(_, candidate)| candidate)
}
