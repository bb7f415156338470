//! What (pseudo) labels say about pairs of images.

/// Labels of images, and how sure each is.
#[derive(Clone, Debug, PartialEq)]
pub struct PseudoLabels {
    /// The label of each image.
    pub labels: Vec<u32>,
    /// How sure each label is, in [0, 1]; `None`: all are certain.
    pub confidence: Option<Vec<f32>>,
}

impl PseudoLabels {
    /// Labels that are taken as certain: images of one label are no negatives of each other.
    #[must_use]
    pub fn certain(labels: Vec<u32>) -> Self {
        Self { labels, confidence: None }
    }

    /// Those of the images at `indices`.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn select(&self, indices: &[u32]) -> Self {
        let labels = indices.iter().map(|&index| self.labels[index as usize]).collect();
        let of = |all: &Vec<f32>| indices.iter().map(|&index| all[index as usize]).collect();
        Self { labels, confidence: self.confidence.as_ref().map(of) }
    }

    /// Whether the images at two places have one label.
    ///
    /// # Panics
    /// If a place is out of range.
    #[must_use]
    pub fn same(&self, a: usize, b: usize) -> bool {
        self.labels[a] == self.labels[b]
    }

    /// How much the images at two places count as negatives of each other, in [0, 1]: 1 with different labels, else
    /// 1 less the product of their confidences.
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
