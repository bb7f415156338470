//! Losses, as free functions, and measures of a contrastive representation. Read `kind` and `pairs`, then `contrastive`
//! and `supcon`, then `gradient`.
//!
//! Contrastive losses take projections `z` `[2B, D]` of 2B views: rows `i` and `i + B` are the two views of one image,
//! each the other's positive; every other row is a negative, of weight 1 unless [`PseudoLabels`] say otherwise. Rows
//! are scaled to length one here. With `s_ij` the cosine of rows i and j over the temperature t, `w_ij` the weight, p
//! the positive of i, and `N = sum_neg w_ij`:
//!
//! - [`nt_xent`] (Chen et al. 2020): `-s_ip + log(e^s_ip + sum_neg w_ij e^s_ij)`
//! - [`dcl`] (Yeh et al. 2022): `-s_ip + log(sum_neg w_ij e^s_ij)`
//! - [`debiased`] (Chuang et al. 2020): `-log(e^s_ip / (e^s_ip + G))` with
//!   `G = max((sum_neg w_ij e^s_ij - prior N e^s_ip) / (1 - prior), N e^(-1/t))`
//! - [`hard`] (Robinson et al. 2021): the same, with near negatives counted more: the sum is replaced by
//!   `N sum_neg w_ij e^((1 + b) s_ij) / sum_neg w_ij e^(b s_ij)`, b the concentration
//! - [`supcon`] (Khosla et al. 2020, their `L_out`): every other view of the image's label is a positive:
//!   `-mean_pos(s_ip) + log(sum_others e^s_ij)`
//!
//! each averaged over the 2B rows. A row without negatives has loss and gradient 0. [`dcl`] would take the logarithm of
//! 0, so it leaves such a row out of the mean.
//!
//! A [`Loss`] of V views an image takes `[V B, D]`. A row then has V - 1 positives, and the first four losses are
//! averaged over them too, each positive by itself against the negatives of the row (Tian et al. 2020, all pairs of
//! views).

mod contrastive;
mod gradient;
mod kind;
mod labels;
mod measure;
mod pairs;
mod supcon;

use candle_core::Tensor;

use super::Result;

pub use contrastive::{dcl, debiased, hard, nt_xent, supcon};
pub use kind::{Loss, LossKind};
pub use labels::PseudoLabels;
pub use measure::{Measures, measure};
pub use pairs::normalize;

/// Mean squared error, a scalar.
///
/// # Errors
/// If the shapes differ.
pub fn mse(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    Ok((prediction - target)?.sqr()?.mean_all()?)
}

/// Mean cross-entropy of `logits` `[N, K]` against classes `target` u32 `[N]`, a scalar.
///
/// # Errors
/// If the shapes do not fit.
pub fn cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    Ok(candle_nn::loss::cross_entropy(logits, target)?)
}
