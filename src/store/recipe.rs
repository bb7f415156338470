//! Recipes: what decides the result of a stage, and the keys that are computed from it.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical;
use crate::digest::{ArtifactHash, SourceHash, StageKey};

/// Everything that decides what a stage computes, and nothing else. A key is the hash of its canonical JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The kind of the stage.
    pub kind: String,
    /// The version of that kind's code.
    pub version: u32,
    /// The parameters after defaults, without the paths (their content is in `sources`).
    #[serde(with = "shared")]
    pub params: Arc<Value>,
    /// For work whose code is not part of strata: the command and whatever else decides the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Value>,
    /// The content at each input port.
    pub inputs: BTreeMap<String, ArtifactHash>,
    /// The content found at each parameter that is a path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceHash>,
}

impl Recipe {
    /// Returns the key of this work.
    #[must_use]
    pub fn key(&self) -> StageKey {
        StageKey::of(canonical(self).as_bytes())
    }

    /// Returns the trajectory of this work: the same key for all recipes that differ only in the parameters `free`.
    #[must_use]
    pub fn trajectory(&self, free: &[&str]) -> StageKey {
        let mut recipe = self.clone();
        if let Value::Object(params) = Arc::make_mut(&mut recipe.params) {
            params.retain(|name, _| !free.contains(&name.as_str()));
        }
        StageKey::of(canonical(&("trajectory", recipe)).as_bytes())
    }
}

/// Serializes parameters that many recipes share as if each recipe had its own.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(value: &Arc<Value>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Value>, D::Error> {
        Value::deserialize(deserializer).map(Arc::new)
    }
}
