//! What is written about a finished piece of work: how it was made, and what came out.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{canonical, json::number};
use crate::digest::{ArtifactHash, SourceHash, StageKey};

/// Everything that decides what a stage computes, and nothing else. Its canonical JSON is what a key hashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The kind of the stage.
    pub kind: String,
    /// The version of that kind's code.
    pub version: u32,
    /// The parameters after defaults, without the paths (their content is in `sources`).
    #[serde(with = "shared")]
    pub params: Arc<Value>,
    /// The content at each input port.
    pub inputs: BTreeMap<String, ArtifactHash>,
    /// The content found at each parameter that is a path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceHash>,
}

impl Recipe {
    /// The name of this piece of work.
    #[must_use]
    pub fn key(&self) -> StageKey {
        StageKey::of(canonical(self).as_bytes())
    }

    /// The name of the way that this work goes, the same for recipes that differ in nothing but the `free` parameters.
    #[must_use]
    pub fn trajectory(&self, free: &[&str]) -> StageKey {
        let mut way = self.clone();
        if let Value::Object(params) = Arc::make_mut(&mut way.params) {
            params.retain(|name, _| !free.contains(&name.as_str()));
        }
        StageKey::of(canonical(&("trajectory", way)).as_bytes())
    }
}

/// Parameters that many recipes share, written and read as if each had its own.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub fn serialize<S: Serializer>(value: &Arc<Value>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Value>, D::Error> {
        Value::deserialize(deserializer).map(Arc::new)
    }
}

/// One output of a finished stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The hash of its bytes.
    pub hash: ArtifactHash,
    /// Their number.
    pub bytes: u64,
}

/// A curve: a value for each of some epochs.
pub type Series = Vec<(u64, f64)>;

/// The record of a finished piece of work. Where it stands, the work is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// How it was made.
    pub recipe: Recipe,
    /// What came out, by port.
    pub outputs: BTreeMap<String, Output>,
    /// Final numbers, by name.
    #[serde(with = "number::reals")]
    pub metrics: BTreeMap<String, f64>,
    /// Curves over epochs, by name.
    #[serde(with = "number::curves")]
    pub series: BTreeMap<String, Series>,
    /// Why the results should be read with care, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Wall-clock seconds that the stage's code took, in all the runs that it went on over.
    pub seconds: f64,
    /// Where and when it was made. Never part of a key.
    pub provenance: Provenance,
}

/// Where and when work was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of strata.
    pub strata: String,
    /// The pipeline's name and the instance that ran first under this key.
    pub instance: String,
    /// When it was finished, RFC 3339, UTC.
    pub finished: String,
    /// The device it ran on.
    pub device: String,
    /// The number of threads it was given.
    pub threads: usize,
    /// Rows (images, features, …) that came in, where the graph knew it; what work of another size is priced by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}
