//! Figures of merit: of classifiers, of partitions, and of batches drawn by pseudo labels.

mod batch;
mod classification;
mod partition;

pub use batch::{
    distinct_clusters, expected_false_negative_rate, false_negative_rate, masked_false_negative_rate, same_cluster_rate,
};
pub use classification::{accuracy, confusion, wilson};
pub use partition::{adjusted_rand, cluster_size_cv, cluster_sizes, normalized_mutual_information, purity};
