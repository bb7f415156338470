//! Reads the results of a finished instance from the cache, for reporters.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use candle_core::{DType, Tensor};
use serde_json::Value;

use super::images::{Images, png};
use crate::{
    graph::{Graph, Instance, InstanceId},
    run::Event,
    store::{Output, Store},
};

/// The largest artifact that is searched for images, in bytes.
const MOST_BYTES: u64 = 8 << 20;
/// The most images of one tensor that are shown.
const MOST_IMAGES: usize = 16;

/// The numbers of a finished instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Its parameters after defaults.
    pub parameters: Value,
    /// The parameters of everything that it depends on, by stage.
    pub upstream: Value,
    /// Final numbers, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Curves by name: epochs, from 1, and the values there.
    pub series: BTreeMap<String, Vec<(u64, f64)>>,
}

/// An image to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// What it shows.
    pub name: String,
    /// Columns of pixels.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// The PNG file.
    pub png: Vec<u8>,
}

/// Answers questions about an [`Event::StageFinished`]. The answer is empty for other events and for results that are
/// not in the cache.
#[derive(Clone, Debug)]
pub struct StoredResults {
    store: Store,
    upstream: Upstream,
}

/// The parameters of everything that each instance of a graph depends on. Clones share what they know, so a graph that is
/// built later, with more seeds, can be made known to those who ask.
#[derive(Clone, Debug, Default)]
pub struct Upstream(Rc<RefCell<BTreeMap<String, Value>>>);

impl Upstream {
    /// Replaces what is known by the instances of a graph.
    pub fn learn(&self, graph: &Graph<'_>) {
        let of = |(index, instance): (InstanceId, &Instance<'_>)| (instance.name.to_string(), graph.upstream(index));
        *self.0.borrow_mut() = graph.instances.iter_enumerated().map(of).collect();
    }

    fn of(&self, instance: &str) -> Value {
        self.0.borrow().get(instance).cloned().unwrap_or_default()
    }
}

impl StoredResults {
    /// Answers from this cache, and from what is known of the graph.
    #[must_use]
    pub fn new(store: &Store, upstream: &Upstream) -> Self {
        Self { store: store.clone(), upstream: upstream.clone() }
    }

    /// Returns the numbers of the instance.
    #[must_use]
    pub fn past(&self, finished: &Event) -> Option<Numbers> {
        let Event::StageFinished { key: Some(key), instance, .. } = finished else { return None };
        let manifest = self.store.manifest(key).ok()??;
        let parameters = (*manifest.recipe.params).clone();
        let upstream = self.upstream.of(instance);
        Some(Numbers { parameters, upstream, metrics: manifest.metrics, series: manifest.series })
    }

    /// Returns the images among its outputs.
    #[must_use]
    pub fn pictures(&self, finished: &Event) -> Vec<Picture> {
        let Event::StageFinished { outputs, .. } = finished else { return Vec::new() };
        let small = outputs.iter().filter(|(_, output)| output.bytes <= MOST_BYTES);
        let picture = |(port, output): (&String, &Output)| {
            let artifact = self.store.read(&output.hash).ok()?;
            let tensors: Vec<&Tensor> = artifact.tensors().values().filter(|t| t.dtype() == DType::U8).collect();
            grid(port, &tensors)
        };
        small.filter_map(picture).collect()
    }
}

/// Makes one picture of all images. A tensor `[N, V, C, H, W]` has the V variants of each image side by side. Several
/// tensors `[N, C, H, W]` of equal shape have the images with the same index side by side. Returns `None` for a single
/// tensor `[N, C, H, W]`, as in a dataset.
fn grid(name: &str, tensors: &[&Tensor]) -> Option<Picture> {
    let first = tensors.first()?;
    if tensors.iter().any(|tensor| tensor.dims() != first.dims()) {
        return None;
    }
    let images = match *first.dims() {
        [_, _, _, _] => Tensor::stack(tensors, 1).ok()?,
        [_, _, _, _, _] => (*first).clone(),
        _ => return None,
    };
    let (count, across, ..) = images.dims5().ok()?;
    let rows = count.min(MOST_IMAGES);
    if rows == 0 || across < 2 {
        return None;
    }
    let shown: Vec<Option<usize>> = (0..rows * across).map(Some).collect();
    let grid = Images::of(&images)?.grid(&shown, across, u32::MAX, 0);
    Some(Picture { name: name.to_owned(), width: grid.width(), height: grid.height(), png: png(grid) })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn variants_of_an_image_stand_beside_each_other() {
        // Two images of one grey pixel, in each of two tensors.
        let column = |a: u8, b: u8| Tensor::from_vec(vec![a, b], (2, 1, 1, 1), &Device::Cpu).unwrap();
        let picture = grid("views", &[&column(1, 2), &column(3, 4)]).unwrap();
        assert_eq!((picture.width, picture.height), (2, 2));
        let pixels = image::load_from_memory(&picture.png).unwrap().to_rgb8().into_raw();
        assert_eq!(pixels, [1, 1, 1, 3, 3, 3, 2, 2, 2, 4, 4, 4]);
    }

    #[test]
    fn what_is_no_image_is_not_shown() {
        let flat = Tensor::zeros((3, 4), DType::U8, &Device::Cpu).unwrap();
        assert_eq!(grid("flat", &[&flat]), None);
        let dataset = Tensor::zeros((3, 3, 2, 2), DType::U8, &Device::Cpu).unwrap();
        assert_eq!(grid("dataset", &[&dataset]), None);
        assert_eq!(grid("none", &[]), None);
    }
}
