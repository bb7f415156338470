//! Parses `STAGE@axis=value,axis=value`, the text that selects instances. Targets, arms and baselines use this syntax,
//! and so does every printed name.
//!
//! Values are compared as values, so `1e-3` and `0.001` are equal. A comma belongs to a value unless an axis follows
//! it. Values may be in quotes or brackets. An axis may omit its stage if no other axis has the same ending.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::Value;

use super::{
    build::{Graph, Selection},
    instance::{Instance, InstanceId},
    name::InstanceName,
};
use crate::{
    diagnostic::suggest,
    pipeline::{meant, quoted},
};

/// Axes with the selected value of each.
pub type Values = BTreeMap<String, Value>;

/// The meaning of one target.
pub struct Target {
    /// The instances that it names.
    pub instances: Vec<InstanceId>,
    /// The axes that the target names, with the values that these instances have.
    pub fixed: Values,
}

/// A text that names no stage, instance or axis of the graph. The message lists those that exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(String);

/// The most instances that an error lists.
const MOST_LISTED: usize = 5;

impl Target {
    /// Finds an instance, all instances of a stage, or, for `STAGE@axis=value,…`, those instances of the stage that
    /// have these values.
    ///
    /// # Errors
    /// If there is none. The message has a suggestion.
    pub fn find(graph: &Graph<'_>, text: &str) -> Result<Self, TargetError> {
        let text = &*graph.with_seed(text);
        let (stage, values) = InstanceName::split(text);
        let of_stage: Vec<InstanceId> =
            graph.instances.keys().filter(|&at| graph.instances[at].stage == stage).collect();
        if of_stage.is_empty() {
            return Err(TargetError(no_stage(graph, stage)));
        }
        let Some(values) = values else { return Ok(Self { instances: of_stage, fixed: Values::new() }) };
        if let Some(&at) = of_stage.iter().find(|&&at| graph.instances[at].name == text) {
            let axes = graph.instances[at].axes.iter();
            return Ok(Self {
                instances: vec![at],
                fixed: axes.map(|(axis, value)| (axis.to_owned(), value.clone())).collect(),
            });
        }
        let axes: BTreeSet<&str> =
            of_stage.iter().flat_map(|&at| graph.instances[at].axes.iter()).map(|(axis, _)| axis).collect();
        for parts in readings(values, &axes) {
            let wanted: Vec<(&str, Vec<&Value>)> =
                parts.iter().map(|(axis, value)| (*axis, meant(value, distinct(graph, &of_stage, axis)))).collect();
            let has = |instance: &Instance<'_>, (axis, wanted): &(&str, Vec<&Value>)| {
                instance.axes.get(axis).is_some_and(|found| wanted.contains(&found))
            };
            let fits = |&&at: &&InstanceId| wanted.iter().all(|part| has(&graph.instances[at], part));
            let instances: Vec<InstanceId> = of_stage.iter().filter(fits).copied().collect();
            if let Some(&first) = instances.first() {
                let value = |(axis, _): &(&str, &str)| {
                    Some(((*axis).to_owned(), graph.instances[first].axes.get(axis)?.clone()))
                };
                return Ok(Self { instances, fixed: parts.iter().filter_map(value).collect() });
            }
        }
        Err(TargetError(none_such(graph, text, &of_stage, &axes)))
    }
}

impl Graph<'_> {
    /// Selects the instances that `targets` name and everything that they depend on. A target is a stage, an instance,
    /// or `STAGE@axis=value,…` for those instances of a stage that have these values. Without targets, all instances
    /// are selected.
    ///
    /// # Errors
    /// If a target names no instance. The message has a suggestion.
    pub fn select(&self, targets: &[String]) -> Result<Selection, TargetError> {
        let mut chosen = BTreeSet::new();
        for target in targets {
            chosen.extend(Target::find(self, target)?.instances);
        }
        if targets.is_empty() {
            chosen.extend(self.instances.keys());
        }
        Ok(self.with_needs(chosen))
    }

    /// Parses `axis=value,…` for any stage.
    ///
    /// # Errors
    /// If an axis does not exist, or no instance has the value. The message has a suggestion.
    pub fn values(&self, text: &str) -> Result<Values, TargetError> {
        let text = &*self.with_seed(text);
        let axes: BTreeSet<&str> =
            self.instances.iter().flat_map(|instance| instance.axes.iter()).map(|(axis, _)| axis).collect();
        let all: Vec<InstanceId> = self.instances.keys().collect();
        let find = |axis: &str, value: &str| meant(value, distinct(self, &all, axis)).first().copied();
        for parts in readings(text, &axes) {
            let all: Option<Values> =
                parts.iter().map(|(axis, value)| Some(((*axis).to_owned(), find(axis, value)?.clone()))).collect();
            if let Some(all) = all {
                let twice = all.len() < parts.len();
                return if twice { Err(TargetError(format!("`{text}` gives an axis two values"))) } else { Ok(all) };
            }
        }
        let wrong = InstanceName::parts(text).find(|part| match part.split_once('=') {
            Some((axis, value)) => full(axis, &axes).is_none_or(|axis| find(axis, value).is_none()),
            None => true,
        });
        let wrong = wrong.unwrap_or(text);
        let axis = wrong.split('=').next().unwrap_or_default();
        Err(TargetError(match full(axis, &axes) {
            Some(_) => format!("no instance has `{wrong}`; `strata graph` lists them"),
            None => unknown(axis, &axes, "the sweep"),
        }))
    }
}

