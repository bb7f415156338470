//! What decides the result of a stage, and the keys that follow from it.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical;
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
