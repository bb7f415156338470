//! The part of an experiment that is in the cache: results, outputs, and the links between instances.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use serde_json::Value;

use super::rows::{Results, Row};
use crate::{
    digest::ArtifactHash,
    graph::{Graph, Instance, InstanceId},
    pipeline::plain,
    plan::{Plan, Planned},
    stage::{Drawing, Form, View},
    store::{Artifact, Manifest, Store},
};

/// The part of an experiment that is in the cache. Instances are named by their index in the graph.
pub struct Catalogue<'a, 't> {
    graph: &'a Graph<'t>,
    plan: &'a Plan,
    store: &'a Store,
    results: &'a Results<'a>,
    made: BTreeMap<InstanceId, &'a Manifest>,
}

impl<'a, 't> Catalogue<'a, 't> {
    /// Makes a catalogue of the results that a plan found in the cache.
    #[must_use]
    pub fn new(graph: &'a Graph<'t>, plan: &'a Plan, store: &'a Store, results: &'a Results<'a>) -> Self {
        Self { graph, plan, store, results, made: plan.cached().collect() }
    }

    /// Returns the results that have numbers.
    #[must_use]
    pub fn results(&self) -> &'a Results<'a> {
        self.results
    }

    /// Returns the manifests of the cached instances.
    #[must_use]
    pub fn made(&self) -> &BTreeMap<InstanceId, &'a Manifest> {
        &self.made
    }

    /// Returns every planned instance.
    #[must_use]
    pub fn planned(&self) -> &'a [Planned] {
        &self.plan.stages
    }

    /// Returns the name of the pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &'a str {
        &self.graph.pipeline.name
    }

    /// Iterates over the text of the file and of each argument that changes it.
    pub fn texts(&self) -> impl Iterator<Item = &'a str> {
        self.graph.pipeline.sources.texts().map(|(_, text)| text)
    }

    /// Iterates over the axes of the sweep, in the order of the file.
    pub fn axes(&self) -> impl Iterator<Item = &'a str> {
        self.graph.pipeline.axes.iter().map(|axis| axis.key.get_ref().as_str())
    }

    /// Returns the axis over seeds.
    #[must_use]
    pub fn seeds(&self) -> Option<&'a str> {
        self.graph.pipeline.repeats.as_deref()
    }

    /// Returns the axes that vary among some rows, in the order of the file, without the axis over seeds.
    #[must_use]
    pub fn varying(&self, rows: &[&Row<'_>]) -> Vec<&'a str> {
        let varies = |axis: &&str| {
            let mut values = rows.iter().filter_map(|row| row.axes.get(axis));
            let first = values.next();
            values.any(|value| Some(value) != first)
        };
        let seeds = self.seeds();
        let axes = self.graph.pipeline.axes.iter().map(|axis| axis.key.get_ref().as_str());
        axes.filter(|axis| Some(*axis) != seeds && varies(axis)).collect()
    }

    /// Returns whether the experiment varies the stages with this metric, and the metric with them: their own
    /// parameters, apart from the seed, or what their inputs are connected to. Whether it varies through what comes
    /// in does not matter.
    #[must_use]
    pub fn varies_by_own(&self, metric: &str) -> bool {
        /// Input port, stage and output of each link.
        type Wires<'d> = Vec<(&'d str, &'d str, &'d str)>;
        let mut known: BTreeMap<(&str, Vec<ArtifactHash>), (Value, f64)> = BTreeMap::new();
        let mut wired: BTreeMap<&str, (Wires<'_>, f64)> = BTreeMap::new();
        for (&index, manifest) in &self.made {
            let Some(&value) = manifest.metrics.get(metric) else { continue };
            let instance = self.instance(index);
            let mut params = (*manifest.recipe.params).clone();
            params.as_object_mut().and_then(|params| params.remove("seed"));
            let links = instance.inputs.iter();
            let wires: Wires<'_> =
                links.map(|link| (link.port, &*self.instance(link.from).stage, &*link.output)).collect();
            let inputs = manifest.recipe.inputs.values().copied().collect();
            let (others, then) = known.entry((instance.kind.name, inputs)).or_insert_with(|| (params.clone(), value));
            let (joined, once) = wired.entry(instance.kind.name).or_insert_with(|| (wires.clone(), value));
            if (*others != params && *then != value) || (*joined != wires && *once != value) {
                return true;
            }
        }
        false
    }

    /// Iterates over all instances of the graph.
    pub fn instances(&self) -> impl Iterator<Item = InstanceId> {
        self.graph.instances.keys()
    }

    fn instance(&self, index: InstanceId) -> &'a Instance<'t> {
        &self.graph.instances[index]
    }

    /// Returns the name of an instance.
    #[must_use]
    pub fn name(&self, index: InstanceId) -> &'a str {
        &self.instance(index).name
    }

    /// Returns the stage of an instance.
    #[must_use]
    pub fn stage(&self, index: InstanceId) -> &'a str {
        &self.instance(index).stage
    }

    /// Returns the kind of an instance.
    #[must_use]
    pub fn kind(&self, index: InstanceId) -> &'a str {
        self.instance(index).kind.name
    }

    /// Returns the kinds of the instances, in the order of the graph.
    #[must_use]
    pub fn kinds(&self) -> Vec<&'a str> {
        let mut kinds: Vec<&str> = Vec::new();
        for instance in &self.graph.instances {
            if !kinds.contains(&instance.kind.name) {
                kinds.push(instance.kind.name);
            }
        }
        kinds
    }

    /// Returns the stage of an instance with its point of the sweep: `clusters, clusters=16`.
    #[must_use]
    pub fn title(&self, index: InstanceId) -> String {
        let (stage, point) = (self.stage(index), self.point(index));
        if point == stage { point } else { format!("{stage}, {point}") }
    }

    /// Returns the pictures that its kind draws of a cached instance.
    #[must_use]
    pub fn draw(&self, index: InstanceId) -> Vec<Drawing> {
        self.instance(index).work.draw(&Seen { catalogue: self, index })
    }

    /// Iterates over the instances that the inputs of an instance come from.
    pub fn above(&self, index: InstanceId) -> impl Iterator<Item = InstanceId> {
        self.instance(index).inputs.iter().map(|link| link.from)
    }

    /// Returns an output of an instance, if it is cached and its bytes were not evicted.
    #[must_use]
    pub fn artifact(&self, index: InstanceId, output: &str) -> Option<Artifact> {
        let made = self.made.get(&index)?.outputs.get(output)?;
        self.store.read(&made.hash).ok()
    }

    /// Returns the artifact at an input port of an instance.
    #[must_use]
    pub fn input(&self, index: InstanceId, port: &str) -> Option<Artifact> {
        let link = self.instance(index).inputs.iter().find(|link| link.port == port)?;
        self.artifact(link.from, &link.output)
    }

    /// Iterates over the cached instances of a kind, one for each piece of work.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = InstanceId> {
        let is_one = move |index: &InstanceId| {
            let instance = self.instance(*index);
            instance.kind.name == kind && instance.same_as.is_none()
        };
        self.made.keys().copied().filter(is_one)
    }

    /// Iterates over the cached instances of a kind with the first seed of each point, since repeats look alike.
    pub fn examples(&self, kind: &str) -> impl Iterator<Item = InstanceId> {
        let mut seen = BTreeSet::new();
        self.of_kind(kind).filter(move |&index| seen.insert((&*self.instance(index).stage, self.arm(index))))
    }

    /// Returns the name of an instance without its stage, or the stage if it has no axes.
    #[must_use]
    pub fn point(&self, index: InstanceId) -> String {
        self.called(index, |_| true)
    }

    /// Returns the name of an instance without its stage and its seed.
    #[must_use]
    pub fn arm(&self, index: InstanceId) -> String {
        let seeds = self.graph.pipeline.repeats.as_deref();
        self.called(index, |axis| Some(axis) != seeds)
    }

    fn called(&self, index: InstanceId, by: impl Fn(&str) -> bool) -> String {
        let instance = self.instance(index);
        let axes = instance.axes.iter().filter(|(axis, _)| by(axis));
        let words = words(axes.map(|(axis, value)| (axis, plain(value))));
        if words.is_empty() { instance.stage.clone() } else { words }
    }

    /// Returns the clean images that an input port of an instance depends on, with the hash of their artifact: the
    /// nearest dependency with `count` images.
    fn images_above(&self, index: InstanceId, port: &str, count: usize) -> Option<(ArtifactHash, Tensor)> {
        let mut links: Vec<(InstanceId, &str)> = self
            .instance(index)
            .inputs
            .iter()
            .filter(|link| link.port == port)
            .map(|link| (link.from, &*link.output))
            .collect();
        let mut at = 0;
        while let Some(&(from, output)) = links.get(at) {
            at += 1;
            let fits = |artifact: &Artifact| {
                let shape = artifact.tensors().get("images").map(|tensor| tensor.dims().to_vec());
                shape.is_some_and(|dims| dims.len() == 4 && dims[0] == count)
            };
            if self.holds_images(from, output)
                && let Some(artifact) = self.artifact(from, output).filter(fits)
                && let Some(images) = artifact.tensors().get("images")
            {
                return Some((self.made.get(&from)?.outputs.get(output)?.hash, images.clone()));
            }
            for link in &self.instance(from).inputs {
                if !links.contains(&(link.from, &*link.output)) {
                    links.push((link.from, &link.output));
                }
            }
        }
        None
    }

    fn holds_images(&self, index: InstanceId, output: &str) -> bool {
        self.instance(index).form(output) == Some(Form::Images)
    }
}

