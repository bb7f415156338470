//! Views of images against torchvision's and TensorFlow's formulas.

use serde::Deserialize;
use strata::ml::augment::{Canvas, Colour, Jitter, View};

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

#[derive(Deserialize)]
struct TensorFlow {
    size: [usize; 2],
    image: Vec<u8>,
    cases: Vec<TensorFlowCase>,
}

#[derive(Deserialize)]
struct TensorFlowCase {
    view: TensorFlowView,
    values: Vec<f32>,
}

#[derive(Debug, Deserialize)]
struct TensorFlowView {
    flip: bool,
    brightness: f32,
    contrast: f32,
    saturate: f32,
    turns: f32,
    grey: bool,
}

#[test]
fn jitters_can_be_those_of_tensorflow() {
    let reference: TensorFlow = serde_json::from_str(include_str!("../reference/augment_tensorflow.json")).unwrap();
    let [height, width] = reference.size;
    let mut canvas = Canvas::new(3, height, width).with_colour(Colour::tensorflow());
    let mut torch = Canvas::new(3, height, width);
    let (mut out, mut other) = (vec![0.0; 3 * height * width], vec![0.0; 3 * height * width]);
    let off = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert_eq!(reference.cases.len(), 7);
    for (number, TensorFlowCase { view: v, values }) in reference.cases.iter().enumerate() {
        let jitter = Jitter {
            order: [0, 1, 2, 3],
            brightness: v.brightness,
            contrast: v.contrast,
            saturation: v.saturate,
            hue: v.turns,
        };
        let (jitter, flip, grey) = (Some(jitter), v.flip, v.grey);
        let view = View { top: 0, left: 0, height, width, flip, jitter, grey, blur: None };
        canvas.apply(&view, &reference.image);
        canvas.write(&mut out);
        let gap = off(&out, values);
        assert!(gap < 5e-6, "case {number}: off by {gap}; {v:?}");
        torch.apply(&view, &reference.image);
        torch.write(&mut other);
        assert!(off(&other, values) > 0.01, "case {number}: torchvision does the same");
    }
}
