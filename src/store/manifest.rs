//! Manifests: the records of finished work, how it was made and what came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Recipe,
    json::number::{self, Series},
};
use crate::digest::ArtifactHash;

/// One output of a finished stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The hash of its bytes.
    pub hash: ArtifactHash,
    /// Its size.
    pub bytes: u64,
}

/// The record of finished work. The work is done as soon as its manifest exists.
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
    /// Reasons to read the results with care, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Wall-clock seconds that the stage's code took, summed over all the runs that the work was resumed in.
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
    /// The vector instructions of the processor that made it, such as `avx512f`; records of 0.1.0 lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The number of threads it was given.
    pub threads: usize,
    /// Number of input rows (images, features, …), if the graph knew it; the duration of work of another size is
    /// estimated from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The name of the machine that made it, its system and its processor; records of 0.1.0 lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The commit of the git repository of the project, with ` + changes` if tracked files differed from it; `None`
    /// without a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}
