//! The graph of a run: stages, instances, and what depends on what.

use std::{collections::BTreeMap, fmt::Display};

use serde_json::json;

use super::{answer::Answer, site::Site};
use crate::{experiment::Experiment, store::Run};

/// Describes the graph that a run meant, by the text that it read.
pub(super) fn answer(site: &Site, run: &Run) -> Answer {
    let cannot = |error: &dyn Display| Answer::refused(409, &format!("the graph of this run cannot be drawn: {error}"));
    let experiment = match Experiment::of_run(run.file(), run, &site.store) {
        Ok(experiment) => experiment.kinds(site.kinds.clone()),
        Err(error) => return cannot(&error),
    };
    let graph = match experiment.graph() {
        Ok(graph) => graph,
        Err(error) => return cannot(&error),
    };
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut stages = Vec::new();
    for instance in &graph.instances {
        places.entry(&instance.stage).or_insert_with(|| {
            stages.push(json!({ "stage": instance.stage, "kind": instance.kind.name }));
            stages.len() - 1
        });
    }
    let instances = graph.instances.iter().map(|instance| {
        let above: Vec<usize> = instance.inputs.iter().map(|link| usize::from(link.from)).collect();
        json!({ "instance": instance.name.as_ref(), "stage": places[instance.stage.as_str()], "above": above })
    });
    let instances = instances.collect::<Vec<_>>();
    Answer::json(&json!({ "format": 1, "stages": stages, "instances": instances }))
}
