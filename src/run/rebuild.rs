//! Inputs whose bytes were evicted, lost or damaged: their makers run again.

use std::collections::BTreeMap;

use super::dispatcher::Coordinator;
use crate::{digest::ArtifactHash, plan::decide::Decision, store::StoreError};

impl Coordinator<'_, '_> {
    /// An input port whose bytes were evicted or lost.
    pub(super) fn gone(&self, decision: &Decision) -> Result<Option<String>, StoreError> {
        for (port, hash) in decision.recipe.iter().flat_map(|recipe| &recipe.inputs) {
            if !self.store.has(hash)? {
                return Ok(Some(port.clone()));
            }
        }
        Ok(None)
    }

    /// Lets the maker of what lies at an input port run again. A damaged object is thrown away; an evicted one is wanted.
    pub(super) fn remake(
        &mut self,
        index: usize,
        port: &str,
        inputs: &BTreeMap<String, ArtifactHash>,
    ) -> Result<(), StoreError> {
        let mut evicted = false;
        if let Some(hash) = inputs.get(port) {
            evicted = self.store.is_evicted(hash)?;
            if !evicted {
                self.store.discard(hash)?;
            }
        }
        for link in self.graph.instances[index].inputs.iter().filter(|link| link.port == port) {
            let maker = self.graph.instances[link.from].same_as.unwrap_or(link.from);
            for again in [link.from, maker] {
                self.states.remove(&again);
                self.open.insert(again);
            }
            if evicted {
                self.wanted.insert(maker, link.output.to_string());
            }
        }
        Ok(())
    }
}
