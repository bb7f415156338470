//! What several kinds share. `checks` (parameters, metrics), `idle` (parameters without effect), `images` and `level` (what
//! comes in), `network` (weights as artifacts) and `start` (weights to start from), `session` (training that is saved and
//! resumed), `classifier`, `held_out`, `tested` and `mistakes` (everything that
//! classifies).

pub(in crate::stages) mod checks;
pub(in crate::stages) mod classifier;
pub(in crate::stages) mod held_out;
pub(in crate::stages) mod idle;
pub(in crate::stages) mod images;
pub(in crate::stages) mod level;
pub(in crate::stages) mod mistakes;
pub(in crate::stages) mod network;
pub(in crate::stages) mod session;
pub(in crate::stages) mod start;
pub(in crate::stages) mod tested;
