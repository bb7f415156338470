//! An epoch of SimCLR with everything that belongs to it, against the same number of steps without augmentation.

use std::time::Instant;

use candle_core::Device;
use strata::ml::{
    augment::Augment,
    data::shapes::{self, Shapes},
    loss::{Loss, LossKind},
    nn::{Architecture, Mode, Network},
    optim::{Optim, Optimizer, OptimizerKind},
    rng::Stream,
    schedule::Schedule,
    train::{Contrastive, Latest, Observer, Run, Settings, train},
};

use super::{Failure, encoder, median};

/// Epochs of each kind, in turn.
const EPOCHS: usize = 3;

/// Who watches nothing.
struct Nobody;
impl Observer for Nobody {}

/// Prints median seconds of an epoch of `steps` steps, augmented and not.
pub(crate) fn measure(network: &str, batch: usize, steps: usize) -> Result<(), Failure> {
    let (images, _) = shapes::generate(&Shapes { train: batch * steps, test: 10, size: 32, seed: 0 });
    let order = Stream::new(0, "bench/order").permutation(batch * steps);
    let encoder = encoder(network)?.resolved([32, 32]);
    let (network, params) =
        Architecture::Contrastive { colours: 3, encoder, head: vec![256, 128, 50] }.build(0, &Device::Cpu)?;
    let Network::Encoder { encoder, head } = &network else { unreachable!("built from an encoder") };
    let (augment, stream) = (Augment::default(), Stream::new(0, "bench/augment"));
    let indices = |_: usize, step: usize| order[step * batch..(step + 1) * batch].to_vec();
    let fixed = augment.views(2, &images, &indices(0, 0), &stream, &Device::Cpu)?;
    let sgd = Optimizer { kind: OptimizerKind::Sgd, lr: 0.01, momentum: 0.0, ..Optimizer::default() };
    let mut run = Run::new(params.clone(), Optim::new(&sgd, params.parameters())?);
    let mut seconds = [Vec::new(), Vec::new()];
    for epoch in 0..2 * EPOCHS {
        let augmented = epoch % 2 == 1;
        let views = |indices: &[u32], _: usize, step: usize| {
            if !augmented {
                return Ok(fixed.clone());
            }
            augment.views(2, &images, indices, &stream.at((epoch * steps + step) as u64), &Device::Cpu)
        };
        let mut task = Contrastive {
            encoder,
            head,
            mode: Mode::Train,
            loss: Loss { temperature: 0.1, ..Loss::new(LossKind::NtXent) },
            indices: &indices,
            views: &views,
            labels: None,
            steps,
            split_views: false,
            chunk: 0,
            monitor: None,
            latest: Latest::default(),
        };
        let settings = Settings { epochs: epoch + 1, steps: None, schedule: Schedule::constant(), patience: 0 };
        let start = Instant::now();
        train(&mut task, &mut run, &settings, &mut Nobody)?;
        seconds[usize::from(augmented)].push(start.elapsed().as_secs_f64());
    }
    let [plain, augmented] = seconds.map(median);
    println!(
        "{steps} steps: {plain:.3} s alone, {augmented:.3} s with augmentation ({:+.1} %)",
        100.0 * (augmented / plain - 1.0)
    );
    Ok(())
}
