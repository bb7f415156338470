//! The forms of artifacts: which tensors and attributes each holds.

use std::{collections::BTreeMap, fmt, str::FromStr};

use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::Artifact;

/// The form of an artifact. A link of the graph joins an output to an input that accepts its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Images with or without labels.
    Images,
    /// A matrix of feature vectors for each level of a network, with or without labels.
    Features,
    /// The (pseudo) label of each image.
    Labels,
    /// Batches of images, by their indices.
    Batches,
    /// Parameters and running statistics of an encoder.
    Weights,
    /// Parameters of a classifier on features.
    Classifier,
    /// Numbers to look at: a confusion matrix, centroids.
    Matrix,
    /// Any bytes: one file, kept as it is.
    File,
}

/// A tensor in artifacts of a form.
#[derive(Clone, Copy, Debug)]
pub struct TensorLayout {
    /// Its name; `None` stands for every tensor of another name.
    pub name: Option<&'static str>,
    /// The types and shapes that it may have. Sizes with the same name are equal within an artifact. A type of `None`
    /// stands for any, and so does a shape of `None`.
    pub either: &'static [(Option<DType>, Option<&'static [&'static str]>)],
    /// Whether it may be missing.
    pub optional: bool,
    /// What it holds.
    pub doc: &'static str,
}

/// An attribute of artifacts of a form.
#[derive(Clone, Copy, Debug)]
pub struct AttributeLayout {
    /// Its name.
    pub name: &'static str,
    /// The JSON type.
    pub of: &'static str,
    /// Whether it may be missing.
    pub optional: bool,
    /// What it holds.
    pub doc: &'static str,
}

const LABELS: TensorLayout = TensorLayout {
    name: Some("labels"),
    either: &[(Some(DType::U32), Some(&["N"]))],
    optional: true,
    doc: "the class of each image, an index into `classes`; missing if images have no labels",
};
const CLASSES: AttributeLayout = AttributeLayout {
    name: "classes",
    of: "array of strings",
    optional: true,
    doc: "the names of the classes; missing if images have no labels",
};

impl Form {
    /// All forms.
    pub const ALL: [Self; 8] = [
        Self::Images,
        Self::Features,
        Self::Labels,
        Self::Batches,
        Self::Weights,
        Self::Classifier,
        Self::Matrix,
        Self::File,
    ];

    /// Returns a list of this form alone, for ports.
    #[must_use]
    pub const fn alone(self) -> &'static [Self] {
        match self {
            Self::Images => &[Self::Images],
            Self::Features => &[Self::Features],
            Self::Labels => &[Self::Labels],
            Self::Batches => &[Self::Batches],
            Self::Weights => &[Self::Weights],
            Self::Classifier => &[Self::Classifier],
            Self::Matrix => &[Self::Matrix],
            Self::File => &[Self::File],
        }
    }

