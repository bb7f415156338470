//! `strata graph`: print the DAG, to read or to draw.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use clap::ValueEnum;
use typed_index_collections::TiVec;

use super::{Console, Failure, args::PipelineArgs};
use crate::{
    graph::{Graph, InstanceId},
    report::{Lines, Styles},
    stage::Registry,
};

/// Show the DAG of all instances, or of the stages
#[derive(clap::Args)]
#[command(after_help = "For example: strata graph pipelines/quickstart.toml --format dot | dot -Tsvg > graph.svg")]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// What to write
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Form,
    /// Show one node for each stage, however many instances it has
    #[arg(long)]
    stages: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// One line for each node, and one for each of its inputs
    Text,
    /// Graphviz
    Dot,
    /// Mermaid, as Markdown viewers draw it
    Mermaid,
}

/// What is drawn: nodes with a name and a kind, edges with a label.
struct Drawing<'a> {
    nodes: Vec<(&'a str, &'a str)>,
    edges: BTreeSet<(usize, usize, Edge<'a>)>,
}

/// The output port and the input port that an edge connects.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Edge<'a> {
    output: &'a str,
    port: &'static str,
}

impl Args {
    /// Prints the graph.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let experiment = self.pipeline.experiment(registry)?;
        let graph = experiment.graph()?;
        let drawing = Drawing::of(&graph, self.stages);
        console.print(&match self.format {
            Form::Text => drawing.text(&console.lines()),
            Form::Dot => drawing.dot(&graph.pipeline.name),
            Form::Mermaid => drawing.mermaid(),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a> Drawing<'a> {
    fn of(graph: &'a Graph<'_>, stages: bool) -> Self {
        let mut drawing = Self { nodes: Vec::new(), edges: BTreeSet::new() };
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let mut node_of: TiVec<InstanceId, usize> = TiVec::new();
        for instance in &graph.instances {
            let name = if stages { instance.stage.as_str() } else { &*instance.name };
            let node = *known.entry(name).or_insert(drawing.nodes.len());
            if node == drawing.nodes.len() {
                drawing.nodes.push((name, instance.kind.name));
            }
            node_of.push(node);
            for link in &instance.inputs {
                let edge = Edge { output: &link.output, port: link.port };
                drawing.edges.insert((node, node_of[link.from], edge));
            }
        }
        drawing
    }

    fn text(&self, lines: &Lines) -> String {
        let mut text = String::new();
        // Edges are sorted by their target node.
        let mut edges = self.edges.iter().peekable();
        for (node, (name, kind)) in self.nodes.iter().enumerate() {
            let kind = Styles::paint(lines.styles.faint, &format!("({kind})"));
            text.push_str(&format!("{} {kind}\n", Styles::paint(lines.styles.strong, name)));
            while let Some((_, from, Edge { output, port })) = edges.next_if(|(to, ..)| *to == node) {
                text.push_str(&format!("    {port} <- {} {output}\n", self.nodes[*from].0));
            }
        }
        text
    }

    fn dot(&self, title: &str) -> String {
        let mut text = format!(
            "digraph {} {{\n  rankdir = LR;\n  node [shape = box, fontname = \"sans-serif\"];\n",
            quoted(title)
        );
        for (node, (name, kind)) in self.nodes.iter().enumerate() {
            text.push_str(&format!("  n{node} [label = {}];\n", quoted(&format!("{name}\n{kind}"))));
        }
        for (to, from, Edge { output, .. }) in &self.edges {
            text.push_str(&format!("  n{from} -> n{to} [label = {}];\n", quoted(output)));
        }
        text + "}\n"
    }

    fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        let safe = |name: &str| name.replace('"', "&quot;").replace('\n', " ");
        for (node, (name, kind)) in self.nodes.iter().enumerate() {
            text.push_str(&format!("  n{node}[\"{}<br>{kind}\"]\n", safe(name)));
        }
        for (to, from, Edge { output, .. }) in &self.edges {
            text.push_str(&format!("  n{from} -->|{output}| n{to}\n"));
        }
        text
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
