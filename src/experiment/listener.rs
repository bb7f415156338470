//! Who hears of an experiment that runs.

use crate::{graph::Graph, run::Event, store::RunId};

/// Why a listener refused a run.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Receives the events of an experiment that runs. Every method has a default.
pub trait Listener {
    /// Called with a graph that is about to run and the id of the run: once, or, if seeds are added, once for each number
    /// of seeds.
    ///
    /// # Errors
    /// Any reason not to run.
    fn graph(&mut self, graph: &Graph<'_>, run: &RunId) -> Result<(), Refusal> {
        let _ = (graph, run);
        Ok(())
    }

    /// Called with a message about the progress of a search.
    fn remark(&mut self, words: &str) {
        let _ = words;
    }

    /// Called for each event.
    fn event(&mut self, event: &Event) {
        let _ = event;
    }

    /// Called several times a second while something runs.
    fn tick(&mut self) {}

    /// Called after the last event.
    fn end(&mut self) {}
}

/// Ignores everything.
impl Listener for () {}
