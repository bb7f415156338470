//! One level of the features at an input port, as a matrix.

use candle_core::Tensor;
use ndarray::{Array2, ArrayView2, Axis, concatenate};

use crate::{
    ml::probe::Labelled,
    stage::{Inputs, StageError},
    store::Artifact,
};

/// Features of one level, with the labels of their images.
pub(super) struct Level {
    pub(super) name: String,
    pub(super) features: Array2<f32>,
    pub(super) labels: Vec<u32>,
    pub(super) classes: usize,
}

impl Level {
    /// Reads the level `at`, or the only one there is.
    pub(super) fn read(inputs: &Inputs, port: &str, at: Option<&str>) -> Result<Self, StageError> {
        let artifact = inputs.at(port);
        let name = choose(artifact, at).map_err(|message| StageError::failed(format!("input `{port}`: {message}")))?;
        let tensor = artifact.tensor(&name)?;
        let features = Array2::from_shape_vec(tensor.dims2()?, tensor.flatten_all()?.to_vec1()?)
            .map_err(|e| StageError::failed(format!("level `{name}`: {e}")))?;
        let labels: Vec<u32> = artifact.tensor("labels")?.to_vec1()?;
        let names: Vec<String> = artifact.get("classes")?;
        let classes = labels.iter().max().map_or(0, |&l| l as usize + 1).max(names.len());
        Ok(Self { name, features, labels, classes })
    }

    /// Reads both inputs of a probe: the same level of `train` and `test`.
    pub(super) fn pair(inputs: &Inputs, at: Option<&str>) -> Result<(Self, Self), StageError> {
        let train = Self::read(inputs, "train", at)?;
        let test = Self::read(inputs, "test", Some(&train.name))?;
        Ok((train, test))
    }

    /// The level of these features alone, nameless.
    pub(super) fn of(Labelled { features, labels }: Labelled<'_>) -> Self {
        let classes = labels.iter().max().map_or(0, |&l| l as usize + 1);
        Self { name: String::new(), features: features.to_owned(), labels: labels.to_vec(), classes }
    }

    /// Some of the images.
    pub(super) fn rows(&self, indices: &[u32]) -> Self {
        let rows: Vec<usize> = indices.iter().map(|&index| index as usize).collect();
        let labels = rows.iter().map(|&row| self.labels[row]).collect();
        let features = self.features.select(Axis(0), &rows);
        Self { name: self.name.clone(), features, labels, classes: self.classes }
    }

    /// These images and then those of `other`.
    pub(super) fn with(&self, other: &Self) -> Result<Self, StageError> {
        let features = concatenate(Axis(0), &[self.features.view(), other.features.view()])
            .map_err(|_| StageError::failed("training and test features have other widths"))?;
        let labels = [self.labels.as_slice(), &other.labels].concat();
        Ok(Self { name: self.name.clone(), features, labels, classes: self.classes.max(other.classes) })
    }

    pub(super) fn labelled(&self) -> Labelled<'_> {
        Labelled { features: self.features.view(), labels: &self.labels }
    }
}

/// The name of the level to read, or what is wrong.
fn choose(artifact: &Artifact, at: Option<&str>) -> Result<String, String> {
    let levels: Vec<&str> = artifact.tensors().keys().map(String::as_str).filter(|&name| name != "labels").collect();
    let list = levels.iter().map(|level| format!("`{level}`")).collect::<Vec<_>>().join(", ");
    match (at, levels.as_slice()) {
        (Some(at), _) if levels.contains(&at) => Ok(at.to_owned()),
        (Some(at), _) => Err(format!("there is no level `{at}`; there are {list}")),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err("there are no features".to_owned()),
        (None, _) => Err(format!("there are several levels; choose one by `at`: {list}")),
    }
}

/// An f32 matrix as a tensor.
pub(super) fn tensor(matrix: ArrayView2<'_, f32>) -> Result<Tensor, StageError> {
    let values: Vec<f32> = matrix.iter().copied().collect();
    Ok(Tensor::from_vec(values, matrix.dim(), &candle_core::Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn features(levels: &[&str]) -> Artifact {
        let zeros = || Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let labels = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
        levels.iter().fold(Artifact::new().with("labels", labels), |artifact, &level| artifact.with(level, zeros()))
    }

    #[test]
    fn the_only_level_needs_no_name() {
        assert_eq!(choose(&features(&["latent"]), None), Ok("latent".to_owned()));
        assert_eq!(choose(&features(&["p1", "p2"]), Some("p2")), Ok("p2".to_owned()));
    }

    #[test]
    fn a_wrong_or_missing_choice_names_the_levels() {
        let levels = features(&["p1", "p2"]);
        assert!(choose(&levels, None).unwrap_err().contains("choose one by `at`: `p1`, `p2`"));
        assert_eq!(choose(&levels, Some("p3")).unwrap_err(), "there is no level `p3`; there are `p1`, `p2`");
        assert!(choose(&levels, Some("labels")).is_err(), "labels are no level");
    }
}
