//! Losses, as free functions, and the measures of a contrastive representation.
//!
//! Contrastive losses take projections `z` `[2B, D]` of 2B views: rows `i` and `i + B` are the two views of one image,
//! each the other's positive; every other row is a negative unless a mask says otherwise. Rows are scaled to length one
//! here. With `s_ij` the cosine of rows i and j over the temperature t, and p the positive of i:
//!
//! - [`nt_xent`] (Chen et al. 2020): `-s_ip + log(e^s_ip + sum_neg e^s_ij)`
//! - [`dcl`] (Yeh et al. 2022): `-s_ip + log(sum_neg e^s_ij)`
//! - [`debiased`] (Chuang et al. 2020): `-log(e^s_ip / (e^s_ip + G))` with
//!   `G = max((sum_neg e^s_ij - prior N e^s_ip) / (1 - prior), N e^(-1/t))` and N the number of negatives
//!
//! each averaged over the 2B rows.

mod measure;

use candle_core::{D, Device, Tensor};

use super::{Error, Result};

pub use measure::{Measures, measure};

/// Stands for minus infinity in logits: its exponential is zero, and it stays finite in gradients.
const MASKED: f32 = -1e9;

/// Which pairs of views are negatives when images with equal labels are not: f32 `[2B, 2B]`, 1 where labels differ.
///
/// # Errors
/// If the tensor cannot be made on the device.
pub fn negatives_by_label(labels: &[u32], device: &Device) -> Result<Tensor> {
    let views: Vec<u32> = [labels, labels].concat();
    let mask: Vec<f32> = views.iter().flat_map(|a| views.iter().map(move |b| f32::from(u8::from(a != b)))).collect();
    Ok(Tensor::from_vec(mask, (views.len(), views.len()), device)?)
}

/// Similarities of a batch of views and who is whose negative.
struct Pairs {
    /// Cosines over the temperature, `[2B, 2B]`.
    logits: Tensor,
    /// The positive's, `[2B]`.
    positive: Tensor,
    /// 1 for a negative, else 0, `[2B, 2B]`.
    negatives: Tensor,
}

impl Pairs {
    fn new(z: &Tensor, temperature: f64, mask: Option<&Tensor>) -> Result<Self> {
        let (views, _) = z.dims2()?;
        if views < 4 || views % 2 != 0 {
            return Err(Error::Invalid(format!(
                "a contrastive loss needs two views of two images or more, not {views}"
            )));
        }
        let half = views / 2;
        let z = normalize(z)?;
        let logits = (z.matmul(&z.t()?)? / temperature)?;
        let products = (z.narrow(0, 0, half)? * z.narrow(0, half, half)?)?.sum(D::Minus1)?;
        let positive = (Tensor::cat(&[&products, &products], 0)? / temperature)?;
        let others: Vec<f32> = (0..views * views)
            .map(|cell| f32::from(u8::from((cell / views) % half != (cell % views) % half)))
            .collect();
        let others = Tensor::from_vec(others, (views, views), z.device())?;
        let negatives = match mask {
            Some(mask) if mask.dims() != [views, views] => {
                return Err(Error::Invalid(format!("a mask of {:?} for {views} views", mask.dims())));
            }
            Some(mask) => (others * mask.detach())?,
            None => others,
        };
        Ok(Self { logits, positive, negatives })
    }

    /// Logits of the negatives, the rest masked.
    fn negative_logits(&self) -> Result<Tensor> {
        let bias = self.negatives.affine(f64::from(-MASKED), f64::from(MASKED))?;
        Ok((&self.logits + bias)?)
    }
}

