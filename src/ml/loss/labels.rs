//! (Pseudo) labels, and the weights that they give to pairs of images.

/// Labels of images with their confidence.
#[derive(Clone, Debug, PartialEq)]
pub struct PseudoLabels {
    /// The label of each image.
    pub labels: Vec<u32>,
    /// Confidence of each label, in [0, 1]; `None` if all are certain.
    pub confidence: Option<Vec<f32>>,
}

impl PseudoLabels {
    /// Labels that are certain: images of one label are not negatives of each other.
    #[must_use]
    pub fn certain(labels: Vec<u32>) -> Self {
        Self { labels, confidence: None }
    }

    /// The labels of the images at `indices`.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn select(&self, indices: &[u32]) -> Self {
        let labels = indices.iter().map(|&index| self.labels[index as usize]).collect();
        let of = |all: &Vec<f32>| indices.iter().map(|&index| all[index as usize]).collect();
        Self { labels, confidence: self.confidence.as_ref().map(of) }
    }

    /// Whether the images at two places have the same label.
    ///
    /// # Panics
    /// If a place is out of range.
    #[must_use]
    pub fn same(&self, a: usize, b: usize) -> bool {
        self.labels[a] == self.labels[b]
    }

    /// The weight of the images at two places as negatives of each other, in [0, 1]: 1 for different labels, otherwise
    /// 1 minus the product of their confidences.
    ///
    /// # Panics
    /// If a place is out of range.
    #[must_use]
    pub fn negative(&self, a: usize, b: usize) -> f32 {
        match &self.confidence {
            _ if !self.same(a, b) => 1.0,
            Some(confidence) => 1.0 - confidence[a] * confidence[b],
            None => 0.0,
        }
    }
}
