//! Activations between layers: values that remember the layer that made them.
//!
//! candle adds gradients out of place, on one thread, and starts from a tensor of zeros. Layers on the CPU are
//! therefore not operations of candle. Each result remembers the layer that made it, and when a chain of layers ends
//! ([`Activation::into_tensor`]), it becomes a tensor by one custom operation whose backward pass goes through the
//! chain (`chain`).

use std::sync::Arc;

use candle_core::{DType, Tensor};

use crate::ml::{
    Error, Result,
    kernels::{
        autograd::source::{Normalised, Source},
        memory::{
            buffer::add_to,
            floats::{Floats, contiguous},
        },
        norm::channel::Sums,
    },
};

/// A value between layers: a tensor, or a result of the CPU kernels. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Activation(pub(crate) Repr);

#[derive(Clone, Debug)]
pub(crate) enum Repr {
    /// For layers made of candle's operations.
    Tensor(Tensor),
    /// For layers made of this module's kernels.
    Node(Arc<Node>),
}

/// A value and, if a gradient is needed, the layer that made it.
#[derive(Debug)]
pub(crate) struct Node {
    pub dims: Vec<usize>,
    pub data: Data,
    pub origin: Option<Origin>,
    /// Whether a gradient of this value is needed.
    pub tracked: bool,
}

#[derive(Debug)]
pub(crate) enum Data {
    Floats(Vec<f32>),
    Normalised(Arc<Normalised>),
    Tensor(Tensor),
}

impl From<Vec<f32>> for Data {
    fn from(floats: Vec<f32>) -> Self {
        Self::Floats(floats)
    }
}

#[derive(Debug)]
pub(crate) struct Origin {
    pub layer: Box<dyn Module>,
    pub parents: Vec<Arc<Node>>,
    pub parameters: Vec<Tensor>,
}

/// One layer's backward pass.
pub(crate) trait Module: std::fmt::Debug + Send + Sync {
    /// Computes the gradients of the parents from that of the output, adds them to the ones in `parents`, and returns
    /// the gradients of the parameters.
    ///
    /// `out` is the layer's output, or empty if it is not stored. `sums` are the results of [`Module::prepare`], if
    /// that has seen the whole gradient.
    fn backward(
        &self,
        parameters: &[Floats],
        out: &[f32],
        gradient: Vec<f32>,
        sums: Option<Sums>,
        parents: &mut [Parent],
    ) -> Vec<Vec<f32>>;

    /// Whether the layer that adds the last share of this layer's gradient must call [`Module::prepare`].
    fn prepares(&self) -> bool {
        false
    }

    /// Receives a chunk of the finished gradient of the output, from element `first` on, while it is in the cache, and
    /// may change it. `out` is the chunk of the output, or empty if it is not stored.
    fn prepare(&self, _first: usize, _out: &[f32], _gradient: &mut [f32]) -> Sums {
        Sums::default()
    }
}

/// A parent of a layer: its value, and the sum of its gradient so far.
pub(crate) struct Parent<'a> {
    pub value: Source<'a>,
    pub tracked: bool,
    pub gradient: Option<Vec<f32>>,
    /// The layer that made the value, if it prepares its gradient and this is the last share of it.
    pub layer: Option<&'a dyn Module>,
    /// The results of [`Module::prepare`].
    pub sums: Option<Sums>,
}

impl Parent<'_> {
    /// Adds a share to the gradient.
    pub(crate) fn add(&mut self, more: Vec<f32>) {
        match &mut self.gradient {
            Some(sum) => add_to(sum, &more),
            none => *none = Some(more),
        }
    }
}

impl Activation {
    /// A tensor as the input of layers, which use the kernels of this module on the CPU and candle's operations
    /// elsewhere.
    ///
    /// # Errors
    /// If the tensor cannot be made contiguous.
    pub fn new(tensor: &Tensor) -> Result<Self> {
        if !tensor.device().is_cpu() || tensor.dtype() != DType::F32 {
            return Ok(Self::by_candle(tensor));
        }
        let tensor = contiguous(tensor)?;
        let (dims, tracked) = (tensor.dims().to_vec(), tensor.track_op());
        Ok(Self(Repr::Node(Arc::new(Node { dims, data: Data::Tensor(tensor), origin: None, tracked }))))
    }

    /// A tensor as the input of layers that use candle's own operations on any device. They are slow; tests compare the
    /// kernels with them.
    #[must_use]
    pub fn by_candle(tensor: &Tensor) -> Self {
        Self(Repr::Tensor(tensor.clone()))
    }

    /// The dimensions.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        match &self.0 {
            Repr::Tensor(tensor) => tensor.dims(),
            Repr::Node(node) => &node.dims,
        }
    }

    /// Images, rows, columns and channels.
    ///
    /// # Errors
    /// If the rank is not 4.
    pub fn dims4(&self) -> Result<[usize; 4]> {
        dims4(self.dims())
    }

    /// The number of elements.
    #[must_use]
    pub fn elem_count(&self) -> usize {
        self.dims().iter().product()
    }
}

fn dims4(dims: &[usize]) -> Result<[usize; 4]> {
    dims.try_into().map_err(|_| Error::Invalid(format!("{dims:?} is not [N, H, W, C]")))
}

impl Node {
    /// Images, rows, columns and channels.
    pub(crate) fn dims4(&self) -> Result<[usize; 4]> {
        dims4(&self.dims)
    }

    /// The values for a layer that can compute them where it reads them.
    pub(crate) fn source(&self) -> Source<'_> {
        match &self.data {
            Data::Floats(floats) => Source::Floats(Floats::Slice(floats)),
            Data::Normalised(normalised) => Source::Normalised(normalised),
            Data::Tensor(tensor) => Source::Floats(Floats::of(tensor)),
        }
    }

    /// The values as floats.
    pub(crate) fn floats(&self) -> Floats<'_> {
        self.source().into_floats()
    }

    /// The result of a layer. `layer` is called only if a gradient is needed.
    pub(crate) fn result(
        dims: Vec<usize>,
        data: impl Into<Data>,
        parents: &[&Arc<Node>],
        parameters: &[&Tensor],
        layer: impl FnOnce() -> Box<dyn Module>,
    ) -> Activation {
        let tracked = parents.iter().any(|p| p.tracked) || parameters.iter().any(|p| p.track_op());
        let origin = tracked.then(|| Origin {
            layer: layer(),
            parents: parents.iter().map(|&p| p.clone()).collect(),
            parameters: parameters.iter().map(|&p| p.clone()).collect(),
        });
        Activation(Repr::Node(Arc::new(Node { dims, data: data.into(), origin, tracked })))
    }
}
