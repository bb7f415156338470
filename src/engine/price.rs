//! What work is expected to take, from what it took before.

use std::collections::BTreeMap;

use super::Graph;
use crate::store::{History, Store, StoreError};

/// Seconds that each instance is expected to take: those of its last run; of one that never ran, the mean of its stage,
/// else that of its kind; none where no instance of the kind ever ran in this pipeline.
///
/// # Errors
/// If the cache cannot be read.
pub fn expected(graph: &Graph<'_>, store: &Store, history: &History) -> Result<Vec<Option<f64>>, StoreError> {
    let mut own = Vec::with_capacity(graph.instances.len());
    let mut stages: BTreeMap<&str, Mean> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, Mean> = BTreeMap::new();
    for instance in &graph.instances {
        let last = history.last(&instance.name).map(|key| store.manifest(&key)).transpose()?.flatten();
        let seconds = last.map(|manifest| manifest.seconds);
        if let Some(seconds) = seconds {
            stages.entry(&instance.stage).or_default().add(seconds);
            kinds.entry(instance.kind.name).or_default().add(seconds);
        }
        own.push(seconds);
    }
    let of = |(index, own): (usize, Option<f64>)| {
        let instance = &graph.instances[index];
        let mean = || stages.get(&*instance.stage).or_else(|| kinds.get(instance.kind.name)).map(Mean::value);
        own.or_else(mean)
    };
    Ok(own.into_iter().enumerate().map(of).collect())
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    fn value(&self) -> f64 {
        self.sum / self.count
    }
}
