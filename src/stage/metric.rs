//! What the numbers of a stage mean, so that tables, figures and searches need not know its kind.

use std::borrow::Cow;

/// The unit of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    #[default]
    Number,
    /// A fraction, shown in percent.
    Fraction,
}

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Higher values.
    Higher,
    /// Lower values.
    Lower,
}

/// The role of a metric in tables, figures and comparisons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// One of the further numbers of its stage.
    #[default]
    Detail,
    /// The number that a stage is judged by: the first in tables, and the default of comparisons and searches.
    Score {
        /// The metrics with the lower and upper end of its interval over the test images of a single run.
        interval: Option<[Cow<'static, str>; 2]>,
    },
    /// Always shown beside the score of the same stage.
    BesideScore,
    /// An explanation of the scores of stages that depend on this one: figures plot one against the other.
    Explains,
}

/// A prediction of another metric by a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The metric that is predicted.
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
    /// Which values are better, if there is an answer.
    pub better: Option<Better>,
    /// Its role in tables, figures and comparisons.
    pub role: Role,
    /// The metric that it predicts, if any.
    pub predicts: Option<Prediction>,
}

impl Metric {
    /// A plain number, shown among the others of its stage.
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

    /// The same, where higher values are better.
    #[must_use]
    pub fn higher(self) -> Self {
        Self { better: Some(Better::Higher), ..self }
    }

    /// The same, where lower values are better.
    #[must_use]
    pub fn lower(self) -> Self {
        Self { better: Some(Better::Lower), ..self }
    }

    /// The same, as the score of its stage.
    #[must_use]
    pub fn score(self) -> Self {
        Self { role: Role::Score { interval: None }, ..self }
    }

    /// The same, as the score of its stage, with the metrics for the lower and upper end of its interval over the test
    /// images of a single run.
    #[must_use]
    pub fn score_between(self, low: &'static str, high: &'static str) -> Self {
        Self { role: Role::Score { interval: Some([low.into(), high.into()]) }, ..self }
    }

    /// The same, always shown beside the score of its stage.
    #[must_use]
    pub fn beside_score(self) -> Self {
        Self { role: Role::BesideScore, ..self }
    }

    /// The same, as an explanation of the scores of stages that depend on its stage.
    #[must_use]
    pub fn explains(self) -> Self {
        Self { role: Role::Explains, ..self }
    }

    /// The same, as a prediction of the metric `of`. With `where_zero`, the prediction holds only where that metric is
    /// 0.
    #[must_use]
    pub fn predicts(self, of: &'static str, where_zero: Option<&'static str>) -> Self {
        Self { predicts: Some(Prediction { of: of.into(), where_zero: where_zero.map(Into::into) }), ..self }
    }
}
