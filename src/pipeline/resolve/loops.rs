//! `[loop.NAME]`: stages that run several times, each round with what the round before made.

use toml::{Spanned, de::DeValue};

use super::{Axis, Pipeline, Wire, document, parse::Reader, range};
use crate::diagnostic::{Diagnostic, Span, suggest};

/// A loop. Round 1 takes the inputs as the stages have them; what is carried takes their place from round 2 on.
#[derive(Clone, Debug)]
pub struct Loop {
    /// Its name, and the place of that.
    pub name: Spanned<String>,
    /// The number of rounds, at least 1.
    pub times: Spanned<usize>,
    /// The stages of a round.
    pub body: Vec<Spanned<String>>,
    /// `STAGE.PORT` of an input in the body, and the output in the body that it takes from the round before.
    pub carry: Vec<Wire>,
}

impl Loop {
    /// True if the stage belongs to a round.
    #[must_use]
    pub fn holds(&self, stage: &str) -> bool {
        self.body.iter().any(|name| name.get_ref() == stage)
    }
}

/// The number of rounds that a value asks for.
#[must_use]
pub fn times(value: &DeValue<'_>) -> Option<usize> {
    let times = usize::try_from(document::whole(value)?).ok()?;
    (1..=range::MOST).contains(&times).then_some(times)
}

impl<'t> Reader<'_, 't> {
    pub(in crate::pipeline) fn loops(&mut self, key: &Span, value: Spanned<DeValue<'t>>, pipeline: &mut Pipeline<'t>) {
        for (name, value) in self.table(key, value) {
            let name = Spanned::new(name.span(), name.into_inner().into_owned());
            self.can_be_named(&name, "loop");
            if let Some(stage) = pipeline.stages.iter().find(|stage| stage.name.get_ref() == name.get_ref()) {
                let message = format!("`{}` is the name of a stage and of a loop", name.get_ref());
                let diagnostic = Diagnostic::new(name.span(), message).other(stage.name.span(), "the stage");
                self.found.push(diagnostic.help("rename one of them"));
            }
            let before = self.found.len();
            let (mut rounds, mut body, mut carry) = (None, Vec::new(), Vec::new());
            for (key, value) in self.table(&name.span(), value) {
                match key.get_ref().as_ref() {
                    "times" => rounds = Some(value),
                    "body" => body = self.body(&value, pipeline),
                    "carry" => carry = self.wires(&key.span(), value),
                    other => {
                        let message = format!("`[loop.{}]` has no key `{other}`", name.get_ref());
                        let help = match suggest(other, ["times", "body", "carry"]) {
                            Some(like) => format!("did you mean `{like}`?"),
                            None => "it has `times`, `body` and `carry`".to_owned(),
                        };
                        self.found.push(Diagnostic::new(key.span(), message).help(help));
                    }
                }
            }
            let complete = self.found.len() == before;
            if complete && (body.is_empty() || carry.is_empty()) {
                let message = format!("loop `{}` needs `body` and `carry`", name.get_ref());
                let help = "write body = [\"stage\", …] and carry = { \"stage.port\" = \"stage.port\" }";
                self.found.push(Diagnostic::new(name.span(), message).help(help));
            }
            let times = match &rounds {
                None => Some(Spanned::new(name.span(), 1)),
                Some(value) => times(value.get_ref()).map(|times| Spanned::new(value.span(), times)),
            };
            match (times, rounds) {
                (Some(times), _) => pipeline.loops.push(Loop { name, times, body, carry }),
                (None, rounds) => {
                    let span = rounds.map_or(name.span(), |value| value.span());
                    self.no_times(span);
                }
            }
        }
        self.overlap(&pipeline.loops);
    }

    fn no_times(&mut self, span: Span) {
        let message = format!("`times` must be a whole number from 1 to {}", range::MOST);
        self.found.push(Diagnostic::new(span, message).help("it is the number of rounds"));
    }

    /// The stages of a body that are there.
    fn body(&mut self, value: &Spanned<DeValue<'t>>, pipeline: &Pipeline<'t>) -> Vec<Spanned<String>> {
        let Some(items) = value.get_ref().as_array() else {
            let message = format!("`body` must be a list of stages, found {}", value.get_ref().type_str());
            self.found.push(Diagnostic::new(value.span(), message).help("write body = [\"stage\", \"stage\"]"));
            return Vec::new();
        };
        let mut body = Vec::new();
        for item in items.iter() {
            if let Some(stage) = self.a_stage(item, pipeline) {
                body.push(stage);
            }
        }
        body
    }

    /// The name of a stage that is there.
    pub(in crate::pipeline) fn a_stage(
        &mut self,
        item: &Spanned<DeValue<'t>>,
        pipeline: &Pipeline<'t>,
    ) -> Option<Spanned<String>> {
        let Some(name) = item.get_ref().as_str() else {
            let message = format!("the name of a stage must be a string, found {}", item.get_ref().type_str());
            self.found.push(Diagnostic::new(item.span(), message));
            return None;
        };
        let mut names = pipeline.stages.iter().map(|stage| stage.name.get_ref().as_str());
        if names.clone().any(|stage| stage == name) {
            return Some(Spanned::new(item.span(), name.to_owned()));
        }
        if !pipeline.unread.contains(name) {
            let help = match suggest(name, &mut names) {
                Some(like) => format!("did you mean `{like}`?"),
                None => "it names stages of this file".to_owned(),
            };
            self.found.push(Diagnostic::new(item.span(), format!("there is no stage `{name}`")).help(help));
        }
        None
    }

    fn overlap(&mut self, loops: &[Loop]) {
        for (at, one) in loops.iter().enumerate() {
            for stage in &one.body {
                let other = loops[..at].iter().flat_map(|other| &other.body);
                if let Some(first) = other.into_iter().find(|name| name.get_ref() == stage.get_ref()) {
                    let message = format!("stage `{}` is in two loops", stage.get_ref());
                    let diagnostic = Diagnostic::new(stage.span(), message).other(first.span(), "and here");
                    self.found.push(diagnostic.help("a stage belongs to one loop at most"));
                }
            }
        }
    }

    /// True if an axis over a loop is one over its rounds.
    pub(in crate::pipeline) fn is_times(&mut self, axis: &Axis<'t>) -> bool {
        if axis.path != ["times"] {
            let message = format!("`{}`: a loop has nothing to vary but `times`", axis.key.get_ref());
            let help = format!("write `{}.times`", axis.stage);
            self.found.push(Diagnostic::new(axis.key.span(), message).help(help));
            return false;
        }
        let wrong: Vec<Span> =
            axis.values.iter().filter(|value| times(value.get_ref()).is_none()).map(Spanned::span).collect();
        for span in &wrong {
            self.no_times(span.clone());
        }
        wrong.is_empty()
    }
}
