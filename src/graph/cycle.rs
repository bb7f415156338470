//! Reports stages that depend on each other in a circle, with the whole circle.

use std::collections::{BTreeMap, VecDeque};

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};

use super::wires::{Patched, Wires};
use crate::{diagnostic::Diagnostic, pipeline::StageDef};

/// Returns one mistake for each set of stages that depend on each other.
pub(super) fn cycles(patched: &Patched<'_, '_>, wires: &Wires) -> Vec<Diagnostic> {
    let mut graph = DiGraph::<usize, ()>::new();
    let nodes: Vec<NodeIndex> = (0..wires.len()).map(|index| graph.add_node(index)).collect();
    for (index, joined) in wires.iter().enumerate() {
        for wire in joined {
            graph.update_edge(nodes[wire.from], nodes[index], ());
        }
    }
    let circles = tarjan_scc(&graph).into_iter();
    let circles = circles.filter(|component| component.len() > 1 || graph.contains_edge(component[0], component[0]));
    circles.map(|component| cycle(patched, &graph, &component)).collect()
}

/// Describes a circle, starting from its first stage in the file.
fn cycle(patched: &Patched<'_, '_>, graph: &DiGraph<usize, ()>, component: &[NodeIndex]) -> Diagnostic {
    let start = *component.iter().min().expect("a component has a node");
    // The shortest path back to the start: a breadth-first search inside the component.
    let mut came_from = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    'search: while let Some(node) = queue.pop_front() {
        let mut next: Vec<_> = graph.neighbors(node).filter(|next| component.contains(next)).collect();
        next.sort();
        for next in next {
            if next == start {
                came_from.insert(start, node);
                break 'search;
            }
            came_from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                node
            });
        }
    }
    let mut path = vec![start];
    while path.len() == 1 || path[path.len() - 1] != start {
        path.push(came_from[&path[path.len() - 1]]);
    }
    path.reverse();
    let stage = |node: NodeIndex| patched.stages[graph[node]].as_ref();
    let name = |node: NodeIndex| stage(node).map_or("", |stage| stage.name.get_ref().as_str());
    let names: Vec<&str> = path.iter().map(|&node| name(node)).collect();
    let stages: Vec<&StageDef<'_>> = path.iter().skip(1).filter_map(|&node| stage(node)).collect();
    let mut diagnostic = Diagnostic::new(
        stage(start).map_or(0..0, |stage| stage.name.span()),
        format!("a cycle of stages: {}", names.join(" -> ")),
    )
    .help("each arrow is an input; one of them must come from somewhere else");
    for stage in stages {
        for wire in &stage.inputs {
            let maker = wire.from.get_ref().split('.').next().unwrap_or_default();
            let on_path = names.windows(2).any(|pair| pair[0] == maker && pair[1] == stage.name.get_ref());
            if on_path {
                diagnostic = diagnostic.other(wire.from.span(), format!("{maker} -> {}", stage.name.get_ref()));
            }
        }
    }
    diagnostic
}
