//! Activations between layers, and the backward pass through a chain of layers as one operation of candle.
//!
//! candle adds up gradients out of place, on one thread, through a tensor of zeros. So layers on the CPU are not
//! candle operations one by one: each result remembers the layer that made it, and only when a chain ends
//! ([`Activation::into_tensor`]) it becomes a tensor, made by one custom operation whose backward pass walks the chain.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Shape, Storage, Tensor};

use super::channel::Sums;
use crate::ml::{Error, Result};

/// What flows from layer to layer: a tensor, or a result of the CPU kernels. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Activation(pub(super) Repr);

#[derive(Clone, Debug)]
pub(super) enum Repr {
    /// For layers made of candle's operations.
    Tensor(Tensor),
    /// For layers made of this module's kernels.
    Node(Arc<Node>),
}

/// A value and, where gradients are wanted, how it was made.
#[derive(Debug)]
pub(super) struct Node {
    dims: Vec<usize>,
    data: Data,
    origin: Option<Origin>,
    /// Whether a gradient of this value is wanted.
    tracked: bool,
}

#[derive(Debug)]
enum Data {
    Floats(Vec<f32>),
    Tensor(Tensor),
}

#[derive(Debug)]
struct Origin {
    layer: Box<dyn Layer>,
    parents: Vec<Arc<Node>>,
    parameters: Vec<Tensor>,
}

/// One layer's backward pass.
pub(super) trait Layer: std::fmt::Debug + Send + Sync {
    /// Turns the gradient of the output into those of the parents, which are added to what `parents` hold, and returns
    /// those of the parameters.
    ///
    /// `sums` is there if [`Layer::prepare`] has seen the whole gradient already.
    fn backward(
        &self,
        parameters: &[Floats],
        out: &[f32],
        gradient: Vec<f32>,
        sums: Option<Sums>,
        parents: &mut [Parent],
    ) -> Vec<Vec<f32>>;

    /// Whether the layer that forms the last share of this layer's gradient shall call [`Layer::prepare`].
    fn prepares(&self) -> bool {
        false
    }

    /// Sees a chunk of the finished gradient of the output from element `first` on, while it is in the cache, and may
    /// change it. `out` is the chunk's output.
    fn prepare(&self, _first: usize, _out: &[f32], _gradient: &mut [f32]) -> Sums {
        Sums::default()
    }
}

/// A parent of a layer: its value, and its gradient as summed up so far.
pub(super) struct Parent<'a> {
    pub value: Floats<'a>,
    pub tracked: bool,
    pub gradient: Option<Vec<f32>>,
    /// The layer that made the value, if it wants to see the gradient and no more shares of it will come.
    pub layer: Option<&'a dyn Layer>,
    /// What the layer made of the gradient.
    pub sums: Option<Sums>,
}

impl Parent<'_> {
    /// Adds to the gradient.
    pub(super) fn add(&mut self, more: Vec<f32>) {
        match &mut self.gradient {
            Some(sum) => super::normalise::add_to(sum, &more),
            none => *none = Some(more),
        }
    }
}

/// Contiguous floats, borrowed from a vector or from a tensor.
pub(super) enum Floats<'a> {
    Slice(&'a [f32]),
    Guard(Box<dyn Deref<Target = Storage> + 'a>, [usize; 2]),
}

impl Deref for Floats<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Slice(floats) => floats,
            Self::Guard(guard, [start, end]) => match &***guard {
                Storage::Cpu(CpuStorage::F32(floats)) => &floats[*start..*end],
                _ => &[],
            },
        }
    }
}

impl Floats<'_> {
    /// The elements of a contiguous float32 tensor of the CPU.
    pub(super) fn of(tensor: &Tensor) -> Floats<'_> {
        let (guard, layout) = tensor.storage_and_layout();
        let start = layout.start_offset();
        Floats::Guard(Box::new(guard), [start, start + layout.shape().elem_count()])
    }
}

/// A contiguous version of a tensor; the tensor itself if it is one.
pub(super) fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    if tensor.dtype() != DType::F32 {
        return Err(Error::Invalid(format!("kernels: float32 is needed, not {:?}", tensor.dtype())));
    }
    Ok(tensor.contiguous()?)
}

impl Activation {
    /// A tensor as the input of layers: by the kernels of this module on the CPU, else by candle's operations.
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

    /// A tensor as the input of layers made of candle's own operations, on any device: slow, and the yardstick of the
    /// kernels.
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
    /// If it has another rank.
    pub fn dims4(&self) -> Result<[usize; 4]> {
        self.dims().try_into().map_err(|_| Error::Invalid(format!("{:?} is not [N, H, W, C]", self.dims())))
    }

    /// The number of elements.
    #[must_use]
    pub fn elem_count(&self) -> usize {
        self.dims().iter().product()
    }

