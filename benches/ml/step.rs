//! Whole steps: forward, backward and update.

use std::time::Instant;

use candle_core::{Device, Tensor};
use strata::ml::{
    loss,
    nn::{Architecture, Mode, Network},
    optim::{Optim, Optimizer, OptimizerKind},
    rng::Stream,
};

use super::{Failure, encoder, median};

/// Prints the median seconds of a step and of its three parts, after two steps to warm up.
pub(crate) fn measure(network: &str, batch: usize, steps: usize) -> Result<(), Failure> {
    let architecture = if network == "dae" {
        Architecture::Autoencoder { colours: 3, channels: vec![32, 64, 128], kernel: 3, bn_momentum: 0.1 }
    } else {
        Architecture::Contrastive { colours: 3, encoder: encoder(network)?, head: vec![256, 128, 50] }
    };
    let (network, params) = architecture.build(0, &Device::Cpu)?;
    let table = Optimizer { kind: OptimizerKind::Sgd, ..Optimizer::default() };
    let mut optimizer = Optim::new(&table, params.parameters())?;
    let mut stream = Stream::new(0, "bench");
    let images: Vec<f32> = (0..2 * batch * 32 * 32 * 3).map(|_| stream.normal()).collect();
    let images = Tensor::from_vec(images, (2 * batch, 32, 32, 3), &Device::Cpu)?;
    let mut parts = [const { Vec::new() }; 4];
    for _ in 0..steps + 2 {
        let start = Instant::now();
        let loss = match &network {
            Network::Autoencoder(network) => loss::mse(&network.forward(&images, Mode::Train)?, &images)?,
            Network::Encoder { encoder, head } => {
                let features = encoder.forward(&images, Mode::Train)?;
                let z = head.forward(&features, Mode::Train)?;
                loss::nt_xent(z.last().ok_or("a head has layers")?, 0.1, None)?
            }
        };
        let forward = start.elapsed();
        let mut gradients = loss.backward()?;
        let backward = start.elapsed() - forward;
        optimizer.step(&mut gradients, 1.0)?;
        let update = start.elapsed() - forward - backward;
        drop((loss, gradients));
        for (part, time) in parts.iter_mut().zip([start.elapsed(), forward, backward, update]) {
            part.push(time.as_secs_f64());
        }
    }
    let [whole, forward, backward, update] = parts.map(|part| median(part[2..].to_vec()));
    println!("{whole:.4} s/step (forward {forward:.4}, backward {backward:.4}, update {update:.4})");
    println!("{:.1} views/s", 2.0 * batch as f64 / whole);
    Ok(())
}
