//! Instances: a stage of the file for one combination of the axes that reach it.

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use serde::Serialize;
use serde_json::Value;
use toml::de::DeTable;
use typed_index_collections::TiVec;

use super::name::InstanceName;
use crate::{
    diagnostic::Span,
    digest::StageKey,
    pipeline::{Resources, document},
    stage::{AnyStage, Foresight, Form, StageKind},
};

/// The number of an instance in its graph. An instance has a greater number than those that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(usize);

impl From<usize> for InstanceId {
    fn from(number: usize) -> Self {
        Self(number)
    }
}

impl From<InstanceId> for usize {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

/// The instances of a graph by number.
pub type Instances<'t> = TiVec<InstanceId, Instance<'t>>;

/// One node of the merged graph of a sweep.
pub struct Instance<'t> {
    /// `stage`, or `stage@axis=value,axis=value` with the axes that reach it.
    pub name: InstanceName,
    /// The axes that reach the instance, with their values for it.
    pub axes: Axes,
    /// The outputs that its input ports are joined to.
    pub inputs: Vec<Link>,
    /// An earlier instance that does the same work, if there is one.
    pub same_as: Option<InstanceId>,
    /// What it has in the run that is looked at; `None` in a graph that is not that of an earlier run.
    pub recorded: Option<Recorded>,
    /// The facts about its outputs that are known before anything runs.
    pub(super) foreseen: Arc<Foresight>,
    pub(super) definition: Arc<Definition<'t>>,
}

/// What an instance has in an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// A result, under this key.
    Made(StageKey),
    /// No result. The key is that of the work which failed or was stopped.
    Missing(Option<StageKey>),
}

/// The data that instances of a stage with equal parameters share. `Instance` dereferences to it.
pub struct Definition<'t> {
    /// The stage in the file.
    pub stage: String,
    /// Its kind.
    pub kind: StageKind,
    /// Its parameters, as a stage that is ready to run.
    pub work: Box<dyn AnyStage>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// The resources that it takes while it runs.
    pub needs: Resources,
    /// The number of the kind with its parameters: equal for equal kinds and parameters.
    pub(super) id: usize,
    /// Parameters that the user sets and that have no effect here, with their places.
    pub(super) idle: Box<[(&'static str, Span)]>,
    /// Parameters that hold a number that is NaN or infinite: key path, place, and the number as written.
    pub(super) not_finite: Box<[(String, Span, String)]>,
    pub(super) places: Arc<Places<'t>>,
    /// The place of the value of each axis in `places`.
    pub(super) varied: Box<[Span]>,
}

/// The places of a node's definitions in the texts.
pub(super) struct Places<'t> {
    /// The parameters as written, before any axis.
    pub table: DeTable<'t>,
    /// The place of the stage's name.
    pub header: Span,
    /// The place of the wire into each input port.
    pub inputs: BTreeMap<&'static str, Span>,
    /// The parameters that axes vary.
    pub axes: Vec<String>,
}

/// An input port and the output of another instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The input port.
    pub port: &'static str,
    /// The other instance.
    pub from: InstanceId,
    /// Its output port, or `PORT@EPOCH`.
    pub output: Arc<str>,
}

impl Instance<'_> {
    /// Returns the form of an output, or `None` if there is no such output or its form is not known.
    #[must_use]
    pub fn form(&self, output: &str) -> Option<Form> {
        let port = self.kind.output(output)?;
        match port.forms {
            [form] => Some(*form),
            _ => self.foreseen.get(port.name)?.form.map(|(form, _)| form),
        }
    }

    /// Returns the instances that must finish before this one.
    pub fn above(&self) -> impl Iterator<Item = InstanceId> {
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
    /// Returns the parameters after defaults, as JSON.
    #[must_use]
    pub fn params(&self) -> Value {
        self.work.params()
    }

    /// Returns the place of a parameter, or the place of the stage's name if the file does not set the parameter.
    #[must_use]
    pub fn span(&self, param: &str) -> Span {
        let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        let varied = || self.places.axes.iter().zip(&self.varied);
        let on_axis = varied().find(|(axis, _)| *axis == param || below(param, axis)).map(|(_, span)| span.clone());
        let written = || document::span_of(&self.places.table, param);
        let above_axis = || varied().find(|(axis, _)| below(axis, param)).map(|(_, span)| span.clone());
        on_axis.or_else(written).or_else(above_axis).unwrap_or_else(|| self.places.header.clone())
    }

    /// Returns the place of the wire into an input port.
    #[must_use]
    pub fn input_span(&self, port: &str) -> Span {
        self.places.inputs.get(port).unwrap_or(&self.places.header).clone()
    }
}

/// Axes with one value each. All instances share the allocated words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axes(Box<[(Arc<str>, Arc<Value>)]>);

impl Axes {
    /// Returns the value of an axis.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter().find(|(axis, _)| *axis == key).map(|(_, value)| value)
    }

    /// Returns true if the axis reaches the instance.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Iterates over the axes in the order of the instance's name.
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
