//! Draws the graph of the stages as SVG. Layers follow the longest path, and stages within a layer are ordered to
//! reduce crossings.

use std::collections::BTreeMap;

use maud::{Markup, html};

/// A graph to draw. Edges lead to earlier nodes.
#[derive(Default)]
pub struct Dag {
    /// The nodes, each after those that it depends on.
    pub nodes: Vec<DagNode>,
}

/// A node.
pub struct DagNode {
    /// The name of the node.
    pub name: String,
    /// Lines below the name.
    pub lines: Vec<String>,
    /// The status word, which determines the colour.
    pub status: &'static str,
    /// The nodes that it depends on, as indices.
    pub above: Vec<usize>,
}

const WIDTH: usize = 190;
const HEIGHT: usize = 62;
const ALONG: usize = 250;
const DOWN: usize = 84;
/// The number of rounds in which each node is moved close to its neighbours.
const ROUNDS: usize = 6;

impl Dag {
    /// Draws the graph from left to right.
    #[must_use]
    pub fn svg(&self) -> Markup {
        let places = self.places();
        let right = places.iter().map(|place| place.0).max().unwrap_or(0) + WIDTH + 10;
        let bottom = places.iter().map(|place| place.1).max().unwrap_or(0) + HEIGHT + 10;
        let edges = self.nodes.iter().enumerate().flat_map(|(to, node)| node.above.iter().map(move |&from| (from, to)));
        let way = |(from, to): (usize, usize)| {
            let (x0, y0) = (places[from].0 + WIDTH, places[from].1 + HEIGHT / 2);
            let (x1, y1) = (places[to].0, places[to].1 + HEIGHT / 2);
            let bend = (x1 - x0) / 2;
            format!("M{x0} {y0}C{} {y0} {} {y1} {x1} {y1}", x0 + bend, x1 - bend)
        };
        html! {
            svg viewBox={ "0 0 " (right) " " (bottom) } role="img" aria-label="Graph of the stages" tabindex="0" {
                g.edges { @for edge in edges { path d=(way(edge)) {} } }
                @for (node, (x, y)) in self.nodes.iter().zip(&places) {
                    g.node class=(node.status) transform={ "translate(" (x) " " (y) ")" } {
                        title { (node.name) ": " (node.lines.join(", ")) }
                        rect width=(WIDTH) height=(HEIGHT) rx="6" {}
                        text x="10" y="20" .name { (node.name) }
                        @for (at, line) in node.lines.iter().enumerate() { text x="10" y=(37 + 16 * at) { (line) } }
                    }
                }
            }
        }
    }

    /// Returns the left and top of each node.
    fn places(&self) -> Vec<(usize, usize)> {
        let mut layer = vec![0usize; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            layer[at] = node.above.iter().map(|&from| layer[from] + 1).max().unwrap_or(0);
        }
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            node.above.iter().for_each(|&from| below[from].push(at));
        }
        let mut layers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        (0..self.nodes.len()).for_each(|at| layers.entry(layer[at]).or_default().push(at));
        let mut height: Vec<f64> = vec![0.0; self.nodes.len()];
        for round in 0..ROUNDS {
            for nodes in layers.values_mut() {
                let mean = |at: usize| {
                    let joined = if round % 2 == 0 { &self.nodes[at].above } else { &below[at] };
                    let sum: f64 = joined.iter().map(|&other| height[other]).sum();
                    if joined.is_empty() { height[at] } else { sum / joined.len() as f64 }
                };
                let means: BTreeMap<usize, f64> = nodes.iter().map(|&at| (at, mean(at))).collect();
                nodes.sort_by(|a, b| means[a].total_cmp(&means[b]).then(a.cmp(b)));
                for (row, &at) in nodes.iter().enumerate() {
                    height[at] = row as f64 - nodes.len() as f64 / 2.0;
                }
            }
        }
        let top = height.iter().copied().fold(0.0, f64::min);
        let place = |at: usize| (10 + layer[at] * ALONG, 10 + ((height[at] - top) * DOWN as f64) as usize);
        (0..self.nodes.len()).map(place).collect()
    }
}