/// Rows scaled to length one.
///
/// # Errors
/// If `z` is not of rank 2.
pub fn normalize(z: &Tensor) -> Result<Tensor> {
    let norm = (z.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    Ok(z.broadcast_div(&norm)?)
}

/// NT-Xent of `z` `[2B, D]`, a scalar. `mask` `[2B, 2B]` is 1 where a pair may be a negative.
///
/// # Errors
/// If the shapes do not fit.
pub fn nt_xent(z: &Tensor, temperature: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    let pairs = Pairs::new(z, temperature, mask)?;
    let positive = pairs.positive.unsqueeze(1)?;
    let all = Tensor::cat(&[&positive, &pairs.negative_logits()?], 1)?;
    Ok((log_sum_exp(&all)? - pairs.positive)?.mean_all()?)
}

/// The decoupled contrastive loss of `z` `[2B, D]`, a scalar; rows without negatives are left out.
///
/// # Errors
/// If the shapes do not fit.
pub fn dcl(z: &Tensor, temperature: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    let pairs = Pairs::new(z, temperature, mask)?;
    let rows = (log_sum_exp(&pairs.negative_logits()?)? - &pairs.positive)?;
    let counted = pairs.negatives.max(1)?;
    let count = f64::from(counted.sum_all()?.to_scalar::<f32>()?).max(1.0);
    Ok(((rows * counted)?.sum_all()? / count)?)
}

/// The debiased contrastive loss of `z` `[2B, D]`, a scalar. `prior` in [0, 1) is the chance that a negative is of the
/// same class.
///
/// # Errors
/// If the shapes do not fit.
pub fn debiased(z: &Tensor, temperature: f64, prior: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    let pairs = Pairs::new(z, temperature, mask)?;
    // Everything is scaled by e^(-1/t), so that no exponential exceeds 1.
    let positive = (&pairs.positive - 1.0 / temperature)?;
    let weight = positive.exp()?;
    let sum = (pairs.negative_logits()? - 1.0 / temperature)?.exp()?.sum(1)?;
    let count = pairs.negatives.sum(1)?;
    let unbiased = ((sum - ((&weight * &count)? * prior)?)? / (1.0 - prior))?;
    let floor = (count * (-2.0 / temperature).exp())?;
    let negatives = unbiased.maximum(&floor)?;
    Ok(((weight + negatives)?.log()? - positive)?.mean_all()?)
}

/// `log(sum(exp(x)))` of each row.
fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let max = x.detach().max_keepdim(1)?;
    Ok((x.broadcast_sub(&max)?.exp()?.sum(1)?.log()? + max.squeeze(1)?)?)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    /// All projections equal: every similarity is the same, so the positive is one of 2N - 1 equals.
    #[test]
    fn chance_is_the_logarithm_of_the_candidates() -> Result<()> {
        for half in [2usize, 8, 64] {
            let z = Tensor::ones((2 * half, 5), candle_core::DType::F32, &Device::Cpu)?;
            let loss = f64::from(nt_xent(&z, 0.1, None)?.to_scalar::<f32>()?);
            assert!((loss - ((2 * half - 1) as f64).ln()).abs() < 1e-5, "{loss} at {half}");
            let loss = f64::from(dcl(&z, 0.1, None)?.to_scalar::<f32>()?);
            assert!((loss - ((2 * half - 2) as f64).ln()).abs() < 1e-5, "{loss} at {half}");
        }
        Ok(())
    }

    #[test]
    fn a_prior_of_zero_is_no_debiasing() -> Result<()> {
        let z = Tensor::arange(0f32, 48.0, &Device::Cpu)?.sin()?.reshape((8, 6))?;
        let plain = nt_xent(&z, 0.5, None)?.to_scalar::<f32>()?;
        let debiased = debiased(&z, 0.5, 0.0, None)?.to_scalar::<f32>()?;
        assert!((plain - debiased).abs() < 1e-5, "{plain} {debiased}");
        Ok(())
    }

    /// Four images, two of one label: their views are no negatives of each other, and moving one does not move the other.
    #[test]
    fn masked_pairs_do_not_repel() -> Result<()> {
        let mask = negatives_by_label(&[7, 7, 3, 4], &Device::Cpu)?;
        let rows = mask.to_vec2::<f32>()?;
        assert_eq!(rows[0], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(rows[6], [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0]);
        let z = Tensor::arange(0f32, 24.0, &Device::Cpu)?.sin()?.reshape((8, 3))?;
        let ones = Tensor::ones((8, 8), candle_core::DType::F32, &Device::Cpu)?;
        let all = nt_xent(&z, 0.5, None)?.to_scalar::<f32>()?;
        assert_eq!(nt_xent(&z, 0.5, Some(&ones))?.to_scalar::<f32>()?, all);
        assert!(nt_xent(&z, 0.5, Some(&mask))?.to_scalar::<f32>()? < all);
        Ok(())
    }

    #[test]
    fn without_negatives_there_is_nothing_to_learn() -> Result<()> {
        let z = Var::from_tensor(&Tensor::arange(0f32, 12.0, &Device::Cpu)?.sin()?.reshape((4, 3))?)?;
        let mask = negatives_by_label(&[1, 1], &Device::Cpu)?;
        for loss in [nt_xent(&z, 0.5, Some(&mask))?, dcl(&z, 0.5, Some(&mask))?] {
            assert!(loss.to_scalar::<f32>()?.abs() < 1e-6);
            let gradients = loss.backward()?;
            let gradient = gradients.get(&z).expect("depends on z").flatten_all()?.to_vec1::<f32>()?;
            assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
        }
        Ok(())
    }
}
