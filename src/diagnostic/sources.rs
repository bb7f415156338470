//! The texts that a pipeline is read from, and places in them.
//!
//! A pipeline is read from several texts: the file, and each argument of the command line. They are numbered as if they
//! were concatenated, so that a span is one range of offsets whichever text it points into.

use std::ops::Range;

use serde::Serialize;

/// A range of bytes in a [`Sources`].
pub type Span = Range<usize>;

/// The texts that a pipeline was read from.
#[derive(Debug, Default)]
pub struct Sources {
    texts: Vec<Text>,
    computed: boxcar::Vec<Box<str>>,
}

#[derive(Clone, Debug)]
pub(super) struct Text {
    pub name: String,
    pub text: String,
    pub start: usize,
    /// Whether another text includes it.
    included: bool,
}

impl Text {
    /// A span counted from the start of the text.
    pub(super) fn local(&self, span: &Span) -> Span {
        let at = |offset: usize| offset.saturating_sub(self.start).min(self.text.len());
        at(span.start)..at(span.end)
    }

    /// True if a span begins in this text.
    pub(super) fn holds(&self, span: &Span, sources: &Sources) -> bool {
        sources.text(span.start).is_some_and(|text| text.start == self.start)
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
        self.push(name.into(), text.into(), false);
    }

    /// Adds the text of a file that the first text includes.
    pub fn add_included(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.push(name.into(), text.into(), true);
    }

    fn push(&mut self, name: String, text: String, included: bool) {
        let start = self.texts.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.texts.push(Text { name, text, start, included });
    }

    /// Keeps a text that was computed while reading, such as a number of a range, for as long as the sources live, so
    /// that parsed values may borrow from it.
    pub fn keep(&self, text: impl Into<Box<str>>) -> &str {
        let index = self.computed.push(text.into());
        &self.computed[index]
    }

    /// The text that holds an offset.
    pub(super) fn text(&self, offset: usize) -> Option<&Text> {
        self.texts.iter().rev().find(|text| text.start <= offset)
    }

    /// All texts.
    pub(super) fn all(&self) -> &[Text] {
        &self.texts
    }

    /// The texts that are not included, each with the offset where it starts.
    pub fn texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.texts.iter().filter(|text| !text.included).map(|text| (text.start, text.text.as_str()))
    }

    /// The included texts, each with its name and the offset where it starts.
    pub fn included(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        let included = self.texts.iter().filter(|text| text.included);
        included.map(|text| (text.name.as_str(), text.start, text.text.as_str()))
    }

    /// The text of a span.
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
