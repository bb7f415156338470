//! One level of the features at an input port, as a matrix.

use candle_core::Tensor;
use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::images;
use crate::{
    ml::probe::Labelled,
    stage::{Foresight, Inputs, Problems, StageError},
};

/// The name of the tensor that is not a level.
const LABELS: &str = "labels";

/// Adds a problem if `at` is not a level of the features at these ports, as far as those are known. All ports are read
/// at the same level.
pub(in crate::stages) fn foresee(inputs: &Foresight, ports: &[&str], at: Option<&str>, problems: &mut Problems) {
    let mut at = at;
    for &port in ports {
        let Some(foreseen) = inputs.get(port) else { return };
        let levels: Vec<&str> = foreseen.levels.iter().map(String::as_str).collect();
        match choose(&levels, at) {
            _ if levels.is_empty() => return,
            Ok(level) => at = Some(level),
            Err(message) => return problems.add("at", format!("input `{port}`: {message}")),
        }
    }
}

/// Adds problems for the inputs `train` and `test` of a probe, as far as they are known: `at` is a level of both, and both
/// have labels.
pub(in crate::stages) fn foresee_pair(inputs: &Foresight, at: Option<&str>, problems: &mut Problems) {
    foresee(inputs, &["train", "test"], at, problems);
    images::foresee_labels(inputs, "train", problems);
    images::foresee_labels(inputs, "test", problems);
}

/// Features of one level, with the labels of their images.
pub(in crate::stages) struct Level {
    pub(in crate::stages) name: String,
    pub(in crate::stages) features: Array2<f32>,
    /// The class of each image; 0 for each if they have no labels.
    pub(in crate::stages) labels: Vec<u32>,
    /// The number of classes; 0 if the images have no labels.
    pub(in crate::stages) classes: usize,
}

impl Level {
    /// Reads the level `at`, or the only one there is.
    pub(in crate::stages) fn read(inputs: &Inputs, port: &str, at: Option<&str>) -> Result<Self, StageError> {
        let artifact = inputs.at(port);
        let levels: Vec<&str> = artifact.tensors().keys().map(String::as_str).filter(|&name| name != LABELS).collect();
        let name = choose(&levels, at).map_err(|message| StageError::failed(format!("input `{port}`: {message}")))?;
        let tensor = artifact.tensor(name)?;
        let features = Array2::from_shape_vec(tensor.dims2()?, tensor.flatten_all()?.to_vec1()?)
            .map_err(|e| StageError::failed(format!("level `{name}`: {e}")))?;
        let (labels, names) = images::labels(artifact, features.nrows())?;
        Ok(Self { name: name.to_owned(), features, labels, classes: names.len() })
    }

    /// Reads both inputs of a probe: the same level of `train` and `test`, both with labels.
    pub(in crate::stages) fn pair(inputs: &Inputs, at: Option<&str>) -> Result<(Self, Self), StageError> {
        let train = Self::read(inputs, "train", at)?;
        let test = Self::read(inputs, "test", Some(&train.name))?;
        images::require_labels(train.classes, "train")?;
        images::require_labels(test.classes, "test")?;
        Ok((train, test))
    }

    /// Makes a level without a name from these features.
    pub(in crate::stages) fn of(Labelled { features, labels }: Labelled<'_>) -> Self {
        let classes = labels.iter().max().map_or(0, |&l| l as usize + 1);
        Self { name: String::new(), features: features.to_owned(), labels: labels.to_vec(), classes }
    }

    /// The labels, if the images have any.
    pub(in crate::stages) fn known_labels(&self) -> Option<&[u32]> {
        (self.classes > 0).then_some(&self.labels)
    }

    /// The rows of some of the images.
    pub(in crate::stages) fn rows(&self, indices: &[u32]) -> Self {
        let rows: Vec<usize> = indices.iter().map(|&index| index as usize).collect();
        let labels = rows.iter().map(|&row| self.labels[row]).collect();
        let features = self.features.select(Axis(0), &rows);
        Self { name: self.name.clone(), features, labels, classes: self.classes }
    }

    /// The images of this level, followed by those of `other`.
    pub(in crate::stages) fn with(&self, other: &Self) -> Result<Self, StageError> {
        let features = concatenate(Axis(0), &[self.features.view(), other.features.view()])
            .map_err(|_| StageError::failed("training and test features have other widths"))?;
        let labels = [self.labels.as_slice(), &other.labels].concat();
        Ok(Self { name: self.name.clone(), features, labels, classes: self.classes.max(other.classes) })
    }

    pub(in crate::stages) fn labelled(&self) -> Labelled<'_> {
        Labelled { features: self.features.view(), labels: &self.labels }
    }
}

/// The level to read, or a message that says why there is none.
fn choose<'a>(levels: &[&'a str], at: Option<&str>) -> Result<&'a str, String> {
    let list = levels.iter().map(|level| format!("`{level}`")).collect::<Vec<_>>().join(", ");
    match (at, levels) {
        (Some(at), _) => levels
            .iter()
            .find(|&&level| level == at)
            .copied()
            .ok_or_else(|| format!("there is no level `{at}`; there are {list}")),
        (None, [only]) => Ok(only),
        (None, []) => Err("there are no features".to_owned()),
        (None, _) => Err(format!("there are several levels; choose one by `at`: {list}")),
    }
}

/// An f32 matrix as a tensor.
pub(in crate::stages) fn tensor(matrix: ArrayView2<'_, f32>) -> Result<Tensor, StageError> {
    let values: Vec<f32> = matrix.iter().copied().collect();
    Ok(Tensor::from_vec(values, matrix.dim(), &candle_core::Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Foreseen;

    #[test]
    fn the_only_level_needs_no_name() {
        assert_eq!(choose(&["latent"], None), Ok("latent"));
        assert_eq!(choose(&["p1", "p2"], Some("p2")), Ok("p2"));
    }

    #[test]
    fn a_wrong_or_missing_choice_names_the_levels() {
        let levels = ["p1", "p2"];
        assert!(choose(&levels, None).unwrap_err().contains("choose one by `at`: `p1`, `p2`"));
        assert_eq!(choose(&levels, Some("p3")).unwrap_err(), "there is no level `p3`; there are `p1`, `p2`");
    }

    #[test]
    fn what_is_known_to_come_in_is_checked_and_the_rest_is_not() {
        let found = |test: Foreseen, at| {
            let inputs = Foresight::from([("train", Foreseen::levels(&["latent"])), ("test", test)]);
            let mut problems = Problems::default();
            foresee(&inputs, &["train", "test"], at, &mut problems);
            problems.into_vec().into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert_eq!(found(Foreseen::levels(&["latent"]), None), [""; 0]);
        assert_eq!(found(Foreseen::default(), Some("latent")), [""; 0]);
        assert_eq!(
            found(Foreseen::default(), Some("p3")),
            ["input `train`: there is no level `p3`; there are `latent`"]
        );
        assert_eq!(
            found(Foreseen::levels(&["p1", "p3"]), None),
            ["input `test`: there is no level `latent`; there are `p1`, `p3`"]
        );
    }
}