/// A cached instance, as its kind may read it.
struct Seen<'c, 'a, 't> {
    catalogue: &'c Catalogue<'a, 't>,
    index: InstanceId,
}

impl View for Seen<'_, '_, '_> {
    fn output(&self, port: &str) -> Option<Artifact> {
        self.catalogue.artifact(self.index, port)
    }

    fn input(&self, port: &str) -> Option<Artifact> {
        self.catalogue.input(self.index, port)
    }

    fn images(&self, port: &str, count: usize) -> Option<Tensor> {
        Some(self.catalogue.images_above(self.index, port, count)?.1)
    }

    fn labels(&self, port: &str, count: usize) -> Option<(String, Vec<u32>)> {
        let (images, _) = self.catalogue.images_above(self.index, port, count)?;
        self.catalogue.made.keys().find_map(|&other| {
            let instance = self.catalogue.instance(other);
            let mut outputs = instance.kind.outputs.iter();
            let labelling = outputs.find(|port| instance.form(port.name) == Some(Form::Labels))?;
            let is_of_same = instance.inputs.iter().any(|link| {
                let above = self.catalogue.images_above(other, link.port, count);
                above.is_some_and(|(hash, _)| hash == images)
            });
            let artifact = self.catalogue.artifact(other, labelling.name).filter(|_| is_of_same)?;
            let labels = artifact.tensor("labels").ok()?.to_vec1::<u32>().ok()?;
            (labels.len() == count).then(|| (instance.name.to_string(), labels))
        })
    }
}

/// Formats axes by their parameters alone, with their values: `policy=random, clusters=64`.
pub fn words<'a>(axes: impl Iterator<Item = (&'a str, String)>) -> String {
    axes.map(|(axis, value)| format!("{}={value}", short(axis))).collect::<Vec<_>>().join(", ")
}

/// Returns the parameter of an axis, without the stage.
#[must_use]
pub fn short(axis: &str) -> &str {
    axis.rsplit('.').next().unwrap_or(axis)
}
