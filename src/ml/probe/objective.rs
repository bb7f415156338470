//! The loss of multinomial logistic regression and its gradient.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

/// Number of rows that are one product. The last bits of the result depend on it.
const CHUNK: usize = 1024;

/// Mean cross-entropy plus `l2 / 2` times the squared weights (not the biases).
pub(super) struct Objective<'a> {
    pub features: ArrayView2<'a, f32>,
    pub labels: &'a [u32],
    pub classes: usize,
    pub l2: f64,
}

/// Values at one point.
#[derive(Clone)]
pub(super) struct Value {
    /// Mean cross-entropy in nats.
    pub cross_entropy: f64,
    /// Mean cross-entropy with the penalty.
    pub cost: f64,
    /// Gradient of the cost.
    pub gradient: Vec<f64>,
}

impl Objective<'_> {
    /// Number of parameters: weights `[classes, D]`, then biases `[classes]`.
    pub(super) fn parameters(&self) -> usize {
        self.classes * (self.features.ncols() + 1)
    }

    /// Products are computed in single precision. Sums over chunks are in double precision, in the order of the chunks.
    pub(super) fn at(&self, parameters: &[f64]) -> Value {
        let width = self.features.ncols();
        let split = self.classes * width;
        let weight = Array2::from_shape_fn((self.classes, width), |(c, j)| parameters[c * width + j] as f32);
        let biases = &parameters[split..];
        let parts: Vec<(f64, Array2<f32>, Vec<f64>)> = self
            .features
            .axis_chunks_iter(Axis(0), CHUNK)
            .into_par_iter()
            .zip(self.labels.par_chunks(CHUNK))
            .map(|(chunk, labels)| {
                let mut residual = chunk.dot(&weight.t());
                let mut loss = 0.0;
                let mut bias_gradient = vec![0.0; self.classes];
                let mut logits = vec![0.0; self.classes];
                for (mut row, &label) in residual.rows_mut().into_iter().zip(labels) {
                    loss += softmax_minus_target(row.view(), biases, label, &mut logits);
                    for ((slot, &value), sum) in row.iter_mut().zip(&logits).zip(&mut bias_gradient) {
                        *slot = value as f32;
                        *sum += value;
                    }
                }
                (loss, residual.t().dot(&chunk), bias_gradient)
            })
            .collect();

        let n = self.labels.len() as f64;
        let mut loss = 0.0;
        let mut gradient = vec![0.0; parameters.len()];
        for (part, weight_gradient, bias_gradient) in parts {
            loss += part;
            let added = weight_gradient.iter().map(|&g| f64::from(g)).chain(bias_gradient);
            for (sum, g) in gradient.iter_mut().zip(added) {
                *sum += g / n;
            }
        }
        let mut penalty = 0.0;
        for (g, w) in gradient.iter_mut().zip(&parameters[..split]) {
            *g += self.l2 * w;
            penalty += w * w;
        }
        let cross_entropy = loss / n;
        Value { cross_entropy, cost: cross_entropy + self.l2 / 2.0 * penalty, gradient }
    }
}

/// Writes softmax(products + biases) minus the one-hot target into `out`; returns the cross-entropy.
fn softmax_minus_target(products: ArrayView1<'_, f32>, biases: &[f64], label: u32, out: &mut [f64]) -> f64 {
    let mut largest = f64::NEG_INFINITY;
    for ((slot, &product), bias) in out.iter_mut().zip(products).zip(biases) {
        *slot = f64::from(product) + bias;
        largest = largest.max(*slot);
    }
    let target = out[label as usize] - largest;
    let mut sum = 0.0;
    for slot in &mut *out {
        *slot = (*slot - largest).exp();
        sum += *slot;
    }
    for slot in &mut *out {
        *slot /= sum;
    }
    out[label as usize] -= 1.0;
    sum.ln() - target
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::rng::Stream;

    #[test]
    fn the_gradient_is_the_slope_of_the_cost() {
        let mut stream = Stream::new(0, "objective");
        let features = Array2::from_shape_simple_fn((1500, 4), || stream.normal());
        let labels: Vec<u32> = (0..1500).map(|_| stream.below(3) as u32).collect();
        let objective = Objective { features: features.view(), labels: &labels, classes: 3, l2: 0.1 };
        let point: Vec<f64> = (0..objective.parameters()).map(|_| f64::from(stream.normal())).collect();
        let value = objective.at(&point);
        for index in 0..point.len() {
            let moved = |by: f64| {
                let mut moved = point.clone();
                moved[index] += by;
                objective.at(&moved).cost
            };
            let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((slope - value.gradient[index]).abs() < 1e-4, "{index}: {slope} {}", value.gradient[index]);
        }
    }

    #[test]
    fn chance_costs_the_logarithm_of_the_number_of_classes() {
        let features = Array2::ones((10, 2));
        let objective = Objective { features: features.view(), labels: &[0; 10], classes: 4, l2: 1.0 };
        assert!((objective.at(&vec![0.0; objective.parameters()]).cost - 4.0_f64.ln()).abs() < 1e-12);
    }
}
