//! One mistake or warning, and how it is shown.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::sources::{Sources, Span, Text};

/// Whether a diagnostic stops the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing runs until it is mended.
    Mistake,
    /// Everything runs, but probably not as the user expects.
    Warning,
}

/// One mistake or warning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
        let here = self.others.iter().filter(|(span, _)| text.holds(span, sources));
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
        let elsewhere = sources.all().iter().filter(|text| {
            !text.holds(&self.span, sources) && self.others.iter().any(|(span, _)| text.holds(span, sources))
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
