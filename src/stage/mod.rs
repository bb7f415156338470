//! The contract between the rest of the program and the kinds of stages.
//!
//! A kind is one file with one struct, and one line in the registry. The struct *is* the parameters in the pipeline
//! file; its docs and defaults become the schema and the help:
//!
//! ```
//! use candle_core::Tensor;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use strata::stage::{Context, Form, Inputs, Outputs, Port, Problems, Stage, StageError};
//! use strata::store::Artifact;
//!
//! /// Scales features.
//! #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
//! #[serde(default, deny_unknown_fields)]
//! struct Scale {
//!     /// The factor, above 0.
//!     factor: f64,
//! }
//!
//! impl Default for Scale {
//!     fn default() -> Self {
//!         Self { factor: 2.0 }
//!     }
//! }
//!
//! impl Stage for Scale {
//!     const KIND: &'static str = "scale";
//!     const VERSION: u32 = 1;
//!     const INPUTS: &'static [Port] = &[Port::new("features", &[Form::Features], "what to scale")];
//!     const OUTPUTS: &'static [Port] = &[Port::new("features", &[Form::Features], "the scaled features")];
//!
//!     fn check(&self, problems: &mut Problems) {
//!         problems.positive("factor", self.factor);
//!     }
//!
//!     fn run(&self, inputs: &Inputs, _: &mut Context<'_>) -> Result<Outputs, StageError> {
//!         let mut scaled = Artifact::new();
//!         for (name, tensor) in inputs.at("features").tensors() {
//!             scaled = scaled.with(name, tensor.affine(self.factor, 0.0)?);
//!         }
//!         Ok(Outputs::new().with("features", scaled))
//!     }
//! }
//! ```
//!
//! A test over the whole registry then checks what every kind must do: documented parameters and ports, defaults that
//! pass `check`, equal bytes at every run and number of threads, and the outputs that it declares. `examples/kind.rs`
//! runs a kind like this one, and `tests/it/own_kind.rs` one with metrics and pictures.

mod check;
mod context;
mod device;
mod drawing;
mod extent;
mod foresight;
mod form;
mod kind;
mod metric;
mod port;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use check::{BadParam, Need, Problems, Root, Source};
pub use context::{Context, Note, Progress, Saving, Workplace};
pub use device::{DeviceId, NoDevice, instructions};
pub use drawing::{Drawing, Groups, View};
pub use extent::Extent;
pub use foresight::{Foreseen, Foresight};
pub use form::{AttributeLayout, Form, FormError, NoForm, TensorLayout};
pub use kind::{AnyStage, Description, Make, Registry, StageKind, interned};
pub use metric::{Better, Metric, Prediction, Role, Unit};
pub use port::{Inputs, Outputs, Port};

pub use crate::store::Position;

/// One kind of work. The struct that implements it *is* its parameters in the pipeline file.
pub trait Stage: DeserializeOwned + Serialize + JsonSchema + Default + Send + Sync + 'static {
    /// The name in pipeline files, snake_case.
    const KIND: &'static str;
    /// Raise it when the same recipe would give other bytes, and keep its history in a comment.
    const VERSION: u32;
    /// The input ports.
    const INPUTS: &'static [Port];
    /// The output ports.
    const OUTPUTS: &'static [Port];

    /// The parameter by which finished work can be continued, a whole number such as the `epochs` of a training. Work
    /// with more of it may continue where work with less ended ([`Stage::extent`]), and its expected time grows with
    /// it.
    const EXTEND: Option<&'static str> = None;

    /// The metrics that it reports, in the order in which they are shown. Metrics that are not listed here are plain
    /// numbers.
    #[must_use]
    fn metrics() -> Vec<Metric> {
        Vec::new()
    }

    /// Pictures of what finished work produced, for reports.
    fn draw(&self, view: &dyn View) -> Vec<Drawing> {
        let _ = view;
        Vec::new()
    }

    /// Adds a problem for each parameter with an invalid value, by its key path. It sees only the parameters.
    fn check(&self, problems: &mut Problems) {
        let _ = problems;
    }

    /// Parameters (key paths such as `optimizer.beta1`) that have no effect, given the others. They are left out of the
    /// key, and a pipeline file that sets one gets a warning.
    fn idle(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The optional inputs that these parameters make required.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// What is known about the outputs before the stage runs, from what is known about the inputs. Add a problem here
    /// if a parameter does not fit the inputs (more clusters than images).
    fn foresee(&self, inputs: &Foresight, root: &Path, problems: &mut Problems) -> Foresight {
        let _ = (inputs, root, problems);
        Foresight::new()
    }

    /// The files outside the cache that `run` reads. Their content takes the place of the named parameter in the key.
    ///
    /// # Errors
    /// If they cannot be listed; the error names the path.
    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        let _ = root;
        Ok(Vec::new())
    }

    /// For work that saves its state and can be continued: how far it goes. Such work uses `cx.resume` and `cx.save`.
    fn extent(&self) -> Option<Extent> {
        None
    }

    /// Does the work, inside a rayon pool of `cx.threads()` threads. Equal recipes must give equal bytes.
    ///
    /// # Errors
    /// If the work cannot be done; the message says what would help.
    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError>;
}

/// Why a stage could not do its work. Messages are fragments that can follow "failed to …:".
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A state could not be saved or read.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// An input is not what the stage needs.
    #[error(transparent)]
    Artifact(#[from] crate::store::ArtifactError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// Anything else; the message says what, where, and what would help.
    #[error("{0}")]
    Failed(String),
    /// It was asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl StageError {
    /// A failure with a message.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }
}
