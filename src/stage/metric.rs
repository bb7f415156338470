//! What the numbers of a stage mean, so that tables, figures and searches need to know no kind.

use std::borrow::Cow;

/// The unit of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    #[default]
    Number,
    /// A fraction of something; people read it in percent.
    Fraction,
}

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Higher ones.
    Higher,
    /// Lower ones.
    Lower,
}

/// Where a metric is shown first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Among the other numbers of its stage.
    #[default]
    Detail,
    /// What a stage is judged by: the first number in tables, and what comparisons and searches take by default.
    Score {
        /// The metrics that hold the ends of its interval over the test images of a single run.
        interval: Option<[Cow<'static, str>; 2]>,
    },
    /// Always beside the score of the same stage.
    BesideScore,
    /// Explains the scores of stages that depend on this one: figures show one against the other.
    Explains,
}

/// A metric that foretells another one by a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The metric that is foretold.
    pub of: Cow<'static, str>,
    /// The formula holds only where this metric is 0.
    pub where_zero: Option<Cow<'static, str>>,
}

/// A number that a stage reports, or a series of it over epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, snake_case.
    pub name: Cow<'static, str>,
    /// What it is, in a few words.
    pub doc: Cow<'static, str>,
    /// Its unit.
    pub unit: Unit,
    /// Which values are better, where that can be said.
    pub better: Option<Better>,
    /// Where it is shown first.
    pub role: Role,
    /// What it foretells.
    pub predicts: Option<Prediction>,
}

impl Metric {
    /// A plain number among others.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, doc: impl Into<Cow<'static, str>>) -> Self {
        let (name, doc) = (name.into(), doc.into());
        Self { name, doc, unit: Unit::Number, better: None, role: Role::Detail, predicts: None }
    }

    /// The same as a fraction, shown in percent.
    #[must_use]
    pub fn fraction(self) -> Self {
        Self { unit: Unit::Fraction, ..self }
    }

    /// The same, of which higher values are better.
    #[must_use]
    pub fn higher(self) -> Self {
        Self { better: Some(Better::Higher), ..self }
    }

    /// The same, of which lower values are better.
    #[must_use]
    pub fn lower(self) -> Self {
        Self { better: Some(Better::Lower), ..self }
    }

    /// The same as what a stage is judged by.
    #[must_use]
    pub fn score(self) -> Self {
        Self { role: Role::Score { interval: None }, ..self }
    }

    /// The same, judged by, with the metrics that hold the ends of its interval over the test images of a single run.
    #[must_use]
    pub fn score_between(self, low: &'static str, high: &'static str) -> Self {
        Self { role: Role::Score { interval: Some([low.into(), high.into()]) }, ..self }
    }

    /// The same, always beside the score of its stage.
    #[must_use]
    pub fn beside_score(self) -> Self {
        Self { role: Role::BesideScore, ..self }
    }

    /// The same as an explanation of the scores of stages that depend on its stage.
    #[must_use]
    pub fn explains(self) -> Self {
        Self { role: Role::Explains, ..self }
    }

    /// The same as a prediction of another metric; where `where_zero` is given, only where that metric is 0.
    #[must_use]
    pub fn predicts(self, of: &'static str, where_zero: Option<&'static str>) -> Self {
        Self { predicts: Some(Prediction { of: of.into(), where_zero: where_zero.map(Into::into) }), ..self }
    }
}
