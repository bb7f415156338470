//! An arm of an experiment: the instances of a stage that have some values of some axes.

use std::collections::{BTreeMap, BTreeSet};

use super::Failure;
use crate::engine::{Graph, parts_of};

/// `STAGE` or `STAGE@axis=value,axis=value`: all instances of the stage with these values.
pub struct Arm<'a> {
    /// As written.
    pub text: &'a str,
    /// The instances, indices into the graph.
    pub instances: Vec<usize>,
    /// The axes that it fixes.
    pub fixed: BTreeMap<&'a str, &'a str>,
}

impl<'a> Arm<'a> {
    /// Finds the instances.
    pub fn find(graph: &Graph<'_>, text: &'a str) -> Result<Self, Failure> {
        let (_, values) = text.split_once('@').unwrap_or((text, ""));
        let mut fixed = BTreeMap::new();
        for part in parts_of(values).filter(|part| !part.is_empty()) {
            let Some((axis, value)) = part.split_once('=') else {
                let help = "an arm is written STAGE@axis=value,axis=value";
                return Err(Failure::Usage(format!("`{text}`: `{part}` has no `=`; {help}")));
            };
            fixed.insert(axis, value);
        }
        let instances = graph.select(&[text.to_owned()]).map_err(Failure::Usage)?.targets.into_iter().collect();
        Ok(Self { text, instances, fixed })
    }

    /// The axes that reach the stage and that this arm leaves open.
    pub fn open<'g>(&self, graph: &'g Graph<'_>) -> BTreeSet<&'g str> {
        let axes = self.instances.iter().flat_map(|&index| graph.instances[index].axes.iter());
        axes.map(|(axis, _)| axis).filter(|axis| !self.fixed.contains_key(axis)).collect()
    }
}
