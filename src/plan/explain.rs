//! Explains why an instance must run, and traces it back to the change that is the cause.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Plan, PlanStatus, Planned, Reason, Verdict, recipe_of, waiting};
use crate::{
    diagnostic::Place,
    digest::StageKey,
    graph::{Graph, Instance, InstanceId},
    store::{Manifest, Provenance, Recipe, Store, StoreError},
};

/// The explanation of one instance.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Its stage.
    pub name: String,
    /// The instance.
    pub instance: String,
    /// Its kind.
    pub kind: &'static str,
    /// What a run would do with it.
    pub status: PlanStatus,
    /// The key of its work, if its inputs are known.
    pub key: Option<StageKey>,
    /// Its own reasons to run or to wait.
    pub reasons: Vec<Located>,
    /// Changes in its dependencies that make it wait, or that changed the content of an input.
    pub causes: Vec<Cause>,
    /// How its results were made, if they are cached.
    pub made: Option<Made>,
}

/// A reason, with the place in the file that it refers to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Located {
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
    /// The place in the file.
    pub place: Option<Place>,
}

/// A change in one instance, with the path from it to the instance that is explained.
#[derive(Debug, PartialEq, Serialize)]
pub struct Cause {
    /// Instances, from the changed one to the one that is explained.
    pub path: Vec<String>,
    /// What changed in the first of them.
    pub reasons: Vec<Located>,
}

/// How cached results were made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// The recipe that the key is the hash of.
    pub recipe: Recipe,
    /// Seconds that the work took.
    pub seconds: f64,
    /// When, where and by which instance it was made.
    pub provenance: Provenance,
}

/// Explains instances of a planned graph.
pub struct Tracer<'a, 't> {
    graph: &'a Graph<'t>,
    plan: BTreeMap<InstanceId, &'a Planned>,
    store: &'a Store,
    /// All manifests, by the hashes of their outputs. They are read only if the content of some input changed.
    makers: Option<BTreeMap<String, Vec<Manifest>>>,
}

impl<'a, 't> Tracer<'a, 't> {
    /// Makes a tracer for a plan.
    pub fn new(graph: &'a Graph<'t>, plan: &'a Plan, store: &'a Store) -> Self {
        let plan = plan.stages.iter().map(|planned| (planned.index, planned)).collect();
        Self { graph, plan, store, makers: None }
    }

    /// Explains one instance of the plan.
    pub fn explain(&mut self, index: InstanceId) -> Result<Explanation, StoreError> {
        let (instance, planned) = (&self.graph.instances[index], self.plan[&index]);
        let mut causes = Vec::new();
        let reasons = match &planned.decision.verdict {
            Verdict::Cached(_) => Vec::new(),
            _ if planned.same_as.is_some() => planned.reason(self.graph).into_iter().collect(),
            Verdict::Run(reasons) => reasons.clone(),
            Verdict::Waiting(on) => vec![waiting(on, self.graph)],
        };
        if let Verdict::Waiting(_) = planned.decision.verdict {
            self.above(index, &[instance.name.to_string()], &mut BTreeSet::new(), &mut causes)?;
        }
        self.inputs(index, &reasons, &[instance.name.to_string()], &mut causes)?;
        let made = match &planned.decision.verdict {
            Verdict::Cached(manifest) => {
                let Manifest { recipe, seconds, provenance, .. } = manifest.as_ref().clone();
                Some(Made { recipe, seconds, provenance })
            }
            _ => None,
        };
        Ok(Explanation {
            name: instance.stage.clone(),
            instance: instance.name.to_string(),
            kind: instance.kind.name,
            status: planned.status(),
            key: planned.decision.key(),
            reasons: self.located(instance, reasons),
            causes,
            made,
        })
    }

