//! Plans a search, as far as results decide it.

use std::collections::BTreeMap;

use super::{
    drive::{Remark, Step, drive},
    error::SearchError,
};
use crate::{
    graph::{Graph, InstanceId, Selection},
    plan::{self, Plan},
    store::{Store, StoreError},
};

/// Plans the wanted instances of a graph. In a halving search, only the rungs already decided are planned; `say`
/// receives the current rung.
///
/// # Errors
/// If the cache cannot be read, or no result has the score.
pub fn plan(
    graph: &Graph<'_>,
    wanted: &Selection,
    store: &Store,
    force: bool,
    say: &mut dyn FnMut(Remark),
) -> Result<Plan, SearchError> {
    drive(graph, wanted, &mut Planning { graph, store, force, say }).map(|(plan, _)| plan)
}

struct Planning<'a, 't> {
    graph: &'a Graph<'t>,
    store: &'a Store,
    force: bool,
    say: &'a mut dyn FnMut(Remark),
}

impl Step for Planning<'_, '_> {
    type Output = Plan;
    const TRIES: bool = false;

    fn step(&mut self, selection: &Selection) -> Result<Plan, StoreError> {
        plan::plan(self.graph, selection, self.store, self.force)
    }

    fn metrics(plan: &Plan, index: InstanceId) -> Option<&BTreeMap<String, f64>> {
        plan.result(index).map(|manifest| &manifest.metrics)
    }

    fn must_end(&self, _: &Plan) -> bool {
        false
    }

    fn say(&mut self, remark: Remark) {
        (self.say)(remark);
    }
}
