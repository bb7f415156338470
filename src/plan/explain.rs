//! Why an instance must run, traced up to the change that makes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Plan, PlanStatus, Planned, Reason, Verdict, recipe_of, waiting};
use crate::{
    diagnostic::Place,
    digest::StageKey,
    graph::{Graph, Instance},
    store::{Manifest, Provenance, Recipe, Store, StoreError},
};

/// What is to be said of one instance.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Its stage.
    pub name: String,
    /// The instance.
    pub instance: String,
    /// Its kind.
    pub kind: &'static str,
    /// The word of the plan.
    pub status: PlanStatus,
    /// Its key, if its inputs are known.
    pub key: Option<StageKey>,
    /// Its own reasons to run or to wait.
    pub reasons: Vec<Located>,
    /// Changes above that are the cause: of waiting, or of other content at an input.
    pub causes: Vec<Cause>,
    /// If cached: how it was made.
    pub made: Option<Made>,
}

/// A reason, and the place in the file that it is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Located {
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
    /// Where to look.
    pub place: Option<Place>,
}

/// A change in one instance, and the way from it down to the one that is asked about.
#[derive(Debug, PartialEq, Serialize)]
pub struct Cause {
    /// Instances, from the changed one to the one asked about.
    pub path: Vec<String>,
    /// What changed there.
    pub reasons: Vec<Located>,
}

/// How cached results were made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// What was hashed.
    pub recipe: Recipe,
    /// Seconds it took.
    pub seconds: f64,
    /// When, where, and by which instance.
    pub provenance: Provenance,
}

/// Explains instances of a planned graph.
pub struct Tracer<'a, 't> {
    graph: &'a Graph<'t>,
    plan: BTreeMap<usize, &'a Planned>,
    store: &'a Store,
    /// Every manifest, by the hashes of its outputs; read only once other content came in somewhere.
    makers: Option<BTreeMap<String, Vec<Manifest>>>,
}

impl<'a, 't> Tracer<'a, 't> {
    /// A tracer for a plan.
    pub fn new(graph: &'a Graph<'t>, plan: &'a Plan, store: &'a Store) -> Self {
        let plan = plan.stages.iter().map(|planned| (planned.index, planned)).collect();
        Self { graph, plan, store, makers: None }
    }

    /// Explains one instance of the plan.
    pub fn explain(&mut self, index: usize) -> Result<Explanation, StoreError> {
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

    /// The instances above a waiting one that must run, each with its reasons and a way down.
    fn above(
        &mut self,
        index: usize,
        path: &[String],
        seen: &mut BTreeSet<usize>,
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

    /// For every input with other content: what changed in its maker since it made the old content.
    fn inputs(
        &mut self,
        index: usize,
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

    /// The recipe by which content was made. Of several, the one most like what makes it now, then the latest.
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
            // `PIPELINE/INSTANCE`, whose values may have slashes too.
            let is = |whole: &str, name: &str| whole.strip_suffix(name).is_some_and(|rest| rest.ends_with('/'));
            let stage = made.instance.split('@').next().unwrap_or_default();
            let alike = (manifest.recipe.kind == now.kind.name, is(stage, &now.stage), is(&made.instance, &now.name));
            (alike, made.finished.clone())
        };
        Ok(known.and_then(|makers| makers.iter().max_by_key(rank)).map(|manifest| manifest.recipe.clone()))
    }

    fn located(&self, instance: &Instance<'_>, reasons: Vec<Reason>) -> Vec<Located> {
        let place = |reason: &Reason| {
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