impl Graph<'_> {
    /// Writes the axis of the repeats, `seed`, where the text has the name of the parameter that it sets, `STAGE.seed`.
    fn with_seed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let repeats = self.pipeline.repeats.as_deref();
        let axis = self.pipeline.axes.iter().find(|axis| Some(axis.name()) == repeats);
        let Some(axis) = axis.filter(|axis| !axis.name().contains('.')) else { return Cow::Borrowed(text) };
        let old = format!("{}.{}=", axis.stage, axis.path.join("."));
        let mut written = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(&old) {
            let (before, after) = rest.split_at(at);
            written.push_str(before);
            let starts = written.is_empty() || written.ends_with(['@', ',']);
            written.push_str(if starts { axis.name() } else { &old[..old.len() - 1] });
            written.push('=');
            rest = &after[old.len()..];
        }
        if written.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(written + rest) }
    }
}

/// Returns the distinct values of an axis among some instances.
fn distinct<'g>(graph: &'g Graph<'_>, instances: &[InstanceId], axis: &str) -> Vec<&'g Value> {
    let mut known = BTreeSet::new();
    let values = instances.iter().filter_map(|&at| graph.instances[at].axes.get(axis));
    // The words of an axis are shared, so equal values have the same address.
    values.filter(|value| known.insert(std::ptr::from_ref::<Value>(value).addr())).collect()
}

/// Returns the axis that a word names: the whole key, or its end if no other key has the same ending.
fn full<'a>(word: &str, axes: &BTreeSet<&'a str>) -> Option<&'a str> {
    let ends = |axis: &&&str| axis.strip_suffix(word).is_some_and(|start| start.ends_with('.'));
    let mut like = axes.iter().filter(ends);
    match (axes.get(word), like.next(), like.next()) {
        (Some(axis), ..) | (None, Some(axis), None) => Some(axis),
        _ => None,
    }
}

/// Returns the possible readings of `axis=value,…`: one in which commas inside brackets and quotes belong to the value,
/// and one in which they do not, since text may hold unpaired brackets or quotes. A reading in which a part has no axis
/// is dropped.
fn readings<'a, 'g>(text: &'a str, axes: &BTreeSet<&'g str>) -> impl Iterator<Item = Vec<(&'g str, &'a str)>> {
    [true, false].into_iter().filter_map(|nests| {
        let parts = split(text, axes, nests);
        let pair = |part: &&'a str| part.split_once('=').and_then(|(axis, value)| Some((full(axis, axes)?, value)));
        parts.iter().map(pair).collect()
    })
}

fn split<'a>(text: &'a str, axes: &BTreeSet<&str>, nests: bool) -> Vec<&'a str> {
    let starts = |rest: &str| rest.split_once('=').is_some_and(|(axis, _)| full(axis, axes).is_some());
    let (mut parts, mut from, mut depth, mut quote, mut before) = (Vec::new(), 0, 0i32, None, ',');
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(mark), _) if mark == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if nests && matches!(before, '=' | ',' | '[' | '{' | ' ') => quote = Some(c),
            (None, '[' | '{') if nests => depth += 1,
            (None, ']' | '}') if nests => depth -= 1,
            (None, ',') if depth == 0 && starts(&text[at + 1..]) => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    parts.push(&text[from..]);
    parts
}

fn no_stage(graph: &Graph<'_>, stage: &str) -> String {
    match suggest(stage, graph.instances.iter().map(|instance| instance.stage.as_str())) {
        Some(like) => format!("there is no stage `{stage}`; did you mean `{like}`?"),
        None => format!("there is no stage `{stage}`; `strata graph` lists them"),
    }
}

fn unknown(axis: &str, axes: &BTreeSet<&str>, of: &str) -> String {
    let ends = |of: &&str| of.strip_suffix(axis).is_some_and(|start| start.ends_with('.'));
    let like: Vec<&str> = axes.iter().copied().filter(ends).collect();
    let message = format!("{of} has no axis `{axis}`");
    match (&like[..], suggest(axis, axes.iter().copied())) {
        ([_, _, ..], _) => format!("`{axis}` may be {}; name one in full", quoted(&like)),
        (_, Some(like)) => format!("{message}; did you mean `{like}`?"),
        _ => format!("{message}; there are {}", quoted(&axes.iter().collect::<Vec<_>>())),
    }
}

/// Explains why a target matches no instance of a stage that exists.
fn none_such(graph: &Graph<'_>, text: &str, of_stage: &[InstanceId], axes: &BTreeSet<&str>) -> String {
    let (stage, values) = text.split_once('@').unwrap_or((text, ""));
    for part in split(values, axes, true) {
        let Some((axis, _)) = part.split_once('=') else {
            return format!("`{text}`: `{part}` has no `=`; instances are written STAGE@axis=value,axis=value");
        };
        if full(axis, axes).is_none() && !axes.is_empty() {
            return format!("`{text}`: {}", unknown(axis, axes, &format!("`{stage}`")));
        }
    }
    let some = of_stage.iter().take(MOST_LISTED).map(|&at| format!("\n  {}", graph.instances[at].name));
    let more = if of_stage.len() > MOST_LISTED { "\n  …" } else { "" };
    format!("no instance of `{stage}` is `{text}`; there are{}{more}", some.collect::<String>())
}
