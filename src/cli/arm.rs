//! An arm of an experiment: the instances of a stage that have some values of some axes.

use std::collections::BTreeSet;

use super::Failure;
use crate::graph::{Graph, Target, Values};

/// `STAGE` or `STAGE@axis=value,axis=value`: all instances of the stage with these values.
pub struct Arm<'a> {
    /// As written.
    pub text: &'a str,
    /// The instances, indices into the graph.
    pub instances: Vec<usize>,
    /// The axes that it fixes.
    pub fixed: Values,
}

impl<'a> Arm<'a> {
    /// Finds the instances.
    pub fn find(graph: &Graph<'_>, text: &'a str) -> Result<Self, Failure> {
        let Target { instances, fixed } = Target::find(graph, text).map_err(Failure::Usage)?;
        Ok(Self { text, instances, fixed })
    }

    /// The axes that reach the stage and that this arm leaves open.
    pub fn open<'g>(&self, graph: &'g Graph<'_>) -> BTreeSet<&'g str> {
        let axes = self.instances.iter().flat_map(|&index| graph.instances[index].axes.iter());
        axes.map(|(axis, _)| axis).filter(|axis| !self.fixed.contains_key(*axis)).collect()
    }
}
