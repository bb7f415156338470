use candle_core::{Device, Var};

use super::*;

const ALL: [LossKind; 5] = [LossKind::NtXent, LossKind::Dcl, LossKind::Debiased, LossKind::Hard, LossKind::Supcon];

fn waves(views: usize, width: usize) -> Result<Var> {
    let z = Tensor::arange(0f32, (views * width) as f32, &Device::Cpu)?.sin()?;
    Ok(Var::from_tensor(&z.reshape((views, width))?)?)
}

fn value(loss: &Tensor) -> Result<f64> {
    Ok(f64::from(loss.to_scalar::<f32>()?))
}

/// All projections equal: every similarity is the same, so the positive is one of 2N - 1 equals.
#[test]
fn chance_is_the_logarithm_of_the_candidates() -> Result<()> {
    for half in [2usize, 8, 64] {
        let z = Tensor::ones((2 * half, 5), candle_core::DType::F32, &Device::Cpu)?;
        for (loss, candidates) in [
            (nt_xent(&z, 0.1, None)?, 2 * half - 1),
            (dcl(&z, 0.1, None)?, 2 * half - 2),
            (hard(&z, 0.1, 0.1, 2.0, None)?, 2 * half - 1),
            (super::super::supcon(&z, 0.1, Some(&PseudoLabels::certain(vec![3; half])))?, 2 * half - 1),
        ] {
            let loss = value(&loss)?;
            assert!((loss - (candidates as f64).ln()).abs() < 1e-5, "{loss} at {half}");
        }
    }
    Ok(())
}

#[test]
fn special_cases_meet() -> Result<()> {
    let z = waves(8, 6)?;
    let labels = PseudoLabels { labels: vec![4, 4, 5, 6], confidence: Some(vec![0.9, 0.5, 0.1, 1.0]) };
    for labels in [None, Some(&labels)] {
        let plain = value(&nt_xent(&z, 0.5, labels)?)?;
        let unbiased = value(&debiased(&z, 0.5, 0.0, labels)?)?;
        assert!((plain - unbiased).abs() < 1e-5, "a prior of 0 is no debiasing: {plain} {unbiased}");
        let corrected = value(&debiased(&z, 0.5, 0.1, labels)?)?;
        let flat = value(&hard(&z, 0.5, 0.1, 0.0, labels)?)?;
        assert!((corrected - flat).abs() < 1e-5, "a concentration of 0 is no reweighting: {corrected} {flat}");
        assert!(value(&hard(&z, 0.5, 0.1, 1.0, labels)?)? > flat, "near negatives weigh more");
    }
    let alone = PseudoLabels::certain(vec![1, 2, 3, 4]);
    let (plain, supervised) = (nt_xent(&z, 0.5, None)?, super::super::supcon(&z, 0.5, Some(&alone))?);
    assert!((value(&plain)? - value(&supervised)?).abs() < 1e-6, "labels of single images are those of SimCLR");
    Ok(())
}

/// Four images, two of one label: their views are no negatives of each other.
#[test]
fn masked_pairs_do_not_repel() -> Result<()> {
    let labels = vec![7, 7, 3, 4];
    let mask = PseudoLabels::certain(labels.clone());
    let weights: Vec<f32> = (0..4).map(|j| mask.negative(0, j)).collect();
    assert_eq!(weights, [0.0, 0.0, 1.0, 1.0]);
    let sure = |confidence: f32| PseudoLabels { labels: labels.clone(), confidence: Some(vec![confidence; 4]) };
    assert_eq!((sure(0.5).negative(0, 1), sure(0.5).negative(0, 2)), (0.75, 1.0));
    let z = waves(8, 3)?;
    for kind in [LossKind::NtXent, LossKind::Dcl, LossKind::Debiased, LossKind::Hard] {
        let of = |labels: Option<&PseudoLabels>| value(&Loss { prior: 0.01, ..Loss::new(kind) }.of(&z, labels)?);
        let (all, masked) = (of(None)?, of(Some(&mask))?);
        assert_eq!((of(Some(&sure(0.0)))?, of(Some(&sure(1.0)))?), (all, masked), "{kind:?}");
        let between = of(Some(&sure(0.7)))?;
        assert!(masked < between && between < all, "{kind:?}: {masked} {between} {all}");
    }
    Ok(())
}

/// One label for all, one row without negatives among others, and low temperatures: values and gradients are numbers.
#[test]
fn without_negatives_there_is_nothing_to_learn() -> Result<()> {
    let z = waves(8, 3)?;
    let gradient = |loss: &Tensor| -> Result<Vec<f32>> {
        Ok(loss.backward()?.get(&z).expect("depends on z").flatten_all()?.to_vec1::<f32>()?)
    };
    for kind in ALL {
        for temperature in [1.0, 0.1, 0.01] {
            let loss = Loss { temperature, ..Loss::new(kind) };
            let one = loss.of(&z, Some(&PseudoLabels::certain(vec![1; 4])))?;
            if kind == LossKind::Supcon {
                assert!(value(&one)?.is_finite() && gradient(&one)?.iter().all(|g| g.is_finite()));
                continue;
            }
            assert!(value(&one)?.abs() < 1e-6, "{kind:?}: {one}");
            assert!(gradient(&one)?.iter().all(|g| g.abs() < 1e-6), "{kind:?} {:?}", gradient(&one)?);
            // Weights so small that a row has next to none.
            let confidence = Some(vec![1.0 - 1e-7, 1.0, 1.0 - 1e-7, 1.0]);
            let faint = loss.of(&z, Some(&PseudoLabels { labels: vec![1; 4], confidence }))?;
            assert!(value(&faint)?.is_finite(), "{kind:?}: {faint}");
            assert!(gradient(&faint)?.iter().all(|g| g.is_finite()), "{kind:?}");
        }
    }
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_refused() -> Result<()> {
    let z = waves(8, 3)?;
    for kind in ALL {
        assert!(Loss::new(kind).of(&z, Some(&PseudoLabels::certain(vec![1; 3]))).is_err());
        assert!(Loss::new(kind).of(&z.narrow(0, 0, 5)?, None).is_err());
    }
    Ok(())
}
