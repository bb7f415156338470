//! Unrolls variants and loops to the nodes of the graph, before the axes of the sweep multiply them.
//!
//! Every combination of a variant and of the numbers of rounds is a *world* with a graph of its own. Nodes that are the
//! same in several worlds (the same stage, unchanged, with the same inputs) are one node. So a stage that a variant
//! does not reach exists once, and so do the rounds that a longer loop shares with a shorter one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    expressions::Ties,
    order::{self, Times},
    wires::{Patched, Wiring},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::{MAX_NODES, Pipeline, document},
};

/// A stage of a graph, at all points of the sweep.
pub(super) struct Node {
    /// The stage, an index into the pipeline's.
    pub stage: usize,
    /// The variant whose graph it belongs to, an index into the graphs.
    pub variant: usize,
    /// The axes that it has in addition to those of the sweep, with its values: variant, round, rounds.
    pub marks: Vec<(Arc<str>, Arc<Value>)>,
    /// The axes that it has only some values of, with these values.
    pub only: Vec<(usize, BTreeSet<u32>)>,
    /// The outputs that its input ports are joined to.
    pub inputs: Vec<Edge>,
}

/// An input port and the output of another node.
#[derive(Clone)]
pub(super) struct Edge {
    pub port: &'static str,
    pub from: usize,
    pub output: Arc<str>,
    pub span: Span,
}

