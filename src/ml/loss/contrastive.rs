//! The contrastive losses of a block of rows of similarities.

use std::ops::Range;

use candle_core::Tensor;

use super::{
    PseudoLabels,
    kind::{Loss, LossKind},
    pairs::{Pairs, log_sum_exp},
    supcon::rows as supcon_rows,
};
use crate::ml::Result;

/// The share of some rows in a loss, which is the sum of all `sum` divided by the sum of all `count`.
pub(super) struct Part {
    pub(super) sum: Tensor,
    pub(super) count: f64,
}

impl Loss {
    /// The loss of projections `z` `[V B, D]`, a scalar: row `i + v B` is view v of image i.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn of(&self, z: &Tensor, labels: Option<&PseudoLabels>) -> Result<Tensor> {
        let Part { sum, count } = self.part(z, 0..self.views * self.images(z, labels)?, labels)?;
        Ok((sum / count.max(1.0))?)
    }

    /// The share of the rows `rows`.
    pub(super) fn part(&self, z: &Tensor, rows: Range<usize>, labels: Option<&PseudoLabels>) -> Result<Part> {
        if self.kind == LossKind::Supcon {
            let count = rows.len() as f64;
            return Ok(Part { sum: supcon_rows(z, rows, self, labels)?.sum_all()?, count });
        }
        let pairs = Pairs::new(z, rows, self, labels)?;
        let mut parts = pairs.positives.iter().map(|positive| self.against(&pairs, positive));
        let first = parts.next().expect("two views have a positive")?;
        parts.try_fold(first, |all, part| {
            let part = part?;
            Ok(Part { sum: (all.sum + part.sum)?, count: all.count + part.count })
        })
    }

    /// The share of rows whose positives have the similarities `positive` `[R]`.
    fn against(&self, pairs: &Pairs, positive: &Tensor) -> Result<Part> {
        let mut count = positive.dim(0)? as f64;
        let losses = match self.kind {
            LossKind::NtXent | LossKind::Supcon => {
                let all = Tensor::cat(&[&positive.unsqueeze(1)?, &pairs.negative_logits(1.0)?], 1)?;
                (log_sum_exp(&all)? - positive)?
            }
            LossKind::Dcl => {
                count = f64::from(pairs.any.sum_all()?.to_scalar::<f32>()?);
                ((log_sum_exp(&pairs.negative_logits(1.0)?)? - positive)? * &pairs.any)?
            }
            LossKind::Debiased => self.corrected(pairs, positive, |pairs, scale| {
                Ok(pairs.negative_logits(1.0)?.broadcast_sub(&scale.unsqueeze(1)?)?.exp()?.sum(1)?)
            })?,
            LossKind::Hard => self.corrected(pairs, positive, |pairs, scale| {
                let tilted = log_sum_exp(&pairs.negative_logits(1.0 + self.concentration)?)?;
                let mean = (tilted - log_sum_exp(&pairs.negative_logits(self.concentration)?)?)?;
                Ok((((mean - scale)? * &pairs.any)?.exp()? * &pairs.count)?)
            })?,
        };
        Ok(Part { sum: losses.sum_all()?, count })
    }

    /// Losses of rows whose sum over the negatives is corrected for the expected share of false negatives. All
    /// exponentials are divided by that of the largest similarity of the row (its `scale`), so that at least one is 1.
    fn corrected(
        &self,
        pairs: &Pairs,
        positive: &Tensor,
        negatives: impl Fn(&Pairs, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let scale = pairs.negative_logits(1.0)?.max(1)?.maximum(positive)?.detach();
        let positive = (positive - &scale)?;
        let weight = positive.exp()?;
        let expected = ((&weight * &pairs.count)? * self.prior)?;
        let unbiased = ((negatives(pairs, &scale)? - expected)? / (1.0 - self.prior))?;
        let least = (scale.affine(-1.0, -1.0 / self.temperature)?.exp()? * &pairs.count)?;
        Ok(((weight + unbiased.maximum(&least)?)?.log()? - positive)?)
    }
}

/// NT-Xent of `z` `[2B, D]`, a scalar.
///
/// # Errors
/// If the shapes do not fit.
pub fn nt_xent(z: &Tensor, temperature: f64, labels: Option<&PseudoLabels>) -> Result<Tensor> {
    Loss { temperature, ..Loss::new(LossKind::NtXent) }.of(z, labels)
}

/// The decoupled contrastive loss of `z` `[2B, D]`, a scalar; rows without negatives are left out.
///
/// # Errors
/// If the shapes do not fit.
pub fn dcl(z: &Tensor, temperature: f64, labels: Option<&PseudoLabels>) -> Result<Tensor> {
    Loss { temperature, ..Loss::new(LossKind::Dcl) }.of(z, labels)
}

/// The debiased contrastive loss of `z` `[2B, D]`, a scalar. `prior` in [0, 1) is the chance that a negative is of the
/// same class.
///
/// # Errors
/// If the shapes do not fit.
pub fn debiased(z: &Tensor, temperature: f64, prior: f64, labels: Option<&PseudoLabels>) -> Result<Tensor> {
    Loss { temperature, prior, ..Loss::new(LossKind::Debiased) }.of(z, labels)
}

/// The debiased loss with hard negatives of `z` `[2B, D]`, a scalar. A `concentration` of 0 is [`debiased`].
///
/// # Errors
/// If the shapes do not fit.
pub fn hard(
    z: &Tensor,
    temperature: f64,
    prior: f64,
    concentration: f64,
    labels: Option<&PseudoLabels>,
) -> Result<Tensor> {
    Loss { temperature, prior, concentration, ..Loss::new(LossKind::Hard) }.of(z, labels)
}

/// SupCon (Khosla et al. 2020, `L_out`) of `z` `[2B, D]`, a scalar: minus the mean log-probability of all other views
/// of the row's label, among all other views. The row's own other view is always among them; without labels it is the
/// only one, which is NT-Xent.
///
/// # Errors
/// If the shapes do not fit.
pub fn supcon(z: &Tensor, temperature: f64, labels: Option<&PseudoLabels>) -> Result<Tensor> {
    Loss { temperature, ..Loss::new(LossKind::Supcon) }.of(z, labels)
}

#[cfg(test)]
mod tests;
