//! Training on the kernels against training on candle's own operations.

use candle_core::{Device, Tensor};

use super::{Architecture, Encoder, Mode, Network};
use crate::ml::{
    Result,
    kernels::Activation,
    loss,
    optim::{Optim, Optimizer, OptimizerKind},
    rng::Stream,
};

const STEPS: usize = 50;

/// The losses of SimCLR steps on a small encoder of the reference's kind. `input` chooses the implementation.
fn curve(input: impl Fn(&Tensor) -> Result<Activation>) -> Result<Vec<f32>> {
    let encoder = Encoder { n: 1, width: 0.25, ..Encoder::default() };
    let architecture = Architecture::Contrastive { colours: 3, encoder, head: vec![] };
    let (network, params) = architecture.build(3, &Device::Cpu)?;
    let Network::Encoder { encoder, .. } = network else { panic!("an encoder") };
    // With a larger rate, even a change of 1e-6 in the images grows beyond 1e-3, since values cross the zero of a ReLU.
    let table = Optimizer { kind: OptimizerKind::Sgd, lr: 0.002, momentum: 0.0, ..Optimizer::default() };
    let mut optimizer = Optim::new(&table, params.parameters())?;
    let mut losses = Vec::new();
    let mut stream = Stream::new(0, "loss curve");
    let views: Vec<f32> = (0..16 * 12 * 12 * 3).map(|_| stream.normal()).collect();
    let views = Tensor::from_vec(views, (16, 12, 12, 3), &Device::Cpu)?;
    for _ in 0..STEPS {
        let features = encoder.features_of(&input(&views)?, Mode::Train)?.into_tensor()?;
        let loss = loss::nt_xent(&features, 0.1, None)?;
        optimizer.step(&mut loss.backward()?, 1.0)?;
        losses.push(loss.to_scalar::<f32>()?);
    }
    Ok(losses)
}

#[test]
fn fifty_steps_have_the_losses_of_candles_operations() -> Result<()> {
    let kernels = curve(Activation::new)?;
    let candle = curve(|views| Ok(Activation::by_candle(views)))?;
    for (step, (kernels, candle)) in kernels.iter().zip(&candle).enumerate() {
        assert!((kernels - candle).abs() < 1e-3, "step {step}: {kernels} instead of {candle}");
    }
    // A constant curve would prove nothing about the updates.
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    assert!((mean(&kernels[..5]) - mean(&kernels[STEPS - 5..])).abs() > 0.2, "{kernels:?}");
    Ok(())
}
