//! The largest experiments that are accepted. A larger one is a slip of the pen, and is refused before it takes memory.

/// Values of an axis.
pub(super) const MAX_VALUES: usize = 1_000_000;
/// Points of a search, or of axes that are tied together.
pub(super) const MAX_POINTS: usize = 1_000_000;
/// Rounds of a loop.
pub(super) const MAX_ROUNDS: usize = 1_000_000;
/// Nodes of a graph whose variants and loops are unrolled.
pub const MAX_NODES: usize = 1_000_000;
/// Instances of stages.
pub const MAX_INSTANCES: usize = 1_000_000;
/// Seeds of repeats.
pub(super) const MAX_SEEDS: u64 = 10_000;
