//! Artifacts that pass between stages: their forms, the ports of a stage, and the inputs and outputs of a run.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Serialize;

use crate::store::Artifact;

/// The form of an artifact. A link of the graph joins an output to an input that accepts its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `images`: u8 `[N, C, H, W]`, or f16 `[draws, N, C, H, W]` in [0, 1]; `labels`: u32 `[N]`; attribute `classes`.
    Images,
    /// One f32 `[N, D]` tensor for each level (`p1`, `p2`, `p3`, `latent`); `labels`: u32 `[N]`; attribute `classes`.
    Features,
    /// `labels`: u32 `[N]`, the (pseudo) label of each image; `confidence`: f32 `[N]` in [0, 1], the certainty of each
    /// label (1 if the tensor is missing); `truth`: u32 `[N]`, the true labels if known, used for diagnosis only.
    Labels,
    /// `batches`: u32 `[rounds, batches, batch_size]`, indices of images.
    Batches,
    /// Parameters and running statistics of an encoder; attribute `architecture`.
    Weights,
    /// Parameters of a classifier on features.
    Classifier,
    /// Numbers to look at: a confusion matrix, centroids.
    Matrix,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Images => "images",
            Self::Features => "features",
            Self::Labels => "labels",
            Self::Batches => "batches",
            Self::Weights => "weights",
            Self::Classifier => "classifier",
            Self::Matrix => "matrix",
        })
    }
}

/// A named place where an artifact enters or leaves a stage.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Port {
    /// The name in the pipeline file.
    pub name: &'static str,
    /// The forms that an input accepts, or the one form of an output.
    pub forms: &'static [Form],
    /// Whether an input may be left out, or an output is not always made.
    pub optional: bool,
    /// One line of documentation.
    pub about: &'static str,
}

impl Port {
    /// A port that is always used.
    #[must_use]
    pub const fn new(name: &'static str, forms: &'static [Form], about: &'static str) -> Self {
        Self { name, forms, optional: false, about }
    }

    /// An input that may be left out, or an output that is not always made.
    #[must_use]
    pub const fn optional(name: &'static str, forms: &'static [Form], about: &'static str) -> Self {
        Self { name, forms, optional: true, about }
    }
}

/// The artifacts at the input ports of a stage. A stage is only run when every required one is there.
#[derive(Clone, Debug, Default)]
pub struct Inputs(BTreeMap<String, Arc<Artifact>>);

impl Inputs {
    /// The artifact at a required port.
    ///
    /// # Panics
    /// If the kind does not declare this port, or declares it as optional: a mistake in the code of the kind.
    #[must_use]
    pub fn at(&self, port: &str) -> &Artifact {
        self.get(port).unwrap_or_else(|| panic!("`{port}` is not a required input port of this kind"))
    }

    /// The artifact at an optional port.
    #[must_use]
    pub fn get(&self, port: &str) -> Option<&Artifact> {
        self.0.get(port).map(Arc::as_ref)
    }
}

impl FromIterator<(String, Arc<Artifact>)> for Inputs {
    fn from_iter<I: IntoIterator<Item = (String, Arc<Artifact>)>>(ports: I) -> Self {
        Self(ports.into_iter().collect())
    }
}

/// The artifacts that a stage has made, by output port.
#[derive(Clone, Debug, Default)]
pub struct Outputs(BTreeMap<String, Artifact>);

impl Outputs {
    /// No outputs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the artifact at the output `port`, which may be `PORT@EPOCH`.
    #[must_use]
    pub fn with(mut self, port: impl Into<String>, artifact: Artifact) -> Self {
        self.0.insert(port.into(), artifact);
        self
    }

    /// The artifact at each output port.
    #[must_use]
    pub fn ports(&self) -> &BTreeMap<String, Artifact> {
        &self.0
    }
}
