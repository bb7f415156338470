//! The stages that train or run a network, on a few generated images.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use candle_core::{Device, Tensor};
use half::f16;
use strata::{
    ml::data::{
        ImageSet,
        shapes::{Shapes, generate},
    },
    stage::{AnyStage, Context, Inputs, Note, Outputs, StageError},
    stages::registry,
    store::Artifact,
};

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

pub const ENCODER: &str = "encoder = { n = 1, width = 0.25 }\n";

/// What a stage gave, and what it told.
pub struct Ran {
    outputs: Outputs,
    notes: Vec<Note>,
}

impl Ran {
    pub fn metric(&self, wanted: &str) -> f64 {
        let found = self.notes.iter().rev().find_map(|note| match note {
            Note::Metric { name, value } if name == wanted => Some(*value),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no metric {wanted}"))
    }

    pub fn points(&self, wanted: &str) -> Vec<f64> {
        let points = self.notes.iter().filter_map(|note| match note {
            Note::Point { series, value, .. } if series == wanted => Some(*value),
            _ => None,
        });
        points.collect()
    }

    pub fn output(&self, port: &str) -> &Artifact {
        &self.outputs.ports()[port]
    }

    /// Every number that it told, in order.
    pub fn numbers(&self) -> Vec<String> {
        let numbers = self.notes.iter().filter(|note| matches!(note, Note::Metric { .. } | Note::Point { .. }));
        numbers.map(|note| format!("{note:?}")).collect()
    }

    pub fn warnings(&self) -> Vec<&str> {
        let warnings = self.notes.iter().filter_map(|note| match note {
            Note::Warning(message) => Some(message.as_str()),
            _ => None,
        });
        warnings.collect()
    }

    pub fn bytes(&self) -> Vec<(&str, Vec<u8>)> {
        let ports = self.outputs.ports().iter();
        ports.map(|(port, artifact)| (port.as_str(), artifact.to_bytes().expect("serialises"))).collect()
    }
}

fn run_on(threads: usize, kind: &str, params: &str, inputs: &[(&str, &Artifact)]) -> Result<Ran, StageError> {
    let table = toml::de::DeTable::parse(params).expect("the parameters are TOML");
    run_stage(threads, &*registry().get(kind).expect(kind).parse(table).expect("the parameters fit"), inputs)
}

pub fn run_stage(threads: usize, stage: &dyn AnyStage, inputs: &[(&str, &Artifact)]) -> Result<Ran, StageError> {
    let inputs: Inputs = inputs.iter().map(|&(port, artifact)| (port.to_owned(), Arc::new(artifact.clone()))).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(|| {
        let mut notes = Vec::new();
        let mut listener = |note| notes.push(note);
        let cancel = AtomicBool::new(false);
        let mut cx = Context::new(Device::Cpu, threads, Path::new("."), &cancel, &mut listener);
        let outputs = stage.run(&inputs, &mut cx)?;
        Ok(Ran { outputs, notes })
    })
}

pub fn run(kind: &str, params: &str, inputs: &[(&str, &Artifact)]) -> Result<Ran, StageError> {
    run_on(2, kind, params, inputs)
}

fn images(set: &ImageSet) -> Artifact {
    let (images, labels) = set.to_tensors().expect("tensors");
    Artifact::new().with("images", images).with("labels", labels).attribute("classes", set.classes.clone())
}

/// Training and test images, two draws of noisy training images, and two rounds of batches of 8.
pub struct Data {
    pub train: Artifact,
    pub test: Artifact,
    pub noisy: Artifact,
    pub batches: Artifact,
}

pub fn data() -> Data {
    let (train, test) = generate(&Shapes { train: 40, test: 20, size: 16, seed: 1 });
    let shifted = |by: u8| train.pixels.iter().map(move |&p| f16::from_f32(f32::from(p.saturating_add(by)) / 255.0));
    let draws: Vec<f16> = shifted(10).chain(shifted(20)).collect();
    let draws = Tensor::from_vec(draws, (2, 40, 3, 16, 16), &Device::Cpu).expect("draws");
    let noisy = images(&train).with("images", draws);
    let indices: Vec<u32> = (0..40).chain((0..40).rev()).collect();
    let batches = Tensor::from_vec(indices, (2, 5, 8), &Device::Cpu).expect("batches");
    let batches = Artifact::new().with("batches", batches);
    Data { train: images(&train), test: images(&test), noisy, batches }
}

#[test]
fn bytes_depend_on_the_seed_and_not_on_threads() -> Outcome {
    let Data { train, test, noisy, batches } = &data();
    let simclr = format!("{ENCODER}head = [16, 8]\nepochs = 2\n");
    let weights = run("simclr", &simclr, &[("images", train), ("batches", batches)])?;
    let weights = weights.output("weights");
    let fine_tune = "fraction = 0.5\nepochs = 1\nwarmup_epochs = 1\nbatch_size = 8\nval_fraction = 0.2\npatience = 3\n";
    let supervised = format!("{ENCODER}fraction = 0.5\nepochs = 1\nbatch_size = 8\n");
    let dae = "channels = [4, 6]\nepochs = 2\nbatch_size = 8\npatience = 2\n";
    let labelled = [("train", train), ("test", test)];
    for (kind, params, inputs) in [
        ("dae", dae, vec![("clean", train), ("noisy", noisy)]),
        ("simclr", simclr.as_str(), vec![("images", train), ("batches", batches)]),
        ("fine_tune", fine_tune, [&labelled[..], &[("weights", weights)]].concat()),
        ("supervised", supervised.as_str(), labelled.to_vec()),
    ] {
        let one = run_on(1, kind, params, &inputs)?;
        for threads in [1, 2, 3] {
            assert_eq!(run_on(threads, kind, params, &inputs)?.bytes(), one.bytes(), "{kind} on {threads} threads");
        }
        let other = run_on(1, kind, &format!("{params}seed = 1\n"), &inputs)?;
        assert_ne!(other.bytes(), one.bytes(), "{kind}: the seed changes nothing");
    }
    Ok(())
}

#[test]
fn arms_with_other_batches_start_from_equal_weights() -> Outcome {
    let Data { train, batches, .. } = &data();
    let turned = batches.tensor("batches")?.to_vec3::<u32>()?.into_iter().rev().collect::<Vec<_>>();
    let turned = Artifact::new().with("batches", Tensor::new(turned, &Device::Cpu)?);
    let arm = |epochs: usize, batches| {
        run("simclr", &format!("{ENCODER}epochs = {epochs}\n"), &[("images", train), ("batches", batches)])
    };
    assert_eq!(arm(0, batches)?.bytes(), arm(0, &turned)?.bytes());
    let (one, other) = (arm(1, batches)?, arm(1, &turned)?);
    assert_ne!(one.bytes(), other.bytes());
    assert_ne!(one.bytes(), arm(0, batches)?.bytes());
    Ok(())
}

#[test]
fn simclr_tells_its_measures() -> Outcome {
    let Data { train, batches, .. } = &data();
    let ran = run("simclr", &format!("{ENCODER}epochs = 3\n"), &[("images", train), ("batches", batches)])?;
    let loss = ran.points("loss");
    assert!(loss.len() == 3 && loss.iter().all(|&loss| loss > 0.0 && loss < 2.0 * 15f64.ln()), "{loss:?}");
    assert_eq!(ran.metric("loss"), loss[2]);
    let measures = ["contrastive_top1", "alignment", "uniformity", "lr", "feature_std", "effective_rank", "grad_norm"];
    for name in measures {
        assert_eq!(ran.points(name).len(), 3, "{name}");
    }
    // 16 views around their mean span 15 directions at most.
    assert!(ran.points("effective_rank").iter().all(|&rank| rank > 1.0 && rank <= 15.0 + 1e-9));
    assert!(ran.points("feature_std").iter().all(|&spread| spread > 0.0 && spread <= 1.0));
    assert!(ran.points("grad_norm").iter().all(|&norm| norm > 0.0 && norm.is_finite()));
    Ok(())
}

#[test]
fn more_views_of_an_image_are_more_positives() -> Outcome {
    let Data { train, batches, .. } = &data();
    let inputs = [("images", train), ("batches", batches)];
    let params = |more: &str| format!("{ENCODER}head = [16, 8]\nepochs = 2\n{more}\n");
    let two = run("simclr", &params(""), &inputs)?;
    assert_eq!(run("simclr", &params("views_per_image = 2"), &inputs)?.bytes(), two.bytes());
    let three = run_on(1, "simclr", &params("views_per_image = 3"), &inputs)?;
    assert_ne!(three.bytes(), two.bytes());
    // The best of 23 other views, not of 15: chance is higher.
    assert!(three.points("loss")[0] > two.points("loss")[0] && three.points("loss")[0] < 2.0 * 23f64.ln());
    let chunks = |size: usize| params(&format!("views_per_image = 3\nviews = \"apart\"\nchunk_size = {size}"));
    assert_eq!(run("simclr", &chunks(8), &inputs)?.bytes(), run("simclr", &chunks(0), &inputs)?.bytes());
    assert_ne!(run("simclr", &chunks(3), &inputs)?.bytes(), three.bytes());
    Ok(())
}

#[test]
fn masks_need_labels_and_change_the_result() -> Outcome {
    let Data { train, batches, .. } = &data();
    let params = |more: &str| format!("{ENCODER}epochs = 1\n{more}\n");
    let inputs = [("images", train), ("batches", batches)];
    let arms = ["negatives = \"mask\"", "negatives = \"weighted\"", "loss = \"supcon\""];
    for arm in arms {
        let missing = run("simclr", &params(arm), &inputs).err().map(|error| error.to_string());
        assert_eq!(missing, Some(format!("`{arm}` needs the input `labels`")));
    }
    // Pseudo labels of five clusters, two thirds of them sure.
    let pseudo: Vec<u32> = (0..40).map(|i| i * 7 % 5).collect();
    let confidence: Vec<f32> = (0..40).map(|i| f32::from(u8::from(i % 3 != 0))).collect();
    let pseudo = Artifact::new().with("labels", Tensor::new(pseudo, &Device::Cpu)?);
    let unsure = pseudo.clone().with("confidence", Tensor::new(confidence, &Device::Cpu)?);
    let with = |labels, arm: &str| run("simclr", &params(arm), &[&inputs[..], &[("labels", labels)]].concat());
    let all = with(&unsure, "negatives = \"all\"")?;
    assert_eq!(all.bytes(), run("simclr", &params(""), &inputs)?.bytes(), "labels alone change nothing");
    let [mask, weighted, supcon] = [arms[0], arms[1], arms[2]].map(|arm| with(&unsure, arm));
    let (mask, weighted, supcon) = (mask?, weighted?, supcon?);
    let results = [&all, &mask, &weighted, &supcon].map(Ran::bytes);
    assert!((0..4).all(|i| (0..i).all(|j| results[i] != results[j])), "four arms, four results");
    assert_eq!(with(&pseudo, arms[1])?.bytes(), mask.bytes(), "labels without confidences are certain");
    // Positives of supcon are what a mask leaves out.
    let rate = |ran: &Ran| (ran.metric("false_negative_rate"), ran.metric("false_negative_rate_expected"));
    assert_eq!(rate(&supcon), rate(&mask));
    assert_ne!(rate(&weighted), rate(&mask));
    Ok(())
}

#[test]
fn false_negatives_are_counted_over_the_rounds_that_are_used() -> Outcome {
    let Data { train, .. } = &data();
    let classes = train.tensor("labels")?.to_vec1::<u32>()?;
    let [[a, b], [c, ..]] = [0, 1].map(|class| {
        let members: Vec<u32> = (0..40).filter(|&i| classes[i as usize] == class).collect();
        [members[0], members[1]]
    });
    // Round 0: one of three pairs is of one class; round 1: none is, as its images are of three classes.
    let other = (0..40).find(|&i| classes[i as usize] == 2).expect("a third class");
    let batches = Tensor::new(&[[[a, b, c]], [[a, c, other]]], &Device::Cpu)?;
    let batches = Artifact::new().with("batches", batches);
    for (epochs, rate) in [(1, 1.0 / 3.0), (2, 1.0 / 6.0), (3, 2.0 / 9.0)] {
        let params = format!("{ENCODER}head = [8, 4]\nepochs = {epochs}\n");
        let ran = run("simclr", &params, &[("images", train), ("batches", &batches)])?;
        assert!((ran.metric("false_negative_rate") - rate).abs() < 1e-12, "{epochs} epochs");
        // Ten classes of four images: 3 of the 39 others are of an image's class.
        assert!((ran.metric("false_negative_rate_expected") - 3.0 / 39.0).abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn watching_the_neighbours_changes_no_weight() -> Outcome {
    let Data { train, test, batches, .. } = &data();
    let params = |more: &str| format!("{ENCODER}head = [16, 8]\nepochs = 5\n{more}\n");
    let inputs = [("images", train), ("batches", batches)];
    let plain = run("simclr", &params(""), &inputs)?;
    let watched = [&inputs[..], &[("val", test)]].concat();
    let at_the_end = run("simclr", &params(""), &watched)?;
    let often = run("simclr", &params("knn_every = 2"), &watched)?;
    assert_eq!((at_the_end.bytes(), often.bytes()), (plain.bytes(), plain.bytes()));
    assert_eq!(often.points("loss"), plain.points("loss"));
    assert_eq!((often.points("knn_accuracy").len(), at_the_end.points("knn_accuracy").len()), (2, 0));
    let accuracy = often.metric("knn_accuracy");
    assert_eq!(at_the_end.metric("knn_accuracy"), accuracy);
    // It is that of the probe.
    let features = |images| run("encode", "", &[("weights", plain.output("weights")), ("images", images)]);
    let (train, test) = (features(train)?, features(test)?);
    let inputs = [("train", train.output("features")), ("test", test.output("features"))];
    assert_eq!(run("knn_probe", "at = \"p3\"", &inputs)?.metric("test_accuracy"), accuracy);
    Ok(())
}

#[test]
fn chunks_train_to_the_same_bytes_on_any_number_of_threads() -> Outcome {
    let Data { train, batches, .. } = &data();
    let inputs = [("images", train), ("batches", batches)];
    let params = |chunk: usize| format!("{ENCODER}head = [16, 8]\nepochs = 2\nchunk_size = {chunk}\n");
    let one = run_on(1, "simclr", &params(3), &inputs)?;
    for threads in [2, 3] {
        assert_eq!(run_on(threads, "simclr", &params(3), &inputs)?.bytes(), one.bytes());
    }
    let whole = run("simclr", &params(0), &inputs)?;
    assert_eq!(run("simclr", &params(8), &inputs)?.bytes(), whole.bytes());
    assert_ne!(one.bytes(), whole.bytes(), "chunks are normalised by themselves");
    let (one, whole) = (one.points("loss")[0], whole.points("loss")[0]);
    assert!((one - whole).abs() < 0.1 * whole, "{one} {whole}");
    Ok(())
}

#[test]
fn encode_gives_every_level_and_the_labels() -> Outcome {
    let Data { train, noisy, batches, .. } = &data();
    let simclr = run("simclr", &format!("{ENCODER}epochs = 0\n"), &[("images", train), ("batches", batches)])?;
    let dae = run("dae", "channels = [4, 6]\nepochs = 1\n", &[("clean", train), ("noisy", noisy)])?;
    let shapes = |weights: Option<&Artifact>, params: &str| -> Result<Vec<(String, Vec<usize>)>, StageError> {
        let mut inputs = vec![("images", train)];
        inputs.extend(weights.map(|weights| ("weights", weights)));
        let features = run("encode", params, &inputs)?;
        let features = features.output("features");
        assert_eq!(features.tensor("labels")?.to_vec1::<u32>()?, train.tensor("labels")?.to_vec1::<u32>()?);
        Ok(features.tensors().iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())).collect())
    };
    let sizes = |list: &[(&str, usize)]| -> Vec<(String, Vec<usize>)> {
        let mut all: Vec<_> = list.iter().map(|&(name, size)| (name.to_owned(), vec![40, size])).collect();
        all.push(("labels".to_owned(), vec![40]));
        all.sort();
        all
    };
    let weights = simclr.output("weights");
    assert_eq!(shapes(Some(weights), "batch_size = 16")?, sizes(&[("p1", 128), ("p2", 256), ("p3", 64)]));
    assert_eq!(shapes(Some(dae.output("weights")), "")?, sizes(&[("latent", 6)]));
    assert_eq!(shapes(Some(dae.output("weights")), "pool = \"flatten\"")?, sizes(&[("latent", 96)]));
    assert_eq!(shapes(None, "")?, sizes(&[("pixels", 768)]));
    // A batch of another size gives the same features, but for the last bits.
    let p3 = |params: &str| -> Result<Vec<f32>, Box<dyn std::error::Error>> {
        let ran = run("encode", params, &[("images", train), ("weights", weights)])?;
        Ok(ran.output("features").tensor("p3")?.flatten_all()?.to_vec1()?)
    };
    for (a, b) in p3("batch_size = 7")?.iter().zip(p3("batch_size = 40")?) {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
    }
    Ok(())
}

#[test]
fn dae_learns_and_shows_what_it_restores() -> Outcome {
    let Data { train, noisy, .. } = &data();
    let params = "channels = [8, 8]\nepochs = 8\nbatch_size = 8\noptimizer = { lr = 0.01 }\n";
    let ran = run("dae", params, &[("clean", train), ("noisy", noisy)])?;
    let loss = ran.points("loss");
    assert!(loss[7] < 0.7 * loss[0], "{loss:?}");
    assert_eq!(ran.points("val_loss").len(), 8);
    let grid = ran.output("reconstructions");
    for name in ["clean", "noisy", "reconstruction"] {
        assert_eq!(grid.tensor(name)?.dims(), [16, 3, 16, 16], "{name}");
    }
    let first = |artifact: &Artifact, name: &str| -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        Ok(artifact.tensor(name)?.get(0)?.flatten_all()?.to_vec1()?)
    };
    assert_eq!(first(grid, "clean")?, first(train, "images")?);
    Ok(())
}

#[test]
fn fine_tuning_starts_from_the_pretrained_encoder() -> Outcome {
    let Data { train, test, batches, .. } = &data();
    let simclr = run("simclr", &format!("{ENCODER}epochs = 1\n"), &[("images", train), ("batches", batches)])?;
    let weights = simclr.output("weights");
    let inputs = [("weights", weights), ("train", train), ("test", test)];
    let encoder = |artifact: &Artifact, running: bool| -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error>> {
        let chosen = artifact
            .tensors()
            .iter()
            .filter(|(name, _)| name.starts_with("encoder.") && name.contains("running_") == running);
        chosen.map(|(_, tensor)| Ok(tensor.flatten_all()?.to_vec1()?)).collect()
    };
    // The warm-up leaves the encoder as it was.
    let warm = run("fine_tune", "warmup_epochs = 2\nepochs = 0\n", &inputs)?;
    for running in [false, true] {
        assert_eq!(encoder(warm.output("weights"), running)?, encoder(weights, running)?);
    }
    // Frozen normalisation moves weights but no running statistics; otherwise both move.
    let frozen = run("fine_tune", "warmup_epochs = 0\nepochs = 1\nbatch_norm = \"frozen\"\n", &inputs)?;
    assert_ne!(encoder(frozen.output("weights"), false)?, encoder(weights, false)?);
    assert_eq!(encoder(frozen.output("weights"), true)?, encoder(weights, true)?);
    let moved = run("fine_tune", "warmup_epochs = 1\nepochs = 2\nfraction = 0.5\n", &inputs)?;
    assert_ne!(encoder(moved.output("weights"), true)?, encoder(weights, true)?);
    assert_eq!((moved.points("loss").len(), moved.metric("train_images")), (3, 20.0));
    let [low, middle, high] =
        ["test_accuracy_low", "test_accuracy", "test_accuracy_high"].map(|name| moved.metric(name));
    assert!(0.0 <= low && low <= middle && middle <= high && high <= 1.0);
    Ok(())
}

#[test]
fn a_rate_that_is_too_high_is_reported_as_divergence() {
    let Data { train, test, .. } = &data();
    let params =
        format!("{ENCODER}epochs = 20\naugment = {{ flip = 0.0 }}\noptimizer = {{ kind = \"sgd\", lr = 1e9 }}\n");
    let error = run("supervised", &params, &[("train", train), ("test", test)]).err().map(|error| error.to_string());
    assert!(
        error.as_ref().is_some_and(|error| error.contains("a lower learning rate or a warm-up may help")
            || error.contains("a lower learning rate may help")),
        "{error:?}"
    );
}

#[test]
fn the_references_early_stopping_looks_at_the_test_images() -> Outcome {
    let Data { train, test, noisy, .. } = &data();
    let labelled = [("train", train), ("test", test)];
    let params = |more: &str| format!("{ENCODER}epochs = 4\npatience = 4\nbatch_size = 8\n{more}");
    let leaky = run("supervised", &params("stop_on = \"test\"\n"), &labelled)?;
    let (losses, accuracies) = (leaky.points("val_loss"), leaky.points("val_accuracy"));
    let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).expect("four epochs").0;
    assert_eq!(leaky.metric("test_accuracy"), accuracies[best], "the images that chose the epoch judge it");
    assert_eq!(leaky.metric("train_images"), 40.0, "nothing is held out");

    let dae = "channels = [4, 6]\nepochs = 2\nbatch_size = 8\n";
    let inputs = [("clean", train), ("noisy", noisy), ("test", test)];
    let missing = run("dae", &format!("{dae}stop_on = \"test\""), &inputs[..2]).err().map(|error| error.to_string());
    assert_eq!(missing.as_deref(), Some("`stop_on = \"test\"` needs the input `test`"));
    let leaky = run("dae", &format!("{dae}stop_on = \"test\""), &inputs)?;
    let plain = run("dae", &format!("{dae}val_fraction = 0.0"), &inputs)?;
    assert_eq!(leaky.points("val_loss").len(), 2);
    assert_eq!(leaky.bytes(), plain.bytes(), "the test images are looked at, not learnt from");
    Ok(())
}

#[test]
fn a_fixed_order_and_other_momentum_change_an_autoencoder() -> Outcome {
    let Data { train, noisy, .. } = &data();
    let dae = |more: &str| {
        let params = format!("channels = [4, 6]\nepochs = 2\nbatch_size = 8\n{more}");
        run("dae", &params, &[("clean", train), ("noisy", noisy)])
            .map(|ran| ran.bytes().into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>())
    };
    let usual = dae("")?;
    assert_eq!(dae("shuffle = true\nbn_momentum = 0.1\n")?, usual);
    assert_ne!(dae("shuffle = false\n")?, usual);
    assert_ne!(dae("bn_momentum = 0.01\n")?, usual);
    Ok(())
}

#[test]
fn batch_statistics_judge_a_network_by_the_company_of_its_images() -> Outcome {
    let Data { train, test, .. } = &data();
    let params = format!("{ENCODER}epochs = 2\nbatch_size = 8\nstop_on = \"test\"\n");
    let labelled = [("train", train), ("test", test)];
    let running = run("supervised", &params, &labelled)?;
    let batch = run("supervised", &format!("{params}evaluate_with = \"batch\"\n"), &labelled)?;
    assert_eq!(running.bytes(), batch.bytes(), "the training is the same, running statistics too");
    assert_ne!(running.points("val_loss"), batch.points("val_loss"));
    Ok(())
}

#[test]
fn a_fraction_can_be_drawn_with_replacement() -> Outcome {
    let Data { train, test, .. } = &data();
    let params = format!("{ENCODER}epochs = 0\nfraction = 0.5\nstratified = false\nreplacement = true\n");
    let ran = run("supervised", &params, &[("train", train), ("test", test)])?;
    let (drawn, distinct) = (ran.metric("train_images"), ran.metric("distinct_images"));
    assert!(drawn == 20.0 && distinct < drawn && distinct > 8.0, "{distinct} of {drawn}");
    Ok(())
}

#[test]
fn a_probe_cross_validates_and_learns_from_a_fraction() -> Outcome {
    let Data { train, test, .. } = &data();
    let pixels = |images| run("encode", "", &[("images", images)]);
    let (train, test) = (pixels(train)?, pixels(test)?);
    let inputs = [("train", train.output("features")), ("test", test.output("features"))];
    let usual = run("linear_probe", "", &inputs)?;
    let probe = run("linear_probe", "folds = 5\n", &inputs)?;
    assert_eq!(usual.bytes(), probe.bytes());
    let [low, middle, high] = ["cv_accuracy_low", "cv_accuracy", "cv_accuracy_high"].map(|name| probe.metric(name));
    assert!(low < middle && middle < high);
    assert!((middle * 60.0 - (middle * 60.0).round()).abs() < 1e-9, "{middle} is a share of 40 + 20 images");
    let correct = (middle * 60.0).round() as usize;
    assert_eq!((low, high), strata::ml::metric::wilson(correct, 60));
    assert_eq!(run("linear_probe", "folds = 5\nseed = 7\n", &inputs)?.metric("cv_accuracy"), middle);
    let few = run("linear_probe", "fraction = 0.25\n", &inputs)?;
    assert_eq!(few.metric("train_images"), 10.0);
    assert_ne!(few.bytes(), usual.bytes());
    Ok(())
}