    /// Returns what artifacts of the form are, in a sentence.
    #[must_use]
    pub const fn doc(self) -> &'static str {
        match self {
            Self::Images => "Images with or without labels, as bytes, or with noise.",
            Self::Features => {
                "Feature vectors with or without labels: a matrix for each level of a network, such as `p3`."
            }
            Self::Labels => "The (pseudo) label of each image.",
            Self::Batches => "The batches of each round, as indices of images.",
            Self::Weights => "Parameters and running statistics of an encoder.",
            Self::Classifier => "Parameters of a classifier on features.",
            Self::Matrix => "Numbers to look at: a confusion matrix, centroids, a map in the plane.",
            Self::File => "Any bytes: one file, kept as it is.",
        }
    }

    /// Returns the tensors of artifacts of the form.
    #[must_use]
    pub const fn tensors(self) -> &'static [TensorLayout] {
        const IMAGES: &[TensorLayout] = &[
            TensorLayout {
                name: Some("images"),
                either: &[
                    (Some(DType::U8), Some(&["N", "C", "H", "W"])),
                    (Some(DType::F16), Some(&["draws", "N", "C", "H", "W"])),
                ],
                optional: false,
                doc: "the pixels, or noisy draws of them in [0, 1]",
            },
            LABELS,
        ];
        const FEATURES: &[TensorLayout] = &[
            TensorLayout {
                name: None,
                either: &[(Some(DType::F32), Some(&["N", "D"]))],
                optional: false,
                doc: "the feature vectors of the level of this name; D may differ between levels",
            },
            LABELS,
        ];
        const GROUPS: &[TensorLayout] = &[
            TensorLayout {
                name: Some("labels"),
                either: &[(Some(DType::U32), Some(&["N"]))],
                optional: false,
                doc: "the label of each image",
            },
            TensorLayout {
                name: Some("confidence"),
                either: &[(Some(DType::F32), Some(&["N"]))],
                optional: true,
                doc: "the certainty of each label in [0, 1]; 1 if it is missing",
            },
            TensorLayout {
                name: Some("truth"),
                either: &[(Some(DType::U32), Some(&["N"]))],
                optional: true,
                doc: "the true label of each image, for diagnosis only",
            },
        ];
        const BATCHES: &[TensorLayout] = &[TensorLayout {
            name: Some("batches"),
            either: &[(Some(DType::U32), Some(&["rounds", "batches", "batch_size"]))],
            optional: false,
            doc: "indices of images",
        }];
        const ANY: &[TensorLayout] =
            &[TensorLayout { name: None, either: &[(None, None)], optional: false, doc: "any tensor" }];
        match self {
            Self::Images => IMAGES,
            Self::Features => FEATURES,
            Self::Labels => GROUPS,
            Self::Batches => BATCHES,
            Self::Weights | Self::Classifier | Self::Matrix => ANY,
            Self::File => &[],
        }
    }

    /// Returns the attributes of artifacts of the form: entries of the JSON object that the safetensors metadata has as
    /// `strata`.
    #[must_use]
    pub const fn attributes(self) -> &'static [AttributeLayout] {
        match self {
            Self::Images | Self::Features => &[CLASSES],
            Self::Weights => &[AttributeLayout {
                name: "architecture",
                of: "object",
                optional: true,
                doc: "the network that the parameters belong to; kinds of strata need it",
            }],
            _ => &[],
        }
    }

    /// Checks that an artifact holds what the form says.
    ///
    /// # Errors
    /// If something is missing or wrong. The message names it.
    pub fn check(self, artifact: &Artifact) -> Result<(), FormError> {
        let mut sizes: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for (name, tensor) in artifact.tensors() {
            let layouts = self.tensors();
            let named = layouts.iter().find(|layout| layout.name == Some(name));
            let Some(layout) = named.or_else(|| layouts.iter().find(|layout| layout.name.is_none())) else {
                let known: Vec<&str> = layouts.iter().filter_map(|layout| layout.name).collect();
                return Err(FormError(format!("the tensor `{name}` is not one of {}", known.join(", "))));
            };
            let dims = layout.fits(tensor).ok_or_else(|| {
                let found = format!("{} {:?}", tensor.dtype().as_str(), tensor.dims());
                FormError(format!("the tensor `{name}` must be {}, and is {found}", layout.words()))
            })?;
            // The levels of features have different widths.
            for (&size, &dim) in dims.iter().zip(tensor.dims()).filter(|(size, _)| **size != "D") {
                let &mut (known, of) = sizes.entry(size).or_insert((dim, name));
                if known != dim {
                    let message = format!("`{of}` has {known} for {size}, and `{name}` has {dim}: they must be equal");
                    return Err(FormError(message));
                }
            }
        }
        for layout in self.tensors().iter().filter(|layout| !layout.optional) {
            let is_there = match layout.name {
                Some(name) => artifact.tensors().contains_key(name),
                None => artifact.tensors().keys().any(|name| self.tensors().iter().all(|one| one.name != Some(name))),
            };
            if !is_there {
                let name = layout.name.map_or_else(|| "a tensor".to_owned(), |name| format!("the tensor `{name}`"));
                return Err(FormError(format!("{name} is missing: {}, {}", layout.words(), layout.doc)));
            }
        }
        self.attributes().iter().try_for_each(|layout| layout.check(artifact))
    }
}

