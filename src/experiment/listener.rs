//! Who hears of an experiment that runs.

use crate::{
    graph::Graph,
    run::{Event, Reporter},
};

/// Why a listener refused a run.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Receives the events of an experiment that runs. Every method has a default.
pub trait Listener {
    /// Called with a graph that is about to run: once, or, if seeds are added, once for each number of seeds.
    ///
    /// # Errors
    /// Any reason not to run.
    fn graph(&mut self, graph: &Graph<'_>) -> Result<(), Refusal> {
        let _ = graph;
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

/// Passes the events of a run to a listener.
pub(super) struct Heard<'a>(pub &'a mut dyn Listener);

impl Reporter for Heard<'_> {
    fn event(&mut self, event: &Event) {
        self.0.event(event);
    }

    fn tick(&mut self) {
        self.0.tick();
    }

    fn remark(&mut self, words: &str) {
        self.0.remark(words);
    }
}
