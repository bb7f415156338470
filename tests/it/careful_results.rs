//! How long a training is, and results that should be read with care.

use candle_core::{Device, Tensor};
use strata::{stage::StageError, store::Artifact};

use crate::training_stages::{Data, ENCODER, Outcome, Ran, data, run};

#[test]
fn a_training_can_be_told_its_length_in_steps() -> Outcome {
    let Data { train, test, .. } = &data();
    let labelled = [("train", train), ("test", test)];
    // 5 steps an epoch.
    let supervised = |length: &str| {
        run(
            "supervised",
            &format!("{ENCODER}batch_size = 8\nschedule = {{ kind = \"constant\" }}\n{length}\n"),
            &labelled,
        )
    };
    let (ten, two) = (supervised("steps = 10")?, supervised("epochs = 2")?);
    assert_eq!((ten.bytes(), ten.points("loss")), (two.bytes(), two.points("loss")));
    let seven = supervised("steps = 7")?;
    assert_eq!((seven.points("loss").len(), seven.points("loss")[0]), (2, two.points("loss")[0]));
    assert_ne!(seven.bytes(), two.bytes());
    assert_ne!(seven.bytes(), supervised("epochs = 1")?.bytes());
    let message = supervised("steps = 7\nkeep_epochs = [3]").err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(message, "`keep_epochs` names epoch 3, but the training ends with epoch 2, which is kept anyway");
    // A cosine over them falls to nearly nothing.
    let cosine = run(
        "supervised",
        &format!("{ENCODER}batch_size = 8\nsteps = 7\nschedule = {{ kind = \"cosine\" }}\n"),
        &labelled,
    )?;
    let rates = cosine.points("lr");
    assert!(rates.len() == 2 && rates[1] < 0.2 * rates[0], "{rates:?}");
    Ok(())
}

#[test]
fn a_baseline_that_is_far_from_done_carries_a_warning() -> Outcome {
    let Data { train, test, .. } = &data();
    let labelled = [("train", train), ("test", test)];
    let with = |more: &str| run("supervised", &format!("{ENCODER}batch_size = 8\n{more}\n"), &labelled);
    let short = with("epochs = 1")?;
    assert!(
        short.warnings().iter().any(|warning| warning.contains("far from done: after 5 steps")),
        "{:?}",
        short.warnings()
    );
    assert!(with("epochs = 0")?.warnings().is_empty(), "a random network is meant to be one");
    let long = with("steps = 250\naugment = { crop_scale = [1.0, 1.0], flip = 0.0 }")?;
    assert!(long.metric("train_accuracy") > 0.95, "{}", long.metric("train_accuracy"));
    assert!(long.warnings().is_empty(), "{:?}", long.warnings());
    Ok(())
}

#[test]
fn a_probe_that_has_not_converged_says_so() -> Outcome {
    let Data { train, test, .. } = &data();
    let pixels = |images| run("encode", "", &[("images", images)]);
    let (train, test) = (pixels(train)?, pixels(test)?);
    let inputs = [("train", train.output("features")), ("test", test.output("features"))];
    let done = run("linear_probe", "folds = 2\n", &inputs)?;
    assert_eq!((done.metric("converged"), done.metric("cv_converged"), done.warnings().len()), (1.0, 1.0, 0));
    let cut = run("linear_probe", "folds = 2\nmax_iterations = 2\n", &inputs)?;
    assert_eq!((cut.metric("converged"), cut.metric("cv_converged")), (0.0, 0.0));
    assert!(
        cut.warnings()[0].starts_with("2 of the 2 classifiers of the folds have not converged"),
        "{:?}",
        cut.warnings()
    );
    assert!(cut.warnings()[1].starts_with("the classifier has not converged"), "{:?}", cut.warnings());
    let adam = run("linear_probe", "solver = \"adam_early_stop\"\nepochs = 1\n", &inputs)?;
    assert!(adam.warnings()[0].contains("still falling after 1 epochs"), "{:?}", adam.warnings());
    let empty = run("linear_probe", "solver = \"adam_early_stop\"\nval_fraction = 0.01\n", &inputs).err();
    let message = empty.map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(message, "a share of 0.01 of 40 images leaves none to stop by");
    Ok(())
}

#[test]
fn features_that_are_no_numbers_are_refused_and_name_their_maker() -> Outcome {
    let Data { train, batches, .. } = &data();
    let simclr = run("simclr", &format!("{ENCODER}epochs = 0\n"), &[("images", train), ("batches", batches)])?;
    let weights = simclr.output("weights");
    let name = weights.tensors().keys().find(|name| name.ends_with("running_var")).expect("statistics").clone();
    let broken = (weights.tensor(&name)?.ones_like()? * f64::INFINITY)?;
    let message = |ran: Result<Ran, StageError>| ran.err().map(|error| error.to_string()).unwrap_or_default();
    let encode = run("encode", "", &[("images", train), ("weights", &weights.clone().with(&*name, broken))]);
    assert!(message(encode).starts_with(&format!("`{name}` in the input `weights` is infinite")));
    // Finite weights whose features are not.
    let large = (weights.tensor("encoder.stem.conv.weight")?.ones_like()? * 1e38)?;
    let encode =
        run("encode", "", &[("images", train), ("weights", &weights.clone().with("encoder.stem.conv.weight", large))]);
    let encode = message(encode);
    assert!(encode.starts_with("level `p") && encode.contains("of image 0 is"), "{encode}");
    let features = Artifact::new()
        .with("p3", Tensor::new(&[[1f32, 2.0], [f32::NAN, 0.0], [3.0, 4.0]], &Device::Cpu)?)
        .with("labels", Tensor::new(&[0u32, 1, 0], &Device::Cpu)?)
        .attribute("classes", vec!["a", "b"]);
    let both = [("train", &features), ("test", &features)];
    for ran in [
        run("kmeans", "clusters = 2\n", &[("features", &features)]),
        run("linear_probe", "", &both),
        run("knn_probe", "", &both),
    ] {
        assert_eq!(message(ran), "NaN in the features of row 1; the training that it comes from may have diverged");
    }
    Ok(())
}

#[test]
fn fewer_different_images_than_clusters_are_a_warning() -> Outcome {
    let features = Artifact::new()
        .with("p3", Tensor::from_vec((0..24).map(|i| (i / 2 % 3) as f32).collect::<Vec<_>>(), (12, 2), &Device::Cpu)?)
        .with("labels", Tensor::new(vec![0u32; 12], &Device::Cpu)?)
        .attribute("classes", vec!["a"]);
    let kmeans = |clusters: usize| run("kmeans", &format!("clusters = {clusters}\n"), &[("features", &features)]);
    assert!(kmeans(3)?.warnings().is_empty());
    assert!(kmeans(5)?.warnings()[0].starts_with("there are only 3 different feature vectors for 5 clusters"));
    Ok(())
}
