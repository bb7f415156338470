//! What is written about a finished piece of work: how it was made, and what came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Recipe, json::number};
use crate::digest::ArtifactHash;

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
