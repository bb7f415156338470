//! Networks, losses and optimisers against PyTorch: numbers in `tests/reference/nn.safetensors`, made by the program
//! beside it in double precision.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};
use strata::ml::{
    init::Params,
    kernels::{Activation, BnParams, ConvParams, Geometry, Norm},
    loss::{self, PseudoLabels},
    nn::{Architecture, Encoder, EncoderKind, Mode, Network, Padding, Stem},
    optim::{Optim, Optimizer, OptimizerKind},
    schedule::{Schedule, ScheduleKind},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Reference(HashMap<String, Tensor>);

impl Reference {
    fn load() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/nn.safetensors");
        Self(candle_core::safetensors::load(path, &Device::Cpu).expect("the reference numbers are there"))
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no reference {name}"))
    }

    fn var(&self, name: &str) -> Var {
        Var::from_tensor(self.get(name)).expect("a variable")
    }

    fn usizes(&self, name: &str) -> Vec<usize> {
        self.get(name).to_vec1::<f32>().expect("numbers").iter().map(|&v| v as usize).collect()
    }

    /// The largest difference is within `tolerance` of the reference's largest value.
    fn assert(&self, name: &str, got: &Tensor, tolerance: f64) {
        let want = self.get(name);
        let got = if want.elem_count() == 1 { got.reshape(want.dims()).expect("one number") } else { got.clone() };
        assert_eq!(got.dims(), want.dims(), "{name}");
        let list = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
        let (got, want) = (list(&got), list(want));
        let scale = want.iter().fold(1e-6f64, |max, v| max.max(f64::from(v.abs())));
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            let error = f64::from((g - w).abs()) / scale;
            assert!(error <= tolerance, "{name}[{i}] is {g}, not {w}: {error:.2e} of the largest value");
        }
    }
}

/// The program's `noise`: numbers in [0, 1) fixed by name and position.
fn noise(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed = name.bytes().zip(1..).map(|(byte, i)| usize::from(byte) * i).sum::<usize>() % 1000;
    (0..count).map(move |k| ((k as f64 * 12.9898 + seed as f64 * 78.233).sin() * 43758.5453).rem_euclid(1.0))
}

/// Noise of the program's shape `[N, C, H, W]`, as `[N, H, W, C]`.
fn images([n, c, h, w]: [usize; 4], values: impl Iterator<Item = f64>) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = values.map(|v| v as f32).collect();
    Tensor::from_vec(values, (n, c, h, w), &Device::Cpu)?.permute((0, 2, 3, 1))?.contiguous()
}

