//! A loss and its gradient, with only a part of the similarities in memory.

use candle_core::{Tensor, Var};

use super::{Loss, PseudoLabels, Result};

/// Number of similarities in memory at a time: 16 MiB.
const CELLS: usize = 4 << 20;

impl Loss {
    /// The loss of projections `z` `[V B, D]` and its gradient with respect to them, `[V B, D]` without a graph. Rows
    /// are processed in blocks, so the memory grows with B and not with its square.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn with_gradient(&self, z: &Tensor, labels: Option<&PseudoLabels>) -> Result<(f64, Tensor)> {
        let views = self.views * self.images(z, labels)?;
        let z = Var::from_tensor(&z.detach())?;
        let (mut sum, mut count) = (0.0, 0.0);
        let mut gradient = z.zeros_like()?;
        let block = (CELLS / views).max(1);
        for start in (0..views).step_by(block) {
            let part = self.part(&z, start..(start + block).min(views), labels)?;
            sum += f64::from(part.sum.to_scalar::<f32>()?);
            count += part.count;
            if let Some(more) = part.sum.backward()?.remove(&z) {
                gradient = (gradient + more)?.detach();
            }
        }
        let count = count.max(1.0);
        Ok((sum / count, (gradient / count)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ml::{loss::LossKind, rng::Stream};

    /// 1,100 images have more similarities than one block.
    #[test]
    fn blocks_add_up_to_the_whole() -> Result<()> {
        let mut stream = Stream::new(1, "z");
        let z: Vec<f32> = (0..2200 * 4).map(|_| stream.normal()).collect();
        let z = Var::from_vec(z, (2200, 4), &Device::Cpu)?;
        let labels = PseudoLabels::certain((0..1100).map(|i| i % 7).collect());
        for kind in [LossKind::NtXent, LossKind::Dcl, LossKind::Debiased, LossKind::Hard, LossKind::Supcon] {
            let loss = Loss::new(kind);
            let whole = loss.of(&z, Some(&labels))?;
            let gradients = whole.backward()?;
            let expected = gradients.get(&z).expect("depends on z");
            let (value, gradient) = loss.with_gradient(&z, Some(&labels))?;
            assert!((value - f64::from(whole.to_scalar::<f32>()?)).abs() < 1e-5, "{kind:?}: {value} {whole}");
            let largest = |x: &Tensor| -> Result<f32> { Ok(x.abs()?.max_all()?.to_scalar()?) };
            let gap = largest(&(gradient - expected)?)? / largest(expected)?;
            assert!(gap < 1e-5, "{kind:?}: {gap}");
        }
        Ok(())
    }
}
