//! Makes the recipe of an instance: everything that is in its key.
//!
//! | what | where |
//! | --- | --- |
//! | kind, version of its code | key |
//! | for programs: the command, forms of outputs, types of numbers, environment variables that it names | key |
//! | parameters after defaults, except those without effect given the others | key |
//! | content at each input port | key, as the hash of the artifact |
//! | content of files at a `path` parameter, and their names below it | key, as one hash; the path itself: nowhere |
//! | name of the pipeline and the stage, instance, axes | manifest (the first to run), history |
//! | metrics, series, seconds, time, device, threads, version of strata | manifest |
//! | comments, order of keys, retries, jobs, budget of threads, cache folder | nowhere |

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use crate::{
    digest::ArtifactHash,
    graph::Instance,
    stage::{AnyStage, StageError},
    store::{Recipe, Store, StoreError, Witness},
};

/// Why a recipe cannot be made: the stage's source files cannot be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The stage could not list its files.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A file could not be hashed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The state of the source files when their recipe was made, by parameter. It is compared with the files after they
/// were read.
pub type Witnesses = BTreeMap<&'static str, Witness>;

/// Makes the recipe of an instance whose inputs are known, and records the state of its source files. With `remember`,
/// hashes of source files are kept in the cache.
pub fn recipe(
    instance: &Instance<'_>,
    inputs: BTreeMap<String, ArtifactHash>,
    root: &std::path::Path,
    store: &Store,
    remember: bool,
) -> Result<(Recipe, Witnesses), RecipeError> {
    let (mut params, program) = (instance.work.effective(), instance.work.program());
    // The files of a program are no parameters, whatever they are called.
    let is_program = program.is_some();
    let (mut sources, mut witnesses) = (BTreeMap::new(), Witnesses::new());
    for source in instance.work.sources(root)? {
        if let (Value::Object(fields), false) = (&mut params, is_program) {
            fields.remove(source.param);
        }
        let (hash, witness) = store.hash_sources(&source.base, &source.files, remember)?;
        sources.insert(source.param.to_owned(), hash);
        witnesses.insert(source.param, witness);
    }
    let recipe = Recipe {
        kind: instance.kind.name.to_owned(),
        version: instance.kind.version,
        params: params.into(),
        program,
        inputs,
        sources,
    };
    Ok((recipe, witnesses))
}

/// Returns the first source file that changed since its recipe was made.
///
/// # Errors
/// If the files cannot be listed any more.
pub fn changed(
    stage: &dyn AnyStage,
    witnesses: &Witnesses,
    root: &std::path::Path,
) -> Result<Option<PathBuf>, StageError> {
    if witnesses.is_empty() {
        return Ok(None);
    }
    let sources = stage.sources(root)?;
    // A file that came or went has no counterpart.
    if let Some(new) = sources.iter().find(|source| !witnesses.contains_key(source.param)) {
        return Ok(Some(new.base.clone()));
    }
    if let Some(gone) = witnesses.keys().find(|param| sources.iter().all(|source| source.param != **param)) {
        return Ok(Some(root.join(gone)));
    }
    Ok(sources.iter().find_map(|source| witnesses.get(source.param)?.changed(&source.files)))
}
