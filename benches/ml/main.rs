//! What training costs on this machine. `cargo bench --bench ml -- WHAT [network] [batch] [threads] [steps]`
//!
//! WHAT is `step` (whole steps), `layers` (each layer of a network, forward and backward) or `epoch` (an epoch of SimCLR
//! with augmentation against its steps alone). Networks are `resnet` (n = 4), `resnet18` and, for steps, `dae`. A batch of B
//! is 2B images of 3x32x32: two views of B.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

#[path = "../../src/allocator.rs"]
mod allocator;
mod epoch;
mod layers;
mod step;

use strata::ml::nn::{Encoder, EncoderKind};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    allocator::prepare();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let word = |index: usize, default: &'static str| arguments.get(index).map_or(default, String::as_str);
    let number =
        |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |argument| argument.parse::<usize>());
    let (what, network) = (word(0, "step"), word(1, "resnet"));
    let (batch, threads, steps) = (number(2, 64)?, number(3, 2)?, number(4, 8)?.max(1));
    println!("strata {what}  {network}  batch {batch}  threads {threads}");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| match what {
        "step" => step::measure(network, batch, steps),
        "layers" => layers::measure(network, batch, steps),
        "epoch" => epoch::measure(network, batch, steps),
        other => Err(format!("{other}: not one of step, layers, epoch").into()),
    })
}

fn encoder(network: &str) -> Result<Encoder, Failure> {
    let kind = match network {
        "resnet" => EncoderKind::Resnet,
        "resnet18" => EncoderKind::Resnet18,
        other => return Err(format!("{other}: not one of resnet, resnet18").into()),
    };
    Ok(Encoder { kind, ..Encoder::default() })
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