    /// Finds the dependencies of a waiting instance that must run, each with its reasons and the path from it.
    fn above(
        &mut self,
        index: InstanceId,
        path: &[String],
        seen: &mut BTreeSet<InstanceId>,
        causes: &mut Vec<Cause>,
    ) -> Result<(), StoreError> {
        for link in self.graph.instances[index].inputs.clone() {
            let from = self.graph.instances[link.from].same_as.unwrap_or(link.from);
            if !seen.insert(from) {
                continue;
            }
            let instance = &self.graph.instances[from];
            let path = longer(&instance.name, path);
            match &self.plan[&from].decision.verdict {
                Verdict::Cached(_) => {}
                Verdict::Waiting(_) => self.above(from, &path, seen, causes)?,
                Verdict::Run(reasons) => {
                    let own = reasons.iter().filter(|reason| !matches!(reason, Reason::Input { .. })).cloned();
                    let own = self.located(instance, own.collect());
                    if !own.is_empty() {
                        causes.push(Cause { path: path.clone(), reasons: own });
                    }
                    self.inputs(from, reasons, &path, causes)?;
                }
            }
        }
        Ok(())
    }

    /// Finds, for every input whose content changed, the changes in the instance that made it since it made the old
    /// content.
    fn inputs(
        &mut self,
        index: InstanceId,
        reasons: &[Reason],
        path: &[String],
        causes: &mut Vec<Cause>,
    ) -> Result<(), StoreError> {
        for reason in reasons {
            let Reason::Input { port, old: Some(old), .. } = reason else { continue };
            let instance = &self.graph.instances[index];
            let Some(link) = instance.inputs.iter().find(|link| link.port == port) else { continue };
            let maker = &self.graph.instances[link.from];
            let Ok(Some(now)) = recipe_of(self.graph, link.from, self.store, |index| self.plan.get(&index).copied())
            else {
                continue;
            };
            let Some(before) = self.maker(old, maker)? else { continue };
            let changes = Reason::between(&before, &now);
            let path = longer(&maker.name, path);
            let own = changes.iter().filter(|reason| !matches!(reason, Reason::Input { .. })).cloned();
            let own = self.located(maker, own.collect());
            if !own.is_empty() {
                let cause = Cause { path: path.clone(), reasons: own };
                if !causes.contains(&cause) {
                    causes.push(cause);
                }
            }
            self.inputs(link.from, &changes, &path, causes)?;
        }
        Ok(())
    }

    /// Returns the recipe that made some content. If there are several, prefers one whose kind, stage and instance are
    /// those of `now`, then the latest.
    fn maker(&mut self, hash: &str, now: &Instance<'_>) -> Result<Option<Recipe>, StoreError> {
        if self.makers.is_none() {
            let mut makers: BTreeMap<String, Vec<Manifest>> = BTreeMap::new();
            for (_, manifest) in self.store.manifests()? {
                for output in manifest.outputs.values() {
                    makers.entry(output.hash.hex()).or_default().push(manifest.clone());
                }
            }
            self.makers = Some(makers);
        }
        let known = self.makers.as_ref().and_then(|makers| makers.get(hash));
        let rank = |manifest: &&Manifest| {
            let made = &manifest.provenance;
            // The name is `PIPELINE/INSTANCE`. Values in it may contain slashes too.
            let is = |whole: &str, name: &str| whole.strip_suffix(name).is_some_and(|rest| rest.ends_with('/'));
            let stage = made.instance.split('@').next().unwrap_or_default();
            let alike = (manifest.recipe.kind == now.kind.name, is(stage, &now.stage), is(&made.instance, &now.name));
            (alike, made.finished.clone())
        };
        Ok(known.and_then(|makers| makers.iter().max_by_key(rank)).map(|manifest| manifest.recipe.clone()))
    }

    fn located(&self, instance: &Instance<'_>, reasons: Vec<Reason>) -> Vec<Located> {
        let program = self.graph.pipeline.programs.get(instance.kind.name);
        let place = |reason: &Reason| {
            if let Some(run) = program {
                let of_program = match reason {
                    Reason::Param { path, .. } => path.starts_with("program."),
                    Reason::Source { .. } | Reason::Version { .. } | Reason::Unreadable { .. } => true,
                    _ => false,
                };
                if of_program {
                    return self.graph.place(run);
                }
            }
            let span = match reason {
                Reason::Param { path, .. } => instance.span(path),
                Reason::Source { param } => instance.span(param),
                Reason::Input { port, .. } => instance.input_span(port),
                Reason::Unreadable { .. } => instance.span("path"),
                _ => return None,
            };
            self.graph.place(&span)
        };
        reasons.into_iter().map(|reason| Located { place: place(&reason), reason }).collect()
    }
}

fn longer(first: &str, path: &[String]) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(path.iter().cloned()).collect()
}