impl TensorLayout {
    /// Returns the names of the sizes of a tensor, if it has one of the types and shapes.
    fn fits(&self, tensor: &Tensor) -> Option<&'static [&'static str]> {
        self.either.iter().find_map(|(dtype, dims)| {
            let same_type = dtype.is_none_or(|dtype| dtype == tensor.dtype());
            match dims {
                Some(dims) => (same_type && dims.len() == tensor.rank()).then_some(*dims),
                None => same_type.then_some(&[][..]),
            }
        })
    }

    /// Returns its types and shapes, as `u8 [N, C, H, W] or f16 [draws, N, C, H, W]`.
    #[must_use]
    pub fn words(&self) -> String {
        let one = |(dtype, dims): &(Option<DType>, Option<&[&str]>)| match (dtype, dims) {
            (Some(dtype), Some(dims)) => format!("{} [{}]", dtype.as_str(), dims.join(", ")),
            _ => "of any type and shape".to_owned(),
        };
        self.either.iter().map(one).collect::<Vec<_>>().join(" or ")
    }
}

impl AttributeLayout {
    fn check(&self, artifact: &Artifact) -> Result<(), FormError> {
        let fits = match artifact.attributes().get(self.name) {
            None => self.optional,
            Some(value) if self.of == "object" => value.is_object(),
            Some(value) => value.as_array().is_some_and(|items| items.iter().all(serde_json::Value::is_string)),
        };
        let message = || {
            format!(
                "the attribute `{}` must be an {}: {}; attributes are a JSON object in the safetensors metadata, under \
                 `strata`",
                self.name, self.of, self.doc
            )
        };
        if fits { Ok(()) } else { Err(FormError(message())) }
    }
}

/// What is wrong with an artifact, given its form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormError(String);

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
            Self::File => "file",
        })
    }
}

/// A word that names no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("forms are images, features, labels, batches, weights, classifier, matrix and file")]
pub struct NoForm;

impl FromStr for Form {
    type Err = NoForm;

    fn from_str(word: &str) -> Result<Self, NoForm> {
        Self::ALL.into_iter().find(|form| form.to_string() == word).ok_or(NoForm)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(dtype: DType, dims: &[usize]) -> Tensor {
        Tensor::zeros(dims, dtype, &Device::Cpu).expect("a tensor")
    }

    #[test]
    fn an_artifact_has_what_its_form_says() {
        let features = Artifact::new()
            .with("p1", tensor(DType::F32, &[4, 8]))
            .with("p2", tensor(DType::F32, &[4, 2]))
            .with("labels", tensor(DType::U32, &[4]))
            .attribute("classes", vec!["a", "b"]);
        assert_eq!(Form::Features.check(&features), Ok(()));
        let message = |form: Form, artifact: &Artifact| form.check(artifact).expect_err("it does not fit").to_string();
        let short = features.clone().with("labels", tensor(DType::U32, &[3]));
        assert_eq!(message(Form::Features, &short), "`labels` has 3 for N, and `p1` has 4: they must be equal");
        let wide = features.clone().with("p1", tensor(DType::F64, &[4, 8]));
        assert_eq!(message(Form::Features, &wide), "the tensor `p1` must be f32 [N, D], and is f64 [4, 8]");
        let bare = Artifact::new().with("labels", tensor(DType::U32, &[4]));
        assert!(message(Form::Features, &bare).starts_with("a tensor is missing: f32 [N, D], "));
        assert_eq!(Form::Labels.check(&bare), Ok(()));
        assert!(message(Form::Images, &bare).starts_with("the tensor `images` is missing: u8 [N, C, H, W] or f16 ["));
        let unnamed = bare.clone().with("images", tensor(DType::U8, &[4, 3, 2, 2]));
        assert_eq!(Form::Images.check(&unnamed), Ok(()), "classes without names, or no labels at all, are normal");
        assert!(message(Form::Images, &unnamed.attribute("classes", 3)).starts_with("the attribute `classes` must be"));
        let odd = bare.with("other", tensor(DType::U8, &[1]));
        assert_eq!(message(Form::Labels, &odd), "the tensor `other` is not one of labels, confidence, truth");
    }
}
