//! Values between layers and their gradients. Read `activation`, then `source`, then `chain`.

pub(crate) mod activation;
mod chain;
pub(crate) mod source;
