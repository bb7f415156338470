//! The graph of a run: stages, instances, and what depends on what.

use std::collections::BTreeMap;

use serde_json::json;

use super::{answer::Answer, routes::Site};
use crate::{
    experiment::Experiment,
    store::Run,
};

/// Describes the graph that a run meant, by the text that it read.
pub(super) fn answer(site: &Site, run: &Run) -> Answer {
    let experiment = Experiment::of_text(run.file(), run.record.text.clone())
        .kinds(site.kinds.clone())
        .with_changes(run.record.changes.clone());
    let graph = match experiment.graph() {
        Ok(graph) => graph,
        Err(error) => return Answer::refused(409, &format!("the graph of this run cannot be drawn any more: {error}")),
    };
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut stages = Vec::new();
    for instance in &graph.instances {
        places.entry(&instance.stage).or_insert_with(|| {
            stages.push(json!({ "stage": instance.stage, "kind": instance.kind.name }));
            stages.len() - 1
        });
    }
    let instances: Vec<_> = graph.instances.iter().map(|instance| {
        let above: Vec<usize> = instance.inputs.iter().map(|link| usize::from(link.from)).collect();
        json!({ "instance": instance.name.as_ref(), "stage": places[instance.stage.as_str()], "above": above })
    });
    let instances = instances.collect::<Vec<_>>();
    Answer::json(&json!({ "format": 1, "stages": stages, "instances": instances }))
}
