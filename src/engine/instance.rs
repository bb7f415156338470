//! Instances: a stage of the file for one combination of the axes that reach it.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::de::DeTable;

use super::wiring::Wires;
use crate::{
    diagnostic::{Diagnostic, Span},
    pipeline::{Axis, Pipeline, StageDef, document, typed},
    stage::{AnyStage, BadParam, Problems, Rows, StageKind},
    store::canonical,
};

/// One node of the merged graph of a sweep.
pub struct Instance<'t> {
    /// The stage in the file.
    pub stage: String,
    /// `stage`, or `stage@axis=value,axis=value` with the axes that reach it.
    pub name: String,
    /// The axes that reach it, with their values here.
    pub axes: BTreeMap<String, Value>,
    /// Its kind.
    pub kind: StageKind,
    /// Its parameters, ready to run.
    pub work: Box<dyn AnyStage>,
    /// Its parameters after defaults, as JSON.
    pub params: Value,
    /// What its input ports are joined to.
    pub inputs: Vec<Link>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// An earlier instance that is the same work, if there is one.
    pub same_as: Option<usize>,
    pub(super) rows: Rows,
    table: DeTable<'t>,
    header: Span,
    inputs_span: BTreeMap<&'static str, Span>,
}

/// An input port and the output of another instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The input port.
    pub port: &'static str,
    /// The other instance, an index into the graph.
    pub from: usize,
    /// Its output port, or `PORT@EPOCH`.
    pub output: String,
}

impl Instance<'_> {
    /// The place of a parameter, or of the stage's name if the file does not give it.
    #[must_use]
    pub fn span(&self, param: &str) -> Span {
        document::span_of(&self.table, param).unwrap_or_else(|| self.header.clone())
    }

    /// The place of the wire into an input port.
    #[must_use]
    pub fn input_span(&self, port: &str) -> Span {
        self.inputs_span.get(port).unwrap_or(&self.header).clone()
    }
}

/// More instances than this are no experiment but a mistake; their names alone would fill the memory.
const MOST: usize = 100_000;

/// All instances, each after what it needs.
pub(super) fn expand<'t>(
    pipeline: &Pipeline<'t>,
    wires: &Wires,
    order: &[usize],
    found: &mut Vec<Diagnostic>,
) -> Vec<Instance<'t>> {
    let mut axes: Vec<&Axis<'t>> = pipeline.axes.iter().collect();
    axes.sort_by_key(|axis| axis.key.span().start);
    let reach = reach(pipeline, wires, order, &axes);

    if let Some(diagnostic) = too_many(&reach, order, &axes) {
        found.push(diagnostic);
        check_alone(pipeline, found);
        return Vec::new();
    }

    let mut instances: Vec<Instance<'t>> = Vec::new();
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_work: BTreeMap<String, usize> = BTreeMap::new();
    for &stage in order {
        let def = &pipeline.stages[stage];
        for point in points(&reach[stage], &axes) {
            let inputs: Vec<Link> = wires[stage]
                .iter()
                .map(|(port, from, output)| {
                    let name = name(&pipeline.stages[*from], &reach[*from], &axes, &point);
                    Link { port, from: by_name[&name], output: output.clone() }
                })
                .collect();
            let mut instance = make(def, &reach[stage], &axes, &point, inputs, found);
            check(&mut instance, &instances, pipeline, found);
            let index = instances.len();
            let work = work_id(&instance, &instances);
            instance.same_as = by_work.get(&work).copied();
            by_work.entry(work).or_insert(index);
            by_name.insert(instance.name.clone(), index);
            instances.push(instance);
        }
    }
    instances
}

/// The mistakes of each stage by itself, where a cycle leaves no order to go on in.
pub(super) fn check_alone(pipeline: &Pipeline<'_>, found: &mut Vec<Diagnostic>) {
    for def in &pipeline.stages {
        let mut instance = make(def, &[], &[], &BTreeMap::new(), Vec::new(), found);
        check(&mut instance, &[], pipeline, found);
    }
}

/// For each stage, the axes (as indices) of itself and of all that it needs.
fn reach(pipeline: &Pipeline<'_>, wires: &Wires, order: &[usize], axes: &[&Axis<'_>]) -> Vec<Vec<usize>> {
    let mut reach: Vec<Vec<usize>> = vec![Vec::new(); pipeline.stages.len()];
    for &stage in order {
        let own = (0..axes.len()).filter(|&axis| axes[axis].stage == *pipeline.stages[stage].name.get_ref());
        let above = wires[stage].iter().flat_map(|(_, from, _)| reach[*from].iter().copied());
        let mut all: Vec<usize> = own.chain(above).collect();
        all.sort_unstable();
        all.dedup();
        reach[stage] = all;
    }
    reach
}

