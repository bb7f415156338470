//! Seconds of whole training steps. `cargo bench --bench ml -- [resnet|resnet18|dae] [batch] [threads] [steps]`

use std::time::Instant;

use candle_core::{Device, Tensor};
use strata::ml::{
    loss,
    nn::{Architecture, Encoder, EncoderKind, Mode, Network},
    optim::{Optim, Optimizer, OptimizerKind},
    rng::Stream,
};

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    strata::ml::kernels::keep_pages();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let number = |index: usize, default: usize| arguments.get(index).and_then(|a| a.parse().ok()).unwrap_or(default);
    let network = arguments.first().map_or("resnet", String::as_str);
    let (batch, threads, steps) = (number(1, 64), number(2, 2), number(3, 8));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let seconds = pool.install(|| step(network, batch, steps))?;
    let views = 2 * batch;
    println!(
        "strata {network}  batch {batch}  threads {threads}  {seconds:.4} s/step  {:.1} views/s",
        views as f64 / seconds
    );
    Ok(())
}

/// Median seconds of a step, after two to warm up.
fn step(network: &str, batch: usize, steps: usize) -> Result<f64, Failure> {
    let kind = if network == "resnet18" { EncoderKind::Resnet18 } else { EncoderKind::Resnet };
    let encoder = Encoder { kind, ..Encoder::default() };
    let architecture = if network == "dae" {
        Architecture::Autoencoder { colours: 3, channels: vec![32, 64, 128], kernel: 3 }
    } else {
        Architecture::Contrastive { colours: 3, encoder, head: vec![256, 128, 50] }
    };
    let (network, params) = architecture.build(0, &Device::Cpu)?;
    let table = Optimizer { kind: OptimizerKind::Sgd, ..Optimizer::default() };
    let mut optimizer = Optim::new(&table, params.parameters())?;
    let mut stream = Stream::new(0, "bench");
    let images: Vec<f32> = (0..2 * batch * 32 * 32 * 3).map(|_| stream.normal()).collect();
    let images = Tensor::from_vec(images, (2 * batch, 32, 32, 3), &Device::Cpu)?;
    let mut times = Vec::new();
    for _ in 0..steps {
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
        let backward = start.elapsed();
        optimizer.step(&mut gradients, 1.0)?;
        if std::env::var_os("STRATA_BENCH_PARTS").is_some() {
            println!(
                "forward {forward:?} backward {:?} update {:?} loss {}",
                backward - forward,
                start.elapsed() - backward,
                loss.to_scalar::<f32>()?
            );
        }
        drop((loss, gradients));
        times.push(start.elapsed().as_secs_f64());
    }
    let mut times = times.split_off(2.min(times.len() - 1));
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
