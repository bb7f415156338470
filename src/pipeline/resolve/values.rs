//! The values of an axis: those of a list or a range, a single one, or none where a parameter is left out.

use toml::{Spanned, de::DeValue};

use super::{
    Axis, Params, Pipeline, StageDef,
    document::{self, NONE},
    draw,
    params::Allowed,
    parse::Reader,
    range,
};
use crate::diagnostic::{Diagnostic, Span};

/// What gives an axis its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Role {
    /// An axis of the grid.
    Grid,
    /// An explicit point, which has one value.
    Point,
    /// An entry of `exclude`: one value, or several of which any may be meant.
    Exclude,
}

type Values<'t> = Vec<Spanned<DeValue<'t>>>;

impl<'t> Reader<'_, 't> {
    /// The values that stand behind the key of an axis.
    pub(in crate::pipeline) fn values(
        &mut self,
        axis: &Axis<'t>,
        value: Spanned<DeValue<'t>>,
        role: Role,
        pipeline: &Pipeline<'t>,
    ) -> Option<Values<'t>> {
        let key = axis.key.get_ref();
        let is_list = |value: &Spanned<DeValue<'t>>| value.get_ref().is_array();
        // A list is one value of a parameter that takes lists, if it does not hold some itself.
        let whole = value
            .get_ref()
            .as_array()
            .is_some_and(|items| role != Role::Grid && !items.iter().any(is_list) && self.allowed(axis, pipeline).list);
        let values = match value.get_ref() {
            DeValue::Table(_) if role == Role::Grid => {
                let help = "an axis is written in quotes: \"stage.param\" = [1, 2]";
                let message = format!("the axis `{key}` must be a list of values");
                self.found.push(Diagnostic::new(axis.key.span(), message).help(help));
                return None;
            }
            DeValue::Table(_) => vec![value],
            _ if whole => vec![value],
            _ if role == Role::Point => {
                let span = value.span();
                let values = if is_list(&value) { vec![] } else { self.ranges(vec![value])? };
                if values.len() != 1 {
                    let message = format!("a point has one value for `{key}`, not a list");
                    let help = "write one table for each point, or make it an axis";
                    self.found.push(Diagnostic::new(span, message).help(help));
                    return None;
                }
                values
            }
            _ => self.listed(&axis.key, &value)?,
        };
        let drawn = values.iter().find(|value| draw::read(value.get_ref()).is_some());
        if let Some(drawn) = drawn.filter(|_| role == Role::Point || values.len() > 1) {
            let message = format!("`{key}` is drawn at random here, beside other values");
            let help = "a distribution is the only value of its axis; explicit `points` have values of their own";
            self.found.push(Diagnostic::new(drawn.span(), message).help(help));
            return None;
        }
        Some(values)
    }

    /// The values of a list or a range, or a single one.
    pub(in crate::pipeline) fn listed(
        &mut self,
        key: &Spanned<String>,
        value: &Spanned<DeValue<'t>>,
    ) -> Option<Values<'t>> {
        let values: Values<'t> = match value.get_ref() {
            DeValue::Array(items) => items.iter().cloned().collect(),
            _ => vec![value.clone()],
        };
        if values.is_empty() {
            let message = format!("the axis `{}` has no values", key.get_ref());
            self.found.push(Diagnostic::new(value.span(), message).help("give at least one value"));
            return None;
        }
        self.ranges(values)
    }

    /// The values with each range in place of its text.
    pub(in crate::pipeline) fn ranges(&mut self, values: Values<'t>) -> Option<Values<'t>> {
        let mut all = Vec::with_capacity(values.len());
        for value in values {
            let Some(text) = value.get_ref().as_str().filter(|text| range::is_range(text)) else {
                all.push(value);
                continue;
            };
            match range::values(text) {
                Ok(numbers) => all.extend(numbers.into_iter().filter_map(|number| {
                    let number = DeValue::parse(self.sources.keep(number)).ok()?;
                    Some(Spanned::new(value.span(), number.into_inner()))
                })),
                Err((message, help)) => {
                    self.found.push(Diagnostic::new(value.span(), message).help(help));
                    return None;
                }
            }
        }
        Some(all)
    }

    /// What the parameter of an axis allows.
    fn allowed(&mut self, axis: &Axis<'t>, pipeline: &Pipeline<'t>) -> Allowed {
        let stage = pipeline.stages.iter().find(|stage| *stage.name.get_ref() == axis.stage);
        stage.map(|stage| self.params_of(stage).allowed(&axis.path)).unwrap_or_default()
    }

    fn params_of(&mut self, stage: &StageDef<'t>) -> &Params {
        self.params.entry(stage.kind.name).or_insert_with(|| Params::of(&stage.kind))
    }

    /// Makes `= none` of each `none` that leaves an optional parameter out. Where text is allowed, `none` in quotes is that.
    /// False (with a mistake noted) if the parameter can be neither left out nor `none`.
    pub(in crate::pipeline) fn left_out(&mut self, axis: &mut Axis<'t>, pipeline: &Pipeline<'t>) -> bool {
        let Some(stage) = pipeline.stages.iter().find(|stage| *stage.name.get_ref() == axis.stage) else { return true };
        let allowed = self.allowed(axis, pipeline);
        let mut right = true;
        for value in axis.values.iter_mut().filter(|value| value.get_ref().as_str() == Some(NONE)) {
            let bare = self.sources.slice(&value.span()) == Some(NONE);
            if allowed.nothing && !allowed.word && (bare || !allowed.text) {
                *value.get_mut() = DeValue::String(format!("= {NONE}").into());
            } else if !allowed.word && !allowed.text {
                self.found.push(not_optional(stage, &axis.path, value.span()));
                right = false;
            }
        }
        right
    }

    /// Notes each `= none` for a parameter that is not optional; gives the places.
    pub(in crate::pipeline) fn needed(&mut self, pipeline: &Pipeline<'t>) -> Vec<Span> {
        let mut wrong = Vec::new();
        let mut look = |stage: &StageDef<'t>, path: &[String], value: &Spanned<DeValue<'t>>| {
            let mut open = vec![(path.to_vec(), value)];
            while let Some((path, value)) = open.pop() {
                if document::is_none(value.get_ref()) && !self.params_of(stage).allowed(&path).nothing {
                    self.found.push(not_optional(stage, &path, value.span()));
                    wrong.push(value.span());
                }
                let below = value.get_ref().as_table().into_iter().flatten();
                open.extend(below.map(|(key, value)| ([&path[..], &[key.get_ref().to_string()]].concat(), value)));
            }
        };
        let stage = |name: &str| pipeline.stages.iter().find(|stage| stage.name.get_ref() == name);
        for stage in &pipeline.stages {
            stage.params.iter().for_each(|(key, value)| look(stage, &[key.get_ref().to_string()], value));
        }
        for patch in pipeline.variants.iter().flat_map(|variant| &variant.set) {
            stage(&patch.stage).into_iter().for_each(|stage| look(stage, &patch.path, &patch.value));
        }
        for axis in pipeline.axes.iter().filter(|axis| !axis.is_variant()) {
            let stage = stage(&axis.stage);
            stage.into_iter().for_each(|stage| axis.values.iter().for_each(|value| look(stage, &axis.path, value)));
        }
        wrong
    }
}

fn not_optional(stage: &StageDef<'_>, path: &[String], span: Span) -> Diagnostic {
    let name = format!("{}.{}", stage.name.get_ref(), path.join("."));
    let defaults = stage.kind.default_stage().params();
    let default = path.iter().try_fold(&defaults, |value, key| value.get(key)).filter(|value| !value.is_null());
    let help = match default {
        Some(default) => format!("give it a value; its default is {default}"),
        None => "give it a value".to_owned(),
    };
    Diagnostic::new(span, format!("`{name}` is not optional, so it cannot be left out")).help(help)
}
