//! Figures of merit: of classifiers, of partitions, of features, and of the pairs of batches.

mod batch;
mod classification;
mod negatives;
mod neighbourhood;
mod partition;
mod spread;

pub use batch::{
    distinct_clusters, expected_false_negative_rate, expected_negatives_rate, expected_rate_with_pairs, same_label_rate,
};
pub use classification::{accuracy, confusion, wilson};
pub use negatives::FalseNegatives;
pub use neighbourhood::trustworthiness;
pub use partition::{adjusted_rand, cluster_size_cv, cluster_sizes, normalized_mutual_information, purity};
pub use spread::{effective_rank, feature_std};
