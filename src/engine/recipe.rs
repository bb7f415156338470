//! The recipe of an instance: what is in its key.
//!
//! | what | where |
//! | --- | --- |
//! | kind, version of its code | key |
//! | parameters after defaults | key |
//! | content at each input port | key, as the hash of the artifact |
//! | content of files at a `path` parameter, and their names below it | key, as one hash; the path itself: nowhere |
//! | name of the pipeline and the stage, instance, axes | manifest (the first to run), history |
//! | metrics, series, seconds, time, device, threads, version of strata | manifest |
//! | comments, order of keys, retries, jobs, budget of threads, cache folder | nowhere |

use std::collections::BTreeMap;

use serde_json::Value;

use super::Instance;
use crate::{
    digest::ArtifactHash,
    stage::StageError,
    store::{Recipe, Store, StoreError},
};

/// Why a recipe cannot be made: the source files cannot be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The stage could not list its files.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A file could not be hashed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The recipe of an instance whose inputs are known. With `remember`, hashes of source files are kept in the cache.
pub fn recipe(
    instance: &Instance<'_>,
    inputs: BTreeMap<String, ArtifactHash>,
    root: &std::path::Path,
    store: &Store,
    remember: bool,
) -> Result<Recipe, RecipeError> {
    let mut params = instance.params();
    let mut sources = BTreeMap::new();
    for source in instance.work.sources(root)? {
        if let Value::Object(fields) = &mut params {
            fields.remove(source.param);
        }
        let hash = store.hash_sources(&source.base, &source.files, remember)?;
        sources.insert(source.param.to_owned(), hash);
    }
    Ok(Recipe {
        kind: instance.kind.name.to_owned(),
        version: instance.kind.version,
        params: params.into(),
        inputs,
        sources,
    })
}
