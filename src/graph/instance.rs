//! Instances: a stage of the file for one combination of the axes that reach it.

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use serde::Serialize;
use serde_json::Value;
use toml::de::DeTable;

use super::name::InstanceName;
use crate::{
    diagnostic::Span,
    pipeline::{Resources, document},
    stage::{AnyStage, Foresight, StageKind},
};

/// One node of the merged graph of a sweep.
pub struct Instance<'t> {
    /// `stage`, or `stage@axis=value,axis=value` with the axes that reach it.
    pub name: InstanceName,
    /// The axes that reach it, with their values here.
    pub axes: Axes,
    /// What its input ports are joined to.
    pub inputs: Vec<Link>,
    /// An earlier instance that is the same work, if there is one.
    pub same_as: Option<usize>,
    /// What is known of its outputs before anything runs.
    pub(super) foreseen: Arc<Foresight>,
    pub(super) definition: Arc<Definition<'t>>,
}

/// What instances of a stage with equal parameters share. An instance can be read as if it had these fields.
pub struct Definition<'t> {
    /// The stage in the file.
    pub stage: String,
    /// Its kind.
    pub kind: StageKind,
    /// Its parameters, ready to run.
    pub work: Box<dyn AnyStage>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// What of the machine it takes while it runs.
    pub needs: Resources,
    /// Equal for equal kinds and parameters.
    pub(super) id: usize,
    /// Parameters that the user sets and that have no effect here, and where.
    pub(super) idle: Box<[(&'static str, Span)]>,
    /// Parameters that hold a number that is NaN or infinite, where, and the number.
    pub(super) not_finite: Box<[(String, Span, String)]>,
    pub(super) places: Arc<Places<'t>>,
    /// The place of the value of each of the axes in `places`.
    pub(super) varied: Box<[Span]>,
}

/// Where the definitions of a node stand in the texts.
pub(super) struct Places<'t> {
    /// The parameters as written, before any axis.
    pub table: DeTable<'t>,
    /// The stage's name.
    pub header: Span,
    /// The wires.
    pub inputs: BTreeMap<&'static str, Span>,
    /// The parameters that axes vary.
    pub axes: Vec<String>,
}

/// An input port and the output of another instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The input port.
    pub port: &'static str,
    /// The other instance, an index into the graph.
    pub from: usize,
    /// Its output port, or `PORT@EPOCH`.
    pub output: Arc<str>,
}

impl Instance<'_> {
    /// The instances that must be done before it: indices into the graph.
    pub fn above(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().map(|link| link.from).chain(self.same_as)
    }
}

impl<'t> Deref for Instance<'t> {
    type Target = Definition<'t>;

    fn deref(&self) -> &Self::Target {
        &self.definition
    }
}

impl Definition<'_> {
    /// The parameters after defaults, as JSON.
    #[must_use]
    pub fn params(&self) -> Value {
        self.work.params()
    }

    /// The place of a parameter, or of the stage's name if nothing gives it.
    #[must_use]
    pub fn span(&self, param: &str) -> Span {
        let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        let varied = || self.places.axes.iter().zip(&self.varied);
        let on_axis = varied().find(|(axis, _)| *axis == param || below(param, axis)).map(|(_, span)| span.clone());
        let written = || document::span_of(&self.places.table, param);
        let above_axis = || varied().find(|(axis, _)| below(axis, param)).map(|(_, span)| span.clone());
        on_axis.or_else(written).or_else(above_axis).unwrap_or_else(|| self.places.header.clone())
    }

    /// The place of the wire into an input port.
    #[must_use]
    pub fn input_span(&self, port: &str) -> Span {
        self.places.inputs.get(port).unwrap_or(&self.places.header).clone()
    }
}

/// Axes with a value each. The words are shared by all instances.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axes(Box<[(Arc<str>, Arc<Value>)]>);

impl Axes {
    /// The value of an axis.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter().find(|(axis, _)| *axis == key).map(|(_, value)| value)
    }

    /// True if the axis reaches the instance.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The axes in the order of the instance's name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(axis, value)| (axis.as_ref(), value.as_ref()))
    }
}

impl FromIterator<(Arc<str>, Arc<Value>)> for Axes {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<Value>)>>(axes: I) -> Self {
        Self(axes.into_iter().collect())
    }
}

impl Serialize for Axes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().collect::<BTreeMap<_, _>>())
    }
}
