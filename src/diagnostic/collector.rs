//! Gathers what is said about what the user wrote.

use std::collections::HashSet;

use super::{message::Diagnostic, sources::Span, suggest::Names};

/// Diagnostics beyond this number are not shown: they are a few, many times.
pub const MAX_SHOWN: usize = 1000;

/// All mistakes and warnings so far, each once, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    known: HashSet<Diagnostic>,
}

impl Diagnostics {
    /// Adds a diagnostic, unless an equal one is there.
    pub fn add(&mut self, diagnostic: Diagnostic) {
        if self.known.insert(diagnostic.clone()) {
            self.all.push(diagnostic);
        }
    }

    /// Adds the mistake of a word that is none of some names, with the one that was probably meant.
    pub fn unknown(&mut self, span: Span, message: impl Into<String>, word: &str, names: &Names<'_>) {
        self.add(Diagnostic::new(span, message).help(names.help(word)));
    }

    /// The value, or nothing and one diagnostic more.
    pub fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.add(diagnostic)).ok()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number of diagnostics.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True if one of them is a mistake.
    #[must_use]
    pub fn has_mistakes(&self) -> bool {
        self.all.iter().any(Diagnostic::is_mistake)
    }

    /// All of them, in the order in which they were added.
    #[must_use]
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.all
    }

    /// The mistakes and the warnings to show: of each at most [`MAX_SHOWN`], in the order of the texts.
    #[must_use]
    pub fn into_shown(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let (mut mistakes, mut warnings): (Vec<_>, Vec<_>) = self.all.into_iter().partition(Diagnostic::is_mistake);
        for shown in [&mut mistakes, &mut warnings] {
            shown.truncate(MAX_SHOWN);
            shown.sort_by_key(|diagnostic| diagnostic.span.start);
        }
        (mistakes, warnings)
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        diagnostics.into_iter().for_each(|diagnostic| self.add(diagnostic));
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Self {
        let mut all = Self::default();
        all.extend(diagnostics);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once_and_they_are_shown_in_the_order_of_the_text() {
        let mut found = Diagnostics::default();
        found.add(Diagnostic::new(5..6, "late"));
        found.add(Diagnostic::warning(3..4, "odd"));
        found.add(Diagnostic::new(1..2, "early"));
        found.add(Diagnostic::new(5..6, "late"));
        found.unknown(0..1, "there is no stage `prob`", "prob", &Names::new(["probe"]));
        assert_eq!((found.len(), found.has_mistakes()), (4, true));
        let (mistakes, warnings) = found.into_shown();
        let messages: Vec<&str> = mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
        assert_eq!(messages, ["there is no stage `prob`", "early", "late"]);
        assert_eq!(mistakes[0].help.as_deref(), Some("did you mean `probe`?"));
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn no_more_than_the_limit_are_shown() {
        let found: Diagnostics = (0..2 * MAX_SHOWN).map(|at| Diagnostic::new(at..at + 1, "wrong")).collect();
        assert_eq!(found.into_shown().0.len(), MAX_SHOWN);
    }
}