    /// The activation as a tensor, from which gradients flow back through all layers to the inputs and parameters.
    ///
    /// # Errors
    /// If the operation cannot be made.
    pub fn into_tensor(self) -> Result<Tensor> {
        match self.0 {
            Repr::Tensor(tensor) => Ok(tensor),
            Repr::Node(node) => chain(node),
        }
    }
}

impl Node {
    pub(super) fn floats(&self) -> Floats<'_> {
        match &self.data {
            Data::Floats(floats) => Floats::Slice(floats),
            Data::Tensor(tensor) => Floats::of(tensor),
        }
    }

    /// The result of a layer. `layer` is asked only if a gradient is wanted.
    pub(super) fn result(
        dims: Vec<usize>,
        floats: Vec<f32>,
        parents: &[&Arc<Node>],
        parameters: &[&Tensor],
        layer: impl FnOnce() -> Box<dyn Layer>,
    ) -> Activation {
        let tracked = parents.iter().any(|p| p.tracked) || parameters.iter().any(|p| p.track_op());
        let origin = tracked.then(|| Origin {
            layer: layer(),
            parents: parents.iter().map(|&p| p.clone()).collect(),
            parameters: parameters.iter().map(|&p| p.clone()).collect(),
        });
        Activation(Repr::Node(Arc::new(Node { dims, data: Data::Floats(floats), origin, tracked })))
    }
}

/// Ends a chain: the value as a tensor made by one operation on the inputs and all parameters.
fn chain(mut last: Arc<Node>) -> Result<Tensor> {
    if let Data::Tensor(tensor) = &last.data {
        return Ok(tensor.clone());
    }
    let dims = last.dims.clone();
    let floats = match Arc::get_mut(&mut last) {
        Some(Node { data: Data::Floats(floats), .. }) => std::mem::take(floats),
        _ => last.floats().to_vec(),
    };
    if !last.tracked {
        return Ok(Tensor::from_vec(floats, dims, &candle_core::Device::Cpu)?);
    }
    let nodes = in_order(&last);
    let gradients = Arc::new(Mutex::new(Vec::new()));
    let mut token: Option<Tensor> = None;
    for (index, leaf) in leaves(&nodes).filter(|leaf| leaf.track_op()).enumerate() {
        let link = Link { index, gradients: gradients.clone() };
        token = Some(match token {
            None => leaf.apply_op1(link)?,
            Some(token) => token.apply_op2(leaf, link)?,
        });
    }
    let chain = Chain { nodes, dims, out: Mutex::new(Some(floats)), gradients };
    match token {
        Some(token) => Ok(token.apply_op1(chain)?),
        None => Err(Error::Invalid("a tracked chain of layers has no tracked tensor".to_owned())),
    }
}

/// The tensors that went into a chain: inputs and parameters, node by node.
fn leaves(nodes: &[Arc<Node>]) -> impl Iterator<Item = &Tensor> {
    nodes.iter().flat_map(|node| {
        let input = match &node.data {
            Data::Tensor(tensor) => Some(tensor),
            Data::Floats(_) => None,
        };
        input.into_iter().chain(node.origin.iter().flat_map(|origin| &origin.parameters))
    })
}

/// All values that `last` was made of, parents first.
fn in_order(last: &Arc<Node>) -> Vec<Arc<Node>> {
    fn visit(node: &Arc<Node>, seen: &mut Vec<Arc<Node>>) {
        if seen.iter().any(|other| Arc::ptr_eq(node, other)) {
            return;
        }
        for parent in node.origin.iter().flat_map(|origin| &origin.parents) {
            visit(parent, seen);
        }
        seen.push(node.clone());
    }
    let mut seen = Vec::new();
    visit(last, &mut seen);
    seen
}

/// Gradients of the tracked leaves of a chain, from its operation to those that hand them on.
type Gradients = Arc<Mutex<Vec<Option<Tensor>>>>;

/// A whole chain of layers as one operation: the result exists already, the backward pass walks the layers.
///
/// An operation of candle has at most three operands, and a chain has hundreds. So its operand is a token that depends
/// on all of them, one [`Link`] after the other; the backward pass leaves the gradients where the links find them.
struct Chain {
    nodes: Vec<Arc<Node>>,
    dims: Vec<usize>,
    out: Mutex<Option<Vec<f32>>>,
    gradients: Gradients,
}

/// Makes the token depend on one more tensor, and hands that tensor its gradient.
struct Link {
    index: usize,
    gradients: Gradients,
}

/// A tensor of one zero: the value of every token and its gradient.
fn token() -> candle_core::Result<Tensor> {
    Tensor::zeros(1, DType::F32, &candle_core::Device::Cpu)
}

