//! The parameters of everything that an instance depends on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Graph, InstanceId};

impl Graph<'_> {
    /// Returns the parameters of all instances that an instance depends on, by the name of the stage, or of the instance
    /// where it depends on several of one stage. Parameters without an effect are left out.
    #[must_use]
    pub fn upstream(&self, index: InstanceId) -> Value {
        let mut seen: BTreeSet<InstanceId> = BTreeSet::new();
        let mut open = vec![index];
        while let Some(at) = open.pop() {
            open.extend(self.instances[at].inputs.iter().map(|link| link.from).filter(|from| seen.insert(*from)));
        }
        let mut of_stage: BTreeMap<&str, usize> = BTreeMap::new();
        seen.iter().for_each(|&at| *of_stage.entry(&self.instances[at].stage).or_default() += 1);
        let named = |at: InstanceId| {
            let instance = &self.instances[at];
            let is_only = of_stage[&*instance.stage] == 1;
            let name = if is_only { instance.stage.clone() } else { instance.name.to_string() };
            (name, instance.work.effective())
        };
        Value::Object(seen.into_iter().map(named).collect::<Map<String, Value>>())
    }
}
