//! Work that can be taken further: training for more epochs goes on where fewer ended.

/// How far a stage goes, and which of its parameters say so.
///
/// Stages that agree in everything but the `free` parameters are on one trajectory: a state saved by one is a state of
/// the others, at the same epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The parameters that do not change the way, only how far it goes or what is kept of it. `epochs` is not among
    /// them where the way depends on its end: a schedule that falls to zero over all epochs.
    pub free: &'static [&'static str],
    /// The epoch to reach.
    pub epochs: u64,
    /// True if more epochs continue where fewer ended.
    pub extends: bool,
    /// Earlier epochs whose states are outputs too, as `PORT@EPOCH`.
    pub keep: Vec<u64>,
}
