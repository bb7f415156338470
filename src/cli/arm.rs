//! An arm of an experiment: the instances of a stage that have some values of some axes.

use std::collections::BTreeMap;

use super::{Failure, results::plain};
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

    /// The axes of an instance that neither arm fixes, with their values: what pairs it with an instance of `other`.
    pub fn pairing(&self, graph: &Graph<'_>, index: usize, other: &Self) -> BTreeMap<String, String> {
        let axes = graph.instances[index].axes.iter();
        let free = axes.filter(|(axis, _)| !self.fixed.contains_key(axis) && !other.fixed.contains_key(axis));
        free.map(|(axis, value)| (axis.to_owned(), plain(value))).collect()
    }
}
