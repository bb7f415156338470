//! Wires of a pipeline file, checked: stages and ports that are there, forms that fit, no cycle.

use std::collections::BTreeMap;

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};

use crate::{
    diagnostic::{Diagnostic, suggest},
    pipeline::{Pipeline, StageDef, Wire},
    stage::Form,
};

/// For each stage, what its input ports are joined to: port, index of the other stage, output port.
pub type Wires = Vec<Vec<(&'static str, usize, String)>>;

/// Checks all wires. `None` if the stages cannot be put in order.
pub fn check(pipeline: &Pipeline<'_>, found: &mut Vec<Diagnostic>) -> (Wires, Option<Vec<usize>>) {
    let by_name: BTreeMap<&str, usize> =
        pipeline.stages.iter().enumerate().map(|(index, stage)| (stage.name.get_ref().as_str(), index)).collect();
    let mut graph = DiGraph::<usize, ()>::new();
    let nodes: Vec<NodeIndex> = (0..pipeline.stages.len()).map(|index| graph.add_node(index)).collect();
    let mut wires: Wires = Vec::new();
    for (index, stage) in pipeline.stages.iter().enumerate() {
        let mut joined = Vec::new();
        for wire in &stage.inputs {
            if let Some((port, from, output)) = join(stage, wire, pipeline, &by_name, found) {
                graph.update_edge(nodes[from], nodes[index], ());
                joined.push((port, from, output));
            }
        }
        missing(stage, found);
        wires.push(joined);
    }
    let order = match order(&wires) {
        Some(order) => Some(order),
        None => {
            for component in tarjan_scc(&graph) {
                if component.len() > 1 || graph.contains_edge(component[0], component[0]) {
                    found.push(cycle(pipeline, &graph, &component));
                }
            }
            None
        }
    };
    (wires, order)
}

/// Every stage after what it needs, otherwise as in the file; `None` if there is a cycle.
fn order(wires: &Wires) -> Option<Vec<usize>> {
    let mut order = Vec::new();
    let mut placed = vec![false; wires.len()];
    let ready = |stage: usize, placed: &[bool]| !placed[stage] && wires[stage].iter().all(|&(_, from, _)| placed[from]);
    while let Some(next) = (0..wires.len()).find(|&stage| ready(stage, &placed)) {
        placed[next] = true;
        order.push(next);
    }
    (order.len() == wires.len()).then_some(order)
}

fn missing(stage: &StageDef<'_>, found: &mut Vec<Diagnostic>) {
    for port in stage.kind.inputs.iter().filter(|port| !port.optional) {
        if stage.inputs.iter().any(|wire| wire.port.get_ref() == port.name || means(stage, wire, port.name)) {
            continue;
        }
        let span = stage.inputs_span.clone().unwrap_or(stage.name.span());
        let message = format!("stage `{}` has no input `{}` ({})", stage.name.get_ref(), port.name, port.about);
        let help = format!("add `{} = \"STAGE.PORT\"` to `inputs`; it takes {}", port.name, forms(port.forms));
        found.push(Diagnostic::new(span, message).help(help));
    }
}

/// True if a wire has the name of no port, but that of `port` misspelt: one mistake, not two.
fn means(stage: &StageDef<'_>, wire: &Wire, port: &str) -> bool {
    let word = wire.port.get_ref();
    let names = stage.kind.inputs.iter().map(|port| port.name);
    stage.kind.input(word).is_none() && suggest(word, names) == Some(port)
}

/// The port, the other stage and its output, if the wire is good enough to be followed.
fn join(
    stage: &StageDef<'_>,
    wire: &Wire,
    pipeline: &Pipeline<'_>,
    by_name: &BTreeMap<&str, usize>,
    found: &mut Vec<Diagnostic>,
) -> Option<(&'static str, usize, String)> {
    let input = stage.kind.input(wire.port.get_ref());
    if input.is_none() {
        let names: Vec<&str> = stage.kind.inputs.iter().map(|port| port.name).collect();
        let message = format!("kind `{}` has no input port `{}`", stage.kind.name, wire.port.get_ref());
        found.push(Diagnostic::new(wire.port.span(), message).help(meant(wire.port.get_ref(), &names)));
    }
    let (span, from) = (wire.from.span(), wire.from.get_ref());
    let Some((maker, output)) = from.split_once('.') else {
        let message = format!("`{from}` does not name an output");
        let ports = by_name.get(from.as_str()).map(|&index| pipeline.stages[index].kind.outputs);
        let help = match ports {
            Some([first, ..]) => format!("write \"STAGE.PORT\", such as \"{from}.{}\"", first.name),
            _ => "write \"STAGE.PORT\"".to_owned(),
        };
        found.push(Diagnostic::new(span, message).help(help));
        return None;
    };
    if pipeline.unread.contains(maker) {
        return None;
    }
    let Some(&index) = by_name.get(maker) else {
        let names: Vec<&str> = by_name.keys().copied().collect();
        found.push(Diagnostic::new(span, format!("there is no stage `{maker}`")).help(meant(maker, &names)));
        return None;
    };
    let kind = &pipeline.stages[index].kind;
    let name = output.to_owned();
    let Some(output) = kind.output(output) else {
        let names: Vec<&str> = kind.outputs.iter().map(|port| port.name).collect();
        let message = format!("stage `{maker}` (kind `{}`) has no output port `{name}`", kind.name);
        found.push(Diagnostic::new(span, message).help(meant(&name, &names)));
        return None;
    };
    let input = input?;
    if !output.forms.iter().all(|form| input.forms.contains(form)) {
        let message = format!("`{}` takes {}, but `{from}` is {}", input.name, forms(input.forms), forms(output.forms));
        let fitting = pipeline.stages.iter().flat_map(|other| {
            let fits =
                other.kind.outputs.iter().filter(|port| port.forms.iter().all(|form| input.forms.contains(form)));
            fits.map(move |port| format!("\"{}.{}\"", other.name.get_ref(), port.name))
        });
        let fitting: Vec<String> = fitting.take(5).collect();
        let mut diagnostic = Diagnostic::new(span, message);
        if !fitting.is_empty() {
            diagnostic = diagnostic.help(format!("these would fit: {}", fitting.join(", ")));
        }
        found.push(diagnostic);
    }
    Some((input.name, index, name))
}

fn meant(word: &str, names: &[&str]) -> String {
    match suggest(word, names.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None if names.is_empty() => "it has none".to_owned(),
        None => format!("there are {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

fn forms(forms: &[Form]) -> String {
    forms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// A loop of stages, printed whole, from the one that stands first in the file.
fn cycle(pipeline: &Pipeline<'_>, graph: &DiGraph<usize, ()>, component: &[NodeIndex]) -> Diagnostic {
    let start = *component.iter().min().expect("a component has a node");
    // A shortest way back to the start, breadth first inside the component.
    let mut came_from = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
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
    let name = |node: NodeIndex| pipeline.stages[graph[node]].name.get_ref().as_str();
    let names: Vec<&str> = path.iter().map(|&node| name(node)).collect();
    let stages: Vec<&StageDef<'_>> = path.iter().skip(1).map(|&node| &pipeline.stages[graph[node]]).collect();
    let mut diagnostic = Diagnostic::new(
        pipeline.stages[graph[start]].name.span(),
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
