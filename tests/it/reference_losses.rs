//! Contrastive losses and their gradients against the formulas of the papers: numbers in `tests/reference/losses.json`,
//! made by the program beside it in double precision.

use candle_core::{Device, Tensor, Var};
use serde::Deserialize;
use strata::ml::loss::{Loss, LossKind, PseudoLabels};

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

/// One loss of one batch, with one mask.
#[derive(Deserialize)]
struct Case {
    loss: LossKind,
    negatives: String,
    images: usize,
    views: usize,
    width: usize,
    temperature: f64,
    prior: Option<f64>,
    concentration: Option<f64>,
    value: f64,
    gradient: Vec<f64>,
    labels: Vec<u32>,
    confidence: Vec<f32>,
}

/// The program's `noise`: numbers in [0, 1) fixed by name and position.
fn noise(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let seed = name.bytes().zip(1..).map(|(byte, i)| usize::from(byte) * i).sum::<usize>() % 1000;
    (0..count).map(move |k| ((k as f64 * 12.9898 + seed as f64 * 78.233).sin() * 43758.5453).rem_euclid(1.0) as f32)
}

#[test]
fn every_loss_has_the_value_and_gradient_of_its_paper() -> Result<(), Box<dyn std::error::Error>> {
    let Reference { cases } = serde_json::from_str(include_str!("../reference/losses.json"))?;
    assert!(cases.len() > 200, "{} cases", cases.len());
    for case in &cases {
        let Case { loss, negatives, images, views, width, temperature, prior, concentration, .. } = case;
        let name = format!(
            "{loss:?}, {negatives}, {views} views of {images} images, t = {temperature}, {prior:?}, {concentration:?}"
        );
        let z: Vec<f32> = noise(&format!("z{images}"), views * images * width).map(|u| u - 0.5).collect();
        let z = Var::from_vec(z, (views * images, *width), &Device::Cpu)?;
        let labels = match negatives.as_str() {
            "all" => None,
            "mask" => Some(PseudoLabels::certain(case.labels.clone())),
            _ => Some(PseudoLabels { labels: case.labels.clone(), confidence: Some(case.confidence.clone()) }),
        };
        let defaults = Loss::new(*loss);
        let loss = Loss {
            temperature: *temperature,
            prior: prior.unwrap_or(defaults.prior),
            concentration: concentration.unwrap_or(defaults.concentration),
            views: *views,
            ..defaults
        };
        let value = loss.of(&z, labels.as_ref())?;
        let (in_blocks, gradient_in_blocks) = loss.with_gradient(&z, labels.as_ref())?;
        let gradients = value.backward()?;
        let gradient = gradients.get(&z).expect("the loss depends on z");
        let value = f64::from(value.to_scalar::<f32>()?);
        for value in [value, in_blocks] {
            assert!(
                (value - case.value).abs() <= 5e-6 * case.value.abs().max(1.0),
                "{name}: {value}, not {}",
                case.value
            );
        }
        let largest = case.gradient.iter().fold(1e-3f64, |max, g| max.max(g.abs()));
        let close = |gradient: &Tensor| -> Result<(), Box<dyn std::error::Error>> {
            for (got, want) in gradient.flatten_all()?.to_vec1::<f32>()?.iter().zip(&case.gradient) {
                assert!((f64::from(*got) - want).abs() <= 1e-5 * largest, "{name}: gradient {got}, not {want}");
            }
            Ok(())
        };
        close(gradient)?;
        close(&gradient_in_blocks)?;
    }
    Ok(())
}