/// The mistake of a sweep that makes more than [`MOST`] instances.
fn too_many(reach: &[Vec<usize>], order: &[usize], axes: &[&Axis<'_>]) -> Option<Diagnostic> {
    let count =
        |&stage: &usize| reach[stage].iter().fold(1, |n: usize, &axis| n.saturating_mul(axes[axis].values.len()));
    let counts: Vec<usize> = order.iter().map(count).collect();
    let total = counts.iter().fold(0, |sum: usize, n| sum.saturating_add(*n));
    let worst = order.iter().zip(&counts).max_by_key(|(_, count)| **count)?.0;
    let longest = reach[*worst].iter().max_by_key(|&&axis| axes[axis].values.len())?;
    (total > MOST).then(|| {
        let message = format!("the sweep makes {total} instances of stages; {MOST} are the most");
        Diagnostic::new(axes[*longest].key.span(), message).help(
            "every axis multiplies the instances of its stage and of all below: give fewer values, or run in parts",
        )
    })
}

/// Every combination of values of some axes: for each axis of the sweep the index of a value, the last varying fastest.
fn points(reach: &[usize], axes: &[&Axis<'_>]) -> Vec<BTreeMap<usize, usize>> {
    let mut points = vec![BTreeMap::new()];
    for &axis in reach {
        let values = 0..axes[axis].values.len();
        let extended = points.iter().flat_map(|point| {
            values.clone().map(move |value| {
                let mut point = point.clone();
                point.insert(axis, value);
                point
            })
        });
        points = extended.collect();
    }
    points
}

fn name(def: &StageDef<'_>, reach: &[usize], axes: &[&Axis<'_>], point: &BTreeMap<usize, usize>) -> String {
    let mut name = def.name.get_ref().clone();
    for (at, axis) in reach.iter().enumerate() {
        let value = axes[*axis].values[point[axis]].get_ref();
        let separator = if at == 0 { '@' } else { ',' };
        name.push_str(&format!("{separator}{}={}", axes[*axis].key.get_ref(), document::display(value)));
    }
    name
}

fn make<'t>(
    def: &StageDef<'t>,
    reach: &[usize],
    axes: &[&Axis<'t>],
    point: &BTreeMap<usize, usize>,
    inputs: Vec<Link>,
    found: &mut Vec<Diagnostic>,
) -> Instance<'t> {
    let mut table = def.params.clone();
    for axis in reach.iter().filter(|&&axis| axes[axis].stage == *def.name.get_ref()) {
        let value = axes[*axis].values[point[axis]].clone();
        document::set(&mut table, &axes[*axis].path, axes[*axis].key.span(), value);
    }
    let work = typed(&def.kind, &def.name, &table, found);
    let values = reach.iter().map(|axis| {
        let value = document::to_json(axes[*axis].values[point[axis]].get_ref());
        (axes[*axis].key.get_ref().clone(), value)
    });
    let wired = def.inputs.iter().filter_map(|wire| {
        let port = def.kind.input(wire.port.get_ref())?;
        Some((port.name, wire.from.span()))
    });
    Instance {
        stage: def.name.get_ref().clone(),
        name: name(def, reach, axes, point),
        axes: values.collect(),
        kind: def.kind,
        params: work.params(),
        work,
        inputs,
        retries: def.retries,
        same_as: None,
        rows: Rows::new(),
        table,
        header: def.name.span(),
        inputs_span: wired.collect(),
    }
}

/// Parameters that cannot be right, alone or for the number of rows that come in.
fn check(instance: &mut Instance<'_>, above: &[Instance<'_>], pipeline: &Pipeline<'_>, found: &mut Vec<Diagnostic>) {
    let mut problems = Problems::default();
    instance.work.check(&mut problems);
    let known =
        instance.inputs.iter().filter_map(|link| Some((link.port, *above[link.from].rows.get(link.output.as_str())?)));
    instance.rows = instance.work.rows(&known.collect(), &pipeline.root, &mut problems);
    kept(instance, above, found);
    for BadParam { path, message, help } in problems.into_vec() {
        let mut diagnostic = Diagnostic::new(instance.span(&path), format!("`{}.{path}`: {message}", instance.stage));
        diagnostic.help = help;
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
}

/// An input `PORT@EPOCH` must be one that its maker keeps.
fn kept(instance: &Instance<'_>, above: &[Instance<'_>], found: &mut Vec<Diagnostic>) {
    for link in &instance.inputs {
        let Some((_, epoch)) = link.output.split_once('@') else { continue };
        let maker = &above[link.from];
        let keep = maker.work.extent().map(|extent| extent.keep);
        let wanted = epoch.parse::<u64>().ok();
        if wanted.zip(keep.as_ref()).is_some_and(|(epoch, keep)| keep.contains(&epoch)) {
            continue;
        }
        let message = format!("stage `{}` does not keep `{}`", maker.stage, link.output);
        let help = match (keep, wanted) {
            (Some(_), Some(epoch)) => format!("add `keep_epochs = [{epoch}]` to `[stage.{}]`", maker.stage),
            (None, _) => format!("kind `{}` keeps no epochs; leave `@{epoch}` out", maker.kind.name),
            (_, None) => "an epoch is a number: `weights@5`".to_owned(),
        };
        let diagnostic = Diagnostic::new(instance.input_span(link.port), message).help(help);
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
}

/// Equal for two instances exactly if they are the same work: equal kind, parameters and makers of their inputs.
fn work_id(instance: &Instance<'_>, above: &[Instance<'_>]) -> String {
    let inputs: Vec<_> = instance
        .inputs
        .iter()
        .map(|link| (link.port, above[link.from].same_as.unwrap_or(link.from), &link.output))
        .collect();
    canonical(&(instance.kind.name, &instance.params, inputs))
}
