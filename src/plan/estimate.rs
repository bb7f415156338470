//! Estimates how long work takes, from earlier runs.

use std::collections::BTreeMap;

use serde_json::Value;
use typed_index_collections::{TiSlice, TiVec};

use crate::{
    graph::{Graph, Instance, InstanceId},
    stage::StageKind,
    store::{History, Manifest, Store, StoreError},
};

/// The expected cost of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Seconds of computing.
    pub seconds: f64,
    /// Bytes of outputs.
    pub bytes: f64,
}

/// The measured cost of an earlier run, with its number of epochs if it was a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    price: Price,
    epochs: Option<f64>,
    rows: Option<f64>,
}

impl Known {
    /// Reads the cost of work of this kind from its manifest.
    #[must_use]
    pub fn of(kind: &StageKind, manifest: &Manifest) -> Self {
        let bytes = manifest.outputs.values().map(|output| output.bytes as f64).sum();
        let rows = manifest.provenance.rows.map(|rows| rows as f64);
        Self { price: Price { seconds: manifest.seconds, bytes }, epochs: length(kind, &manifest.recipe.params), rows }
    }
}

/// Returns the value of the parameter that extends work of this kind, if it is above 0. Without one, the length of the
/// work is not known.
fn length(kind: &StageKind, params: &Value) -> Option<f64> {
    params.get(kind.extend?)?.as_f64().filter(|length| *length > 0.0)
}

/// Returns the cost of each instance's last run.
///
/// # Errors
/// If the cache cannot be read.
pub fn last(
    graph: &Graph<'_>,
    store: &Store,
    history: &History,
) -> Result<TiVec<InstanceId, Option<Known>>, StoreError> {
    let last = |instance: &Instance<'_>| {
        let last = history.last(&instance.name).map(|key| store.manifest(&key)).transpose()?.flatten();
        Ok(last.as_ref().map(|last| Known::of(&instance.kind, last)))
    };
    graph.instances.iter().map(last).collect()
}

/// Estimates the price of each instance: from its own last run, else as the mean of its stage, else as the mean of its
/// kind, else `None`. Prices of trainings are per epoch, and seconds are scaled by the number of input rows if both
/// numbers are known.
#[must_use]
pub fn expected(graph: &Graph<'_>, known: &TiSlice<InstanceId, Option<Known>>) -> TiVec<InstanceId, Option<Price>> {
    let mut stages: BTreeMap<&str, Mean> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, Mean> = BTreeMap::new();
    for (instance, known) in graph.instances.iter().zip(known) {
        if let Some(known) = known {
            stages.entry(&instance.stage).or_default().add(*known);
            kinds.entry(instance.kind.name).or_default().add(*known);
        }
    }
    let price = |(index, known): (InstanceId, &Option<Known>)| {
        let instance = &graph.instances[index];
        let own = known.map(|known| Mean::default().with(known));
        let mean = || stages.get(&*instance.stage).or_else(|| kinds.get(instance.kind.name)).copied();
        let mean = own.or_else(mean)?;
        let epochs = length(&instance.kind, &instance.work.effective());
        Some(mean.price(epochs, graph.rows_of(index).map(|rows| rows as f64)))
    };
    known.iter_enumerated().map(price).collect()
}

/// Sums over earlier runs. The seconds of trainings are per epoch.
#[derive(Clone, Copy, Default)]
struct Mean {
    seconds: f64,
    bytes: f64,
    count: f64,
    /// Sum of input rows, over the runs that recorded them.
    rows: f64,
    with_rows: f64,
}

impl Mean {
    fn add(&mut self, known: Known) {
        *self = self.with(known);
    }

    fn with(self, Known { price, epochs, rows }: Known) -> Self {
        Self {
            seconds: self.seconds + price.seconds / epochs.unwrap_or(1.0),
            bytes: self.bytes + price.bytes,
            count: self.count + 1.0,
            rows: self.rows + rows.unwrap_or_default(),
            with_rows: self.with_rows + f64::from(u8::from(rows.is_some())),
        }
    }

    fn price(self, epochs: Option<f64>, rows: Option<f64>) -> Price {
        let then = if self.with_rows > 0.0 { Some(self.rows / self.with_rows) } else { None };
        let size = rows.zip(then).map_or(1.0, |(rows, then)| rows / then);
        Price { seconds: self.seconds / self.count * epochs.unwrap_or(1.0) * size, bytes: self.bytes / self.count }
    }
}