impl Link {
    fn gradient(&self, leaf: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let mut gradients = self.gradients.lock().unwrap_or_else(PoisonError::into_inner);
        match gradients.get_mut(self.index).and_then(Option::take) {
            Some(gradient) => Ok(Some(gradient)),
            None => leaf.zeros_like().map(Some),
        }
    }
}

impl CustomOp1 for Link {
    fn name(&self) -> &'static str {
        "link"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(1)))
    }

    fn bwd(&self, leaf: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.gradient(leaf)
    }
}

impl CustomOp2 for Link {
    fn name(&self) -> &'static str {
        "link"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(1)))
    }

    fn bwd(
        &self,
        _: &Tensor,
        leaf: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(token()?), self.gradient(leaf)?))
    }
}

impl Chain {
    fn forward(&self) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner).take();
        let out = out.ok_or_else(|| candle_core::Error::Msg("a chain of layers runs once".to_owned()))?;
        Ok((CpuStorage::F32(out), Shape::from(self.dims.clone())))
    }

    /// Leaves the gradients of the tracked leaves, in their order.
    fn backward(&self, out: &Tensor, gradient: &Tensor) -> candle_core::Result<()> {
        let position = |node: &Arc<Node>| self.nodes.iter().position(|other| Arc::ptr_eq(node, other)).unwrap_or(0);
        let last = self.nodes.len() - 1;
        let mut gradients: Vec<Option<Vec<f32>>> = self.nodes.iter().map(|_| None).collect();
        let gradient = gradient.contiguous()?;
        gradients[last] = Some(Floats::of(&gradient).to_vec());
        let mut sums: Vec<Option<Sums>> = self.nodes.iter().map(|_| None).collect();
        let mut shares = vec![0usize; self.nodes.len()];
        for parent in self.nodes.iter().filter_map(|n| n.origin.as_ref()).flat_map(|o| &o.parents) {
            shares[position(parent)] += 1;
        }
        let mut parameters: Vec<Vec<Vec<f32>>> = self.nodes.iter().map(|_| Vec::new()).collect();
        for (index, node) in self.nodes.iter().enumerate().rev() {
            let Some(origin) = &node.origin else { continue };
            let Some(gradient) = gradients[index].take() else { continue };
            let mut parents: Vec<Parent> = Vec::with_capacity(origin.parents.len());
            for parent in &origin.parents {
                // A value used twice by one layer gets both gradients through one slot: the second starts empty.
                let at = position(parent);
                let gradient = gradients[at].take();
                shares[at] -= 1;
                let again = origin.parents.iter().filter(|other| Arc::ptr_eq(other, parent)).count() > 1;
                let layer = parent.origin.as_ref().map(|origin| origin.layer.as_ref());
                let layer = layer.filter(|layer| layer.prepares() && shares[at] == 0 && !again);
                let (value, tracked) = (parent.floats(), parent.tracked);
                parents.push(Parent { value, tracked, gradient, layer, sums: None });
            }
            let contiguous = origin.parameters.iter().map(Tensor::contiguous).collect::<Result<Vec<_>, _>>()?;
            let values: Vec<Floats> = contiguous.iter().map(Floats::of).collect();
            let value = if index == last { Floats::of(out) } else { node.floats() };
            parameters[index] = origin.layer.backward(&values, &value, gradient, sums[index].take(), &mut parents);
            for (parent, node) in parents.into_iter().zip(&origin.parents) {
                let slot = &mut gradients[position(node)];
                if parent.sums.is_some() {
                    sums[position(node)] = parent.sums;
                }
                match (slot.as_mut(), parent.gradient) {
                    (Some(sum), Some(more)) => super::normalise::add_to(sum, &more),
                    (_, more) => *slot = more.or_else(|| slot.take()),
                }
            }
        }
        let mut results = Vec::new();
        let mut hand_on = |leaf: &Tensor, gradient: Option<Vec<f32>>| -> candle_core::Result<()> {
            if leaf.track_op() {
                results.push(gradient.map(|g| Tensor::from_vec(g, leaf.dims(), leaf.device())).transpose()?);
            }
            Ok(())
        };
        for ((node, gradient), parameters) in self.nodes.iter().zip(gradients).zip(parameters) {
            if let Data::Tensor(tensor) = &node.data {
                hand_on(tensor, gradient)?;
            }
            let leaves = node.origin.iter().flat_map(|origin| &origin.parameters);
            let mut parameters = parameters.into_iter();
            leaves.into_iter().try_for_each(|leaf| hand_on(leaf, parameters.next()))?;
        }
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = results;
        Ok(())
    }
}

impl CustomOp1 for Chain {
    fn name(&self) -> &'static str {
        "layers"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward()
    }

    fn bwd(&self, _: &Tensor, out: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.backward(out, gradient)?;
        token().map(Some)
    }
}
