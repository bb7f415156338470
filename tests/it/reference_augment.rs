//! Views of images against torchvision's formulas.

use serde::Deserialize;
use strata::ml::augment::{Canvas, Jitter, View};

#[derive(Deserialize)]
struct Reference {
    size: [usize; 2],
    image: Vec<u8>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    view: ViewOf,
    mean: f64,
    /// Every seventh value of `[H, W, C]`, from the one at the case's number modulo 7.
    values: Vec<f32>,
}

#[derive(Clone, Debug, Deserialize)]
struct ViewOf {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
    flip: bool,
    jitter: Option<JitterOf>,
    grey: bool,
    blur: Option<f32>,
}

#[derive(Clone, Debug, Deserialize)]
struct JitterOf {
    order: [u8; 4],
    brightness: f32,
    contrast: f32,
    saturation: f32,
    hue: f32,
}

#[test]
fn views_are_those_of_torchvision() {
    let reference: Reference = serde_json::from_str(include_str!("../reference/augment.json")).unwrap();
    let [height, width] = reference.size;
    let mut canvas = Canvas::new(3, height, width);
    let mut out = vec![0.0; 3 * height * width];
    assert_eq!(reference.cases.len(), 15);
    for (number, case) in reference.cases.iter().enumerate() {
        let view = case.view.clone();
        let jitter = view.jitter.map(|j| Jitter {
            order: j.order,
            brightness: j.brightness,
            contrast: j.contrast,
            saturation: j.saturation,
            hue: j.hue,
        });
        let view = View {
            top: view.top,
            left: view.left,
            height: view.height,
            width: view.width,
            flip: view.flip,
            jitter,
            grey: view.grey,
            blur: view.blur,
        };
        canvas.apply(&view, &reference.image);
        canvas.write(&mut out);
        let mean = out.iter().copied().map(f64::from).sum::<f64>() / out.len() as f64;
        assert!((mean - case.mean).abs() < 1e-6, "case {number}: mean {mean}, not {}; {:?}", case.mean, case.view);
        let sampled: Vec<f32> = out.iter().skip(number % 7).step_by(7).copied().collect();
        assert_eq!(sampled.len(), case.values.len());
        let gap = sampled.iter().zip(&case.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(gap < 5e-6, "case {number}: off by {gap}; {:?}", case.view);
    }
}
