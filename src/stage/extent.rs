//! How far a training runs, so that one with more epochs can continue where one with fewer ended.

/// How far a stage trains, and which of its parameters decide that.
///
/// Stages that differ only in the `free` parameters are on one trajectory: a state that one of them saved can be used
/// by the others, at the same epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Parameters that change how long training runs or which epochs are kept, but not the weights at a given step.
    /// `epochs` is not among them if the learning rate depends on it, as in a schedule that falls to zero over all
    /// epochs.
    pub free: Vec<&'static str>,
    /// The epoch to reach.
    pub epochs: u64,
    /// Whether a training with more epochs continues where one with fewer ended.
    pub extends: bool,
    /// Earlier epochs whose states are outputs as well, as `PORT@EPOCH`.
    pub keep: Vec<u64>,
}
