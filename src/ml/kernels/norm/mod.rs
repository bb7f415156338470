//! Batch normalisation on slices. Read `channel` (one pass over a slice), then `normalise` (whole buffers).

pub(crate) mod channel;
#[cfg(test)]
mod channel_test;
pub(crate) mod normalise;
