//! The parameters of t-SNE.

use crate::ml::features::Normalize;

/// Parameters of t-SNE. The initial map is that of scikit-learn's `TSNE`, the first two principal components at
/// deviation 1e-4; exaggeration and momentum are the same as there.
#[derive(Clone, Debug, PartialEq)]
pub struct Tsne {
    /// The effective number of neighbours of an image.
    pub perplexity: f64,
    /// Steps of the gradient descent.
    pub iterations: usize,
    /// Factor of the attraction in the first quarter of the steps, and in the first 250 at most.
    pub exaggeration: f64,
    /// Scaling of the features beforehand.
    pub normalize: Normalize,
    /// Number of principal components in which distances are computed; 0 uses all columns.
    pub pca: usize,
    /// Seed of the search for principal components, and of a little noise in the initial map.
    pub seed: u64,
}

impl Default for Tsne {
    fn default() -> Self {
        let normalize = Normalize::default();
        Self { perplexity: 30.0, iterations: 1000, exaggeration: 12.0, normalize, pca: 50, seed: 0 }
    }
}