fn centred(name: &str, shape: &[usize]) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = noise(name, shape.iter().product()).map(|u| ((u - 0.5) * 2.0) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Sets every weight as the program does.
fn fill(params: &Params) -> Outcome {
    for (name, var) in params.parameters().iter().chain(params.buffers()) {
        let shape = var.dims();
        let bound = (6.0 / shape.iter().skip(1).product::<usize>() as f64).sqrt();
        let scaled = |u: f64| match shape.len() {
            2.. => (u - 0.5) * 2.0 * bound,
            _ if name.ends_with("weight") || name.ends_with("running_var") => 0.5 + u,
            _ => (u - 0.5) * 0.4,
        };
        let values: Vec<f32> = noise(name, var.elem_count()).map(|u| scaled(u) as f32).collect();
        var.set(&Tensor::from_vec(values, shape, &Device::Cpu)?)?;
    }
    Ok(())
}

fn parts(network: &Network) -> (&strata::ml::nn::ResNet, &strata::ml::nn::Head) {
    match network {
        Network::Encoder { encoder, head } => (encoder, head),
        Network::Autoencoder(_) => panic!("an encoder was asked for"),
    }
}

#[test]
fn contrastive_losses_and_their_gradients() -> Outcome {
    let reference = Reference::load();
    let z = reference.var("loss/z");
    let mask = PseudoLabels::certain(vec![0, 1, 0, 2, 2, 3, 0, 1]);
    for (name, value) in [
        ("nt_xent_0.1", loss::nt_xent(&z, 0.1, None)?),
        ("nt_xent_0.5", loss::nt_xent(&z, 0.5, None)?),
        ("masked", loss::nt_xent(&z, 0.5, Some(&mask))?),
        ("dcl", loss::dcl(&z, 0.2, None)?),
        ("debiased", loss::debiased(&z, 0.5, 0.05, None)?),
        ("debiased_floor", loss::debiased(&z, 0.5, 0.4, None)?),
    ] {
        reference.assert(&format!("loss/{name}"), &value, 1e-5);
        let gradients = value.backward()?;
        reference.assert(&format!("loss/{name}/gradient"), gradients.get(&z).expect("depends on z"), 1e-5);
    }
    let measures = loss::measure(&z, 2)?;
    reference.assert("loss/alignment", &Tensor::new(measures.alignment as f32, &Device::Cpu)?, 1e-5);
    reference.assert("loss/uniformity", &Tensor::new(measures.uniformity as f32, &Device::Cpu)?, 1e-5);
    Ok(())
}

#[test]
fn batch_normalisation() -> Outcome {
    let reference = Reference::load();
    let values = |name: &str, offset: f64| -> Vec<f32> { noise(name, 3).map(|u| (offset + u) as f32).collect() };
    let gamma = Var::from_vec(values("gamma", 0.5), 3, &Device::Cpu)?;
    let beta = Var::from_tensor(&centred("beta", &[3])?)?;
    let batch_norm = |x: &Tensor, norm: Norm, relu: bool| -> strata::ml::Result<_> {
        let (y, stats) =
            Activation::new(x)?.batch_norm(BnParams { gamma: &gamma, beta: &beta, eps: 1e-3, norm }, relu)?;
        Ok((y.into_tensor()?, stats))
    };
    let (mut mean, mut var) = (Tensor::zeros(3, DType::F32, &Device::Cpu)?, Tensor::ones(3, DType::F32, &Device::Cpu)?);
    for step in 0..2 {
        let name = |key: &str| format!("bn/{step}/{key}");
        let x = reference.var(&name("x"));
        let (y, stats) = batch_norm(&x, Norm::Train, false)?;
        reference.assert(&name("y"), &y, 1e-5);
        let gradients = (y * reference.get(&name("up")))?.sum_all()?.backward()?;
        reference.assert(&name("x_gradient"), gradients.get(&x).expect("x"), 1e-5);
        reference.assert(&name("gamma_gradient"), gradients.get(&gamma).expect("gamma"), 1e-5);
        reference.assert(&name("beta_gradient"), gradients.get(&beta).expect("beta"), 1e-5);
        let stats = stats.expect("training gives statistics");
        mean = ((mean * 0.9)? + (stats.mean * 0.1)?)?;
        var = ((var * 0.9)? + (stats.var * (0.1 * 40.0 / 39.0))?)?;
        reference.assert(&name("mean"), &mean, 1e-5);
        reference.assert(&name("var"), &var, 1e-5);
    }
    let norm = Norm::Eval { mean: &mean, var: &var };
    let (y, stats) = batch_norm(reference.get("bn/0/x"), norm, false)?;
    reference.assert("bn/eval", &y, 1e-5);
    assert!(stats.is_none());
    let (rectified, _) = batch_norm(reference.get("bn/0/x"), norm, true)?;
    assert_eq!(rectified.flatten_all()?.to_vec1::<f32>()?, y.relu()?.flatten_all()?.to_vec1::<f32>()?);
    Ok(())
}

#[test]
fn convolutions_of_any_stride_and_padding() -> Outcome {
    let reference = Reference::load();
    for index in 0..8 {
        let name = |key: &str| format!("conv/{index}/{key}");
        let g = reference.usizes(&name("geometry"));
        let geometry = Geometry { kernel: g[0], stride: g[1], padding: [g[2], g[3], g[4], g[5]] };
        let (x, w, b) = (reference.var(&name("x")), reference.var(&name("w")), reference.var(&name("b")));
        let y = Activation::new(&x)?.conv2d(ConvParams { weight: &w, bias: Some(&b), geometry })?.into_tensor()?;
        reference.assert(&name("y"), &y, 1e-5);
        let gradients = (y * reference.get(&name("up")))?.sum_all()?.backward()?;
        for (key, var) in [("x_gradient", &x), ("w_gradient", &w), ("b_gradient", &b)] {
            reference.assert(&name(key), gradients.get(var).expect(key), 1e-5);
        }
    }
    Ok(())
}

#[test]
fn max_pooling_sends_the_gradient_to_the_first_maximum() -> Outcome {
    let reference = Reference::load();
    for index in 0..2 {
        let name = |key: &str| format!("pool/{index}/{key}");
        let g = reference.usizes(&name("geometry"));
        let x = reference.var(&name("x"));
        let y = Activation::new(&x)?.max_pool2d(g[0], g[1], g[2])?.into_tensor()?;
        reference.assert(&name("y"), &y, 1e-6);
        let gradients = (y * reference.get(&name("up")))?.sum_all()?.backward()?;
        reference.assert(&name("x_gradient"), gradients.get(&x).expect("x"), 1e-5);
    }
    Ok(())
}

#[test]
fn optimisers() -> Outcome {
    let reference = Reference::load();
    let sgd = Optimizer { kind: OptimizerKind::Sgd, lr: 0.1, exclude_bias_and_norm: false, ..Optimizer::default() };
    let momentum = Optimizer { weight_decay: 5e-2, ..sgd.clone() };
    let adam = Optimizer { kind: OptimizerKind::Adam, lr: 0.01, ..sgd.clone() };
    for (name, table) in [
        ("sgd", Optimizer { momentum: 0.0, ..sgd }),
        ("sgd_momentum", momentum.clone()),
        ("sgd_nesterov", Optimizer { nesterov: true, ..momentum }),
        ("adam", adam.clone()),
        ("adam_decay", Optimizer { beta1: 0.8, beta2: 0.99, eps: 1e-6, weight_decay: 5e-2, ..adam.clone() }),
        ("adamw", Optimizer { kind: OptimizerKind::Adamw, weight_decay: 0.5, ..adam }),
    ] {
        let (a, b) = (Var::from_tensor(&centred("a", &[3, 4])?)?, Var::from_tensor(&centred("b", &[4])?)?);
        let mut optim = Optim::new(&table, &[("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())])?;
        for step in 0..5 {
            let (ga, gb) = (centred(&format!("ga{step}"), &[3, 4])?, centred(&format!("gb{step}"), &[4])?);
            let loss = ((a.as_tensor() * ga)?.sum_all()? + (b.as_tensor() * gb)?.sum_all()?)?;
            optim.step(&mut loss.backward()?, 1.0)?;
        }
        reference.assert(&format!("optim/{name}/a"), &a, 1e-6);
        reference.assert(&format!("optim/{name}/b"), &b, 1e-6);
    }
    Ok(())
}

#[test]
fn cosine_schedules() {
    let reference = Reference::load();
    let cosine = Schedule { final_fraction: 0.1, ..Schedule::default() };
    let restarts = Schedule { kind: ScheduleKind::CosineRestarts, steps: 7, ..Schedule::default() };
    for (name, schedule, steps) in [("cosine", cosine, 40), ("restarts", restarts, 60)] {
        let factors: Vec<f32> = (0..steps).map(|step| schedule.factor(step, 10, 40) as f32).collect();
        let factors = Tensor::new(factors, &Device::Cpu).expect("a tensor");
        reference.assert(&format!("schedule/{name}"), &factors, 1e-6);
    }
}

#[test]
fn encoders_forward() -> Outcome {
    let reference = Reference::load();
    let encoder = |kind, n, width, stem| Encoder { kind, n, width, stem, ..Encoder::default() };
    let same = Encoder { padding: Padding::Same, ..encoder(EncoderKind::Resnet, 1, 0.25, Stem::Small) };
    for (name, encoder, size) in [
        ("symmetric", encoder(EncoderKind::Resnet, 2, 0.25, Stem::Small), 12),
        ("same", same, 12),
        ("resnet18_small", encoder(EncoderKind::Resnet18, 1, 0.125, Stem::Small), 16),
        ("resnet18_large", encoder(EncoderKind::Resnet18, 1, 0.125, Stem::Large), 45),
        ("resnet50", encoder(EncoderKind::Resnet50, 1, 0.0625, Stem::Small), 16),
        ("resnet50_keras", encoder(EncoderKind::Resnet50Keras, 1, 0.0625, Stem::Large), 64),
        ("final_norm", Encoder { final_norm: true, ..encoder(EncoderKind::Resnet, 1, 0.25, Stem::Small) }, 12),
    ] {
        let (network, params) =
            Architecture::Contrastive { colours: 3, encoder, head: vec![] }.build(0, &Device::Cpu)?;
        fill(&params)?;
        let images = images([3, 3, size, size], noise("images", 9 * size * size))?;
        for mode in [Mode::Infer, Mode::Frozen] {
            reference.assert(&format!("encoder/{name}"), &parts(&network).0.forward(&images, mode)?, 1e-4);
        }
    }
    Ok(())
}

/// Forward, loss, backward, update, running statistics: every weight behind one step.
#[test]
fn one_training_step_of_the_reference_encoder() -> Outcome {
    let reference = Reference::load();
    let encoder = Encoder { n: 1, width: 0.25, ..Encoder::default() }.resolved([12, 12]);
    let architecture = Architecture::Contrastive { colours: 3, encoder, head: vec![32, 16, 8] };
    let (network, params) = architecture.build(0, &Device::Cpu)?;
    fill(&params)?;
    let before = params.to_tensors()?;
    let (encoder, head) = parts(&network);
    let images = images([16, 3, 12, 12], noise("images", 16 * 3 * 144))?;
    let features = encoder.forward(&images, Mode::Train)?;
    let z = head.forward(&features, Mode::Train)?.pop().expect("a projection");
    reference.assert("step/z", &z, 1e-4);
    let loss = loss::nt_xent(&z, 0.5, None)?;
    reference.assert("step/loss", &loss, 1e-4);
    let table = Optimizer { kind: OptimizerKind::Sgd, lr: 0.1, weight_decay: 5e-4, ..Optimizer::default() };
    let table = Optimizer { exclude_bias_and_norm: false, ..table };
    let mut optim = Optim::new(&table, params.parameters())?;
    optim.step(&mut loss.backward()?, 1.0)?;
    let mut unmoved = Vec::new();
    for (name, after) in params.to_tensors()? {
        reference.assert(&format!("step/after/{name}"), &after, 1e-4);
        let difference = (after - &before[&name])?.abs()?.max_all()?.to_scalar::<f32>()?;
        if difference < 1e-5 {
            unmoved.push(name);
        }
    }
    // Batch normalisation takes the mean out again, so a bias before it has no gradient.
    assert_eq!(unmoved.len(), 10, "{unmoved:?}");
    assert!(unmoved.iter().all(|name| name.contains(".conv") && name.ends_with(".bias")), "{unmoved:?}");
    Ok(())
}

#[test]
fn autoencoder_forward_and_backward() -> Outcome {
    let reference = Reference::load();
    let architecture = Architecture::Autoencoder { colours: 3, channels: vec![4, 6], kernel: 3, bn_momentum: 0.1 };
    let (network, params) = architecture.build(0, &Device::Cpu)?;
    fill(&params)?;
    let Network::Autoencoder(autoencoder) = &network else { panic!("an autoencoder was asked for") };
    let images = images([4, 3, 8, 8], noise("images", 4 * 3 * 64))?;
    let output = autoencoder.forward(&images, Mode::Train)?;
    reference.assert("autoencoder/output", &output, 1e-5);
    let loss = loss::mse(&output, &images)?;
    reference.assert("autoencoder/loss", &loss, 1e-5);
    let gradients = loss.backward()?;
    for (key, name) in [("first", "down1.conv.weight"), ("last", "out.weight")] {
        let (_, var) = params.parameters().iter().find(|(n, _)| n == name).expect(name);
        reference.assert(&format!("autoencoder/{key}"), gradients.get(var).expect(key), 1e-4);
    }
    Ok(())
}
