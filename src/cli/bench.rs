//! `strata bench step`: measure a training step on this machine.

use std::{process::ExitCode, time::Instant};

use candle_core::{Device, Tensor};
use clap::Subcommand;
use serde::Serialize;

use super::{
    Console, Failure,
    args::{TextOrJson, at_least_one},
};
use crate::ml::{
    self,
    augment::Augment,
    data::{
        ImageSet,
        shapes::{self, Shapes},
    },
    loss::{Loss, LossKind},
    nn::{Architecture, Encoder, EncoderKind, Mode, Network},
    optim::{Optim, Optimizer, OptimizerKind},
    rng::Stream,
    schedule::Schedule,
    train::{Contrastive, Latest, Observer, Progress, Run, Settings, train},
};

/// Warm-up steps, left out of the median: they fill caches and buffers.
const WARM_UP: usize = 2;

/// Measure this machine
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Time SimCLR steps: forward, backward and update, with NT-Xent and SGD
    Step(Step),
}

#[derive(clap::Args)]
struct Step {
    /// The encoder: `resnet`, `resnet18`, `resnet50` or `resnet50_keras`
    #[arg(long, value_name = "KIND", default_value = "resnet", value_parser = encoder)]
    encoder: EncoderKind,
    /// Blocks in each group of `resnet`
    #[arg(long, default_value_t = 4)]
    n: usize,
    /// Factor on every channel count
    #[arg(long, default_value_t = 1.0)]
    width: f64,
    /// Images in a batch; each gives two views
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Images in one forward pass, while the gradient is that of the whole batch; 0 means all of them
    #[arg(long, value_name = "IMAGES", default_value_t = 0)]
    chunk: usize,
    /// Width and height of the images, in pixels
    #[arg(long, default_value_t = 32)]
    size: usize,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Steps to measure, after two warm-up steps
    #[arg(long, default_value_t = 8)]
    steps: usize,
    /// Make the random views as well, as in training
    #[arg(long)]
    augment: bool,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: TextOrJson,
}

#[derive(Serialize)]
struct Answer {
    seconds_per_step: f64,
    views_per_second: f64,
    threads: usize,
    batch: usize,
    encoder: EncoderKind,
    parameters: usize,
}

impl Args {
    /// Measures and prints.
    pub(super) fn execute(&self, console: &Console) -> Result<ExitCode, Failure> {
        let Verb::Step(step) = &self.verb;
        let threads = step.threads.unwrap_or_else(crate::threads::cores);
        let refused = |error: &dyn std::fmt::Display| Failure::Failed(format!("failed to measure a step: {error}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| refused(&error))?;
        let (mut seconds, parameters) = pool.install(|| step.times()).map_err(|error| refused(&error))?;
        seconds.sort_by(f64::total_cmp);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN);
        let answer = Answer {
            seconds_per_step: median,
            views_per_second: 2.0 * step.batch as f64 / median,
            threads,
            batch: step.batch,
            encoder: step.encoder,
            parameters,
        };
        match step.output {
            TextOrJson::Json => console.json(&answer)?,
            TextOrJson::Text => console.print(&format!(
                "{:.4} s/step, {:.1} views/s ({} threads, batch {}, {} parameters)\n",
                answer.seconds_per_step, answer.views_per_second, threads, step.batch, parameters
            ))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Step {
    /// Seconds of each counted step, and the number of parameters.
    fn times(&self) -> ml::Result<(Vec<f64>, usize)> {
        let (device, size) = (Device::Cpu, [self.size, self.size]);
        let encoder = Encoder { kind: self.encoder, n: self.n, width: self.width, ..Encoder::default() };
        if let Err((field, message)) = encoder.check() {
            return Err(ml::Error::Invalid(format!("--{field} {message}")));
        }
        let encoder = encoder.resolved(size);
        let architecture = Architecture::Contrastive { colours: 3, encoder, head: vec![256, 128, 50] };
        let (network, params) = architecture.build(0, &device)?;
        let Network::Encoder { encoder, head } = &network else { unreachable!("built from an encoder") };
        let images = self.images();
        let all: Vec<u32> = (0..self.batch as u32).collect();
        let stream = Stream::new(0, "bench/step");
        let augment = Augment::default();
        let views = |step: usize| augment.views(2, &images, &all, &stream.at(step as u64), &device);
        let fixed: Tensor = views(0)?;
        let mut task = Contrastive {
            encoder,
            head,
            mode: Mode::Train,
            loss: Loss { temperature: 0.1, ..Loss::new(LossKind::NtXent) },
            indices: &|_, _| all.clone(),
            views: &|_, _, step| if self.augment { views(step) } else { Ok(fixed.clone()) },
            labels: None,
            steps: WARM_UP + self.steps.max(1),
            split_views: false,
            chunk: self.chunk,
            monitor: None,
            latest: Latest::default(),
        };
        let sgd = Optimizer { kind: OptimizerKind::Sgd, lr: 0.01, momentum: 0.0, ..Optimizer::default() };
        let mut run = Run::new(params.clone(), Optim::new(&sgd, params.parameters())?);
        let settings = Settings { epochs: 1, steps: None, schedule: Schedule::constant(), patience: 0 };
        let mut clock = Clock { last: Instant::now(), seconds: Vec::new() };
        train(&mut task, &mut run, &settings, &mut clock)?;
        Ok((clock.seconds.split_off(WARM_UP), params.total()))
    }

    fn images(&self) -> ImageSet {
        let (images, _) = shapes::generate(&Shapes { train: self.batch, test: 10, size: self.size, seed: 0 });
        images
    }
}

/// Records how long each step took.
struct Clock {
    last: Instant,
    seconds: Vec<f64>,
}

impl Observer for Clock {
    fn step(&mut self, _: &Progress) {
        let now = Instant::now();
        self.seconds.push((now - self.last).as_secs_f64());
        self.last = now;
    }
}

fn encoder(text: &str) -> Result<EncoderKind, String> {
    let kind = serde_json::from_value(serde_json::Value::String(text.to_owned()));
    kind.map_err(|_| "encoders are `resnet`, `resnet18`, `resnet50` and `resnet50_keras`".to_owned())
}
