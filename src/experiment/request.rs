//! What is asked of an experiment.

use std::collections::BTreeSet;

use crate::{
    graph::{Graph, InstanceId, Selection, TargetError},
    search::Precision,
};

/// The instances that are wanted, and the precision that their means must have.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Stages or instances, with everything that they depend on. An empty list means all.
    pub targets: Vec<String>,
    /// Stages that nothing runs beyond.
    pub until: Vec<String>,
    /// The precision until which seeds are added; `None` adds no seeds.
    pub precision: Option<Precision>,
    /// Instances of the graph that are chosen already, in place of `targets` and `until`: they run, and no search goes on
    /// from them.
    pub chosen: Option<Selection>,
    /// The words of the command line, for the record of the run; empty if there is none.
    pub arguments: Vec<String>,
}

impl Request {
    /// Requests some targets, with no other conditions.
    #[must_use]
    pub fn of(targets: &[&str]) -> Self {
        Self { targets: targets.iter().map(|&target| target.to_owned()).collect(), ..Self::default() }
    }

    /// Selects the requested instances.
    ///
    /// # Errors
    /// If a target names nothing.
    pub fn select(&self, graph: &Graph<'_>) -> Result<Selection, TargetError> {
        if let Some(chosen) = &self.chosen {
            return Ok(chosen.clone());
        }
        let chosen = graph.select(&self.targets)?;
        if self.until.is_empty() {
            return Ok(chosen);
        }
        let until = graph.select(&self.until)?;
        let wanted = |index: &InstanceId| chosen.all.binary_search(index).is_ok();
        Ok(Selection {
            targets: until.targets.into_iter().filter(wanted).collect::<BTreeSet<_>>(),
            all: until.all.into_iter().filter(wanted).collect(),
        })
    }
}
