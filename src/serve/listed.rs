//! A run in a list, as data.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;

use super::events::{Left, Standing};
use crate::store::{RunId, RunStatus};

/// A run in a list.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Listed {
    pub(super) id: RunId,
    pub(super) pipeline: String,
    pub(super) file: String,
    /// The whole path of the file.
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) started: String,
    /// Wall-clock seconds: of the whole run, or so far.
    pub(super) seconds: Option<f64>,
    pub(super) status: RunStatus,
    pub(super) counts: BTreeMap<String, usize>,
    /// Instances that it means.
    pub(super) instances: usize,
    /// What works now.
    pub(super) working: Vec<Standing>,
    pub(super) left: Option<Left>,
    /// Why the run itself failed, if it was not a stage.
    pub(super) message: Option<String>,
    #[serde(skip)]
    pub(super) is_shown: bool,
}
