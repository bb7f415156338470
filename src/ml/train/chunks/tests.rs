use std::collections::BTreeMap;

use candle_core::Device;

use super::super::{Contrastive, Latest, Step, Task};
use super::*;
use crate::ml::{
    loss::LossKind,
    nn::{Architecture, Encoder, Mode, Network},
    rng::Stream,
};

const IMAGES: usize = 12;
const KINDS: [LossKind; 5] = [LossKind::NtXent, LossKind::Dcl, LossKind::Debiased, LossKind::Hard, LossKind::Supcon];

fn network() -> Result<(Network, Params)> {
    let encoder = Encoder { n: 1, width: 0.25, ..Encoder::default() }.resolved([12, 12]);
    Architecture::Contrastive { colours: 3, encoder, head: vec![16, 8] }.build(1, &Device::Cpu)
}

fn views(count: usize) -> Result<Tensor> {
    let mut stream = Stream::new(3, "views");
    let pixels: Vec<f32> = (0..count * IMAGES * 12 * 12 * 3).map(|_| stream.uniform()).collect();
    Ok(Tensor::from_vec(pixels, (count * IMAGES, 12, 12, 3), &Device::Cpu)?)
}

fn labels() -> PseudoLabels {
    let confidence = (0..IMAGES).map(|i| i as f32 / 12.0).collect();
    PseudoLabels { labels: (0..IMAGES as u32).map(|i| i % 4).collect(), confidence: Some(confidence) }
}

fn loss(kind: LossKind, views: usize) -> Loss {
    Loss { temperature: 0.2, views, ..Loss::new(kind) }
}

/// Loss, gradients and the running statistics after one step of a new network.
fn step(loss: Loss, mode: Mode, split_views: bool, chunk: usize) -> Result<(f64, Gradients, Gradients)> {
    let (network, params) = network()?;
    let Network::Encoder { encoder, head } = &network else { unreachable!("built from an encoder") };
    let (views, labels) = (views(loss.views)?, labels());
    let task = Contrastive {
        encoder,
        head,
        mode,
        loss,
        indices: &|_, _| (0..IMAGES as u32).collect(),
        views: &|_, _, _| Ok(views.clone()),
        labels: Some(&labels),
        steps: 1,
        split_views,
        chunk,
        monitor: None,
        latest: Latest::default(),
    };
    let Step { loss, gradients, .. } = task.step(task.batch(0, 0)?, &params)?;
    Ok((loss, named(&gradients, &params)?, numbers(params.buffers())?))
}

type Gradients = BTreeMap<String, Vec<f32>>;

fn named(gradients: &GradStore, params: &Params) -> Result<Gradients> {
    let of = |(name, var): &(String, Var)| {
        let gradient = gradients.get(var).expect("every parameter has a gradient");
        Ok((name.clone(), gradient.flatten_all()?.to_vec1::<f32>()?))
    };
    params.parameters().iter().map(of).collect()
}

fn numbers(variables: &[(String, Var)]) -> Result<Gradients> {
    variables.iter().map(|(name, var)| Ok((name.clone(), var.flatten_all()?.to_vec1::<f32>()?))).collect()
}

/// The largest difference of a parameter's gradient, over the largest value of that gradient; gradients that are only
/// rounding errors are compared with the others.
fn gap(got: &Gradients, want: &Gradients) -> f64 {
    let largest = |values: &[f32]| values.iter().fold(0f64, |max, v| max.max(f64::from(v.abs())));
    let least = 1e-3 * want.values().map(|values| largest(values)).fold(0.0, f64::max);
    let of = |(name, want): (&String, &Vec<f32>)| {
        let difference: Vec<f32> = got[name].iter().zip(want).map(|(g, w)| g - w).collect();
        largest(&difference) / largest(want).max(least)
    };
    want.iter().map(of).fold(0.0, f64::max)
}

#[test]
fn chunks_give_the_gradient_of_the_whole_batch_where_statistics_are_fixed() -> Result<()> {
    for (kind, views) in KINDS.into_iter().flat_map(|kind| [(kind, 2), (kind, 3)]) {
        for split_views in [false, true] {
            let loss = loss(kind, views);
            let (whole, expected, _) = step(loss, Mode::Frozen, split_views, 0)?;
            for chunk in [1, 5, 6] {
                let (value, gradients, _) = step(loss, Mode::Frozen, split_views, chunk)?;
                assert!((value - whole).abs() < 1e-5 * whole.abs(), "{loss:?}: {value} {whole}");
                let gap = gap(&gradients, &expected);
                assert!(gap < 1e-5, "{loss:?}, chunks of {chunk}: {gap:.1e}");
            }
        }
    }
    Ok(())
}

/// In training each chunk is normalised by itself: the gradient is that of one graph made in this way, and the running
/// statistics have seen each chunk once.
#[test]
fn chunks_are_normalised_by_themselves_and_counted_once() -> Result<()> {
    for chunk in [4, 5] {
        let (network, params) = network()?;
        let Network::Encoder { encoder, head } = &network else { unreachable!("built from an encoder") };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for start in (0..IMAGES).step_by(chunk) {
            let images = start..(start + chunk).min(IMAGES);
            let features = encoder.forward(&of(&views(2)?, &images, 2)?, Mode::Train)?;
            let z = head.forward(&features, Mode::Train)?.pop().expect("a head has layers");
            first.push(z.narrow(0, 0, images.len())?);
            second.push(z.narrow(0, images.len(), images.len())?);
        }
        let z = Tensor::cat(&[first, second].concat(), 0)?;
        let loss = loss(LossKind::NtXent, 2);
        let whole = loss.of(&z, Some(&labels()))?;
        let expected = named(&whole.backward()?, &params)?;
        let (value, gradients, running) = step(loss, Mode::Train, false, chunk)?;
        assert!((value - f64::from(whole.to_scalar::<f32>()?)).abs() < 1e-5);
        assert!(gap(&gradients, &expected) < 1e-4, "{:.1e}", gap(&gradients, &expected));
        assert_eq!(running, numbers(params.buffers())?);
    }
    Ok(())
}

#[test]
fn one_chunk_is_the_whole_batch() -> Result<()> {
    let dcl = loss(LossKind::Dcl, 2);
    let whole = step(dcl, Mode::Train, false, 0)?;
    assert_eq!(step(dcl, Mode::Train, false, IMAGES)?, whole);
    assert_ne!(step(dcl, Mode::Train, false, IMAGES - 1)?.1, whole.1);
    Ok(())
}