/// The data by which two nodes are recognised as the same.
type Identity = (usize, Option<usize>, Vec<(&'static str, usize, Arc<str>)>);

struct Unroller<'a, 't> {
    pipeline: &'a Pipeline<'t>,
    ties: &'a [Ties<'a, 't>],
    wirings: &'a [Wiring],
    times: Vec<Times>,
    nodes: Vec<Node>,
    known: BTreeMap<Identity, usize>,
    /// The worlds that each node belongs to: for each dimension in which worlds differ (variant, then rounds of each
    /// loop), its values.
    worlds: Vec<Vec<BTreeSet<u32>>>,
}

/// Unrolls the graphs. Each node comes after the nodes that it depends on. If there are too many nodes, reports that
/// and returns `None`.
pub(super) fn unroll<'a, 't>(
    patched: &'a [Patched<'a, 't>],
    ties: &'a [Ties<'a, 't>],
    wirings: &'a [Wiring],
    found: &mut Diagnostics,
) -> Option<Vec<Node>> {
    let pipeline = patched.first()?.pipeline;
    let times: Vec<Times> = pipeline.loops.iter().map(|around| order::times(pipeline, around)).collect();
    // The number of values in each dimension of the worlds: the variants, then the rounds of each loop.
    let sizes: Vec<usize> =
        std::iter::once(patched.len()).chain(times.iter().map(|times| times.values.len())).collect();
    let worlds = sizes.iter().fold(1usize, |product, size| product.saturating_mul(*size));
    let longest = times
        .iter()
        .zip(&pipeline.loops)
        .map(|(times, around)| times.values.iter().max().copied().unwrap_or(1).saturating_mul(around.body.len()));
    let most = longest.fold(pipeline.stages.len(), usize::saturating_add).saturating_mul(worlds);
    if most > MAX_NODES {
        let span = pipeline.loops.first().map_or(0..0, |around| around.times.span());
        let message = format!("loops and variants make {most} nodes; {MAX_NODES} are the most");
        found.add(Diagnostic::new(span, message).help("give fewer rounds, or choose variants with `--variant`"));
        return None;
    }
    let mut unroller =
        Unroller { pipeline, ties, wirings, times, nodes: Vec::new(), known: BTreeMap::new(), worlds: Vec::new() };
    let mut placed: Vec<(Vec<u32>, Vec<Vec<usize>>)> = Vec::new();
    for world in 0..worlds {
        let mut rest = world;
        let mut place: Vec<u32> = Vec::new();
        for size in sizes.iter().rev() {
            place.insert(0, (rest % size) as u32);
            rest /= size;
        }
        let rounds = unroller.world(&place);
        placed.push((place, rounds));
    }
    unroller.mark(&sizes, &placed);
    Some(unroller.in_order())
}

impl Unroller<'_, '_> {
    /// Returns the nodes of each stage in one world, one for each of its rounds.
    fn world(&mut self, place: &[u32]) -> Vec<Vec<usize>> {
        let variant = place[0] as usize;
        let wiring = &self.wirings[variant];
        let order = wiring.order.as_deref().unwrap_or_default();
        let mut nodes: Vec<Vec<usize>> = vec![Vec::new(); self.pipeline.stages.len()];
        let mut at = 0;
        while let Some(&stage) = order.get(at) {
            let Some(around) = self.loop_of(stage) else {
                at += 1;
                if self.is_there(stage, variant) {
                    let node = self.node(stage, place, 1, &nodes);
                    nodes[stage].push(node);
                }
                continue;
            };
            let body = order[at..].iter().take_while(|&&stage| self.loop_of(stage) == Some(around)).count();
            for round in 1..=self.times[around].values[place[1 + around] as usize] {
                for &stage in &order[at..at + body] {
                    if !self.is_there(stage, variant) {
                        continue;
                    }
                    let node = self.node(stage, place, round, &nodes);
                    nodes[stage].push(node);
                }
            }
            at += body;
        }
        nodes
    }

    fn is_there(&self, stage: usize, variant: usize) -> bool {
        self.ties[variant].patched().stages[stage].is_some()
    }

    fn loop_of(&self, stage: usize) -> Option<usize> {
        let name = self.pipeline.stages[stage].name.get_ref();
        self.pipeline.loops.iter().position(|around| around.holds(name))
    }

    fn node(&mut self, stage: usize, place: &[u32], round: usize, nodes: &[Vec<usize>]) -> usize {
        let variant = place[0] as usize;
        let wiring = &self.wirings[variant];
        let around = self.loop_of(stage);
        let carried: Vec<_> = match around {
            Some(around) if round > 1 => wiring.carried[around].iter().filter(|(taker, _)| *taker == stage).collect(),
            _ => Vec::new(),
        };
        let is_carried = |port: &str| carried.iter().any(|(_, wire)| wire.port == port);
        let own = wiring.wires[stage].iter().filter(|wire| !is_carried(wire.port));
        let mut inputs: Vec<Edge> = Vec::new();
        for (wire, back) in own.map(|wire| (wire, 0)).chain(carried.iter().map(|(_, wire)| (wire, 1))) {
            let rounds = &nodes[wire.from];
            let at = match wire.round {
                Some(round) => round,
                None if around.is_some() && self.loop_of(wire.from) == around => round - back,
                None => rounds.len(),
            };
            if let Some(&from) = at.checked_sub(1).and_then(|at| rounds.get(at)) {
                inputs.push(Edge { port: wire.port, from, output: wire.output.clone(), span: wire.span.clone() });
            }
        }
        let changed = self.is_changed(stage, variant).then_some(variant);
        let joined = inputs.iter().map(|edge| (edge.port, edge.from, edge.output.clone())).collect();
        let next = self.nodes.len();
        let node = *self.known.entry((stage, changed, joined)).or_insert(next);
        if node == next {
            let mut marks = Vec::new();
            if let Some(around) = around.filter(|&around| self.turns(stage, around, variant)) {
                let name = self.pipeline.loops[around].name.get_ref().as_str();
                marks.push((Arc::from(name), Arc::new(Value::from(round))));
            }
            self.nodes.push(Node { stage, variant, marks, only: Vec::new(), inputs });
            self.worlds.push(vec![BTreeSet::new(); place.len()]);
        }
        for (values, value) in self.worlds[node].iter_mut().zip(place) {
            values.insert(*value);
        }
        node
    }

    /// Returns true if the variant changes the stage's parameters or wires, directly or through an expression.
    fn is_changed(&self, stage: usize, variant: usize) -> bool {
        let ties = &self.ties[variant];
        let Some(changes) = ties.patched().variant else { return false };
        let name = |stage: usize| self.pipeline.stages[stage].name.get_ref();
        let sets = |(other, key): &(usize, String)| {
            changes.set.iter().any(|patch| patch.stage == *name(*other) && patch.path.first() == Some(key))
        };
        changes.changes(name(stage)) || (!changes.set.is_empty() && ties.needs(stage).keys().any(sets))
    }

    /// Returns true if a wire that the loop carries reaches the stage, so that its rounds differ.
    fn turns(&self, stage: usize, around: usize, variant: usize) -> bool {
        let wiring = &self.wirings[variant];
        let mut open = vec![stage];
        let mut seen = BTreeSet::new();
        while let Some(stage) = open.pop() {
            if wiring.carried[around].iter().any(|(taker, _)| *taker == stage) {
                return true;
            }
            let above = wiring.wires[stage].iter().map(|wire| wire.from);
            open.extend(above.filter(|from| self.loop_of(*from) == Some(around) && seen.insert(*from)));
        }
        false
    }

    /// Marks the nodes of stages that differ between worlds with the variant or the rounds that they belong to.
    fn mark(&mut self, sizes: &[usize], placed: &[(Vec<u32>, Vec<Vec<usize>>)]) {
        let variant = self.pipeline.axes.iter().position(|axis| axis.is_variant());
        let axes: Vec<Option<usize>> = std::iter::once(variant).chain(self.times.iter().map(|t| t.axis)).collect();
        for (way, axis) in axes.into_iter().enumerate() {
            let Some(axis) = axis.filter(|_| way == 0 || sizes[way] > 1) else { continue };
            let mut first: BTreeMap<(Vec<u32>, usize, usize), usize> = BTreeMap::new();
            let mut differs = vec![false; self.pipeline.stages.len()];
            for (place, nodes) in placed {
                let mut others = place.clone();
                others[way] = 0;
                for (stage, rounds) in nodes.iter().enumerate() {
                    for (round, &node) in rounds.iter().enumerate() {
                        let before = *first.entry((others.clone(), stage, round)).or_insert(node);
                        differs[stage] |= before != node;
                    }
                }
            }
            let (key, values) = (&self.pipeline.axes[axis].key, &self.pipeline.axes[axis].values);
            for (node, worlds) in self.nodes.iter_mut().zip(&self.worlds) {
                let here = &worlds[way];
                if here.len() < sizes[way] {
                    node.only.push((axis, here.clone()));
                }
                if let Some(&value) = here.first().filter(|_| differs[node.stage]) {
                    let value = document::to_json(values[value as usize].get_ref());
                    let mark = (Arc::from(key.get_ref().as_str()), Arc::new(value));
                    node.marks.insert(if way == 0 { 0 } else { node.marks.len() }, mark);
                }
            }
        }
    }

    /// Sorts the nodes so that those of a stage are as close together as their dependencies allow.
    fn in_order(self) -> Vec<Node> {
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            first.entry(node.stage).or_insert(at);
        }
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut open: Vec<usize> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let above: BTreeSet<usize> = node.inputs.iter().map(|edge| edge.from).collect();
            above.iter().for_each(|from| below[*from].push(at));
            open.push(above.len());
        }
        let rank = |at: usize| (first[&self.nodes[at].stage], at);
        let mut ready: BTreeSet<(usize, usize)> = (0..open.len()).filter(|&at| open[at] == 0).map(rank).collect();
        let mut order = Vec::new();
        while let Some((_, at)) = ready.pop_first() {
            order.push(at);
            for &next in &below[at] {
                open[next] -= 1;
                if open[next] == 0 {
                    ready.insert(rank(next));
                }
            }
        }
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| place[from] = to);
        let mut nodes: Vec<(usize, Node)> = self.nodes.into_iter().enumerate().map(|(at, n)| (place[at], n)).collect();
        nodes.sort_by_key(|(place, _)| *place);
        let mut nodes: Vec<Node> = nodes.into_iter().map(|(_, node)| node).collect();
        nodes.iter_mut().flat_map(|node| &mut node.inputs).for_each(|edge| edge.from = place[edge.from]);
        nodes
    }
}
