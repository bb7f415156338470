//! The backward pass through a chain of layers, as one operation of candle.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Shape, Tensor};

use crate::ml::{
    Error, Result,
    kernels::{
        autograd::{
            activation::{Activation, Data, Node, Origin, Parent, Repr},
            source::Source,
        },
        memory::{buffer::add_to, floats::Floats},
        norm::channel::Sums,
    },
};

impl Activation {
    /// The activation as a tensor, from which gradients flow back through all layers to the inputs and parameters.
    ///
    /// # Errors
    /// If candle refuses the operation.
    pub fn into_tensor(self) -> Result<Tensor> {
        match self.0 {
            Repr::Tensor(tensor) => Ok(tensor),
            Repr::Node(node) => chain(node),
        }
    }
}

/// Ends a chain: its value becomes a tensor, the result of one operation on the inputs and all parameters.
pub(crate) fn chain(mut last: Arc<Node>) -> Result<Tensor> {
    if let Data::Tensor(tensor) = &last.data {
        return Ok(tensor.clone());
    }
    let dims = last.dims.clone();
    let floats = match Arc::get_mut(&mut last) {
        Some(Node { data: Data::Floats(floats), .. }) => std::mem::take(floats),
        _ => last.floats().into_vec(),
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
    let chain = Chain { nodes: Mutex::new(nodes), dims, out: Mutex::new(Some(floats)), gradients };
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
            Data::Floats(_) | Data::Normalised(_) => None,
        };
        input.into_iter().chain(node.origin.iter().flat_map(|origin| &origin.parameters))
    })
}

/// All values that `last` depends on, parents first.
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

/// Gradients of the tracked leaves of a chain, passed from its operation to the links.
type Gradients = Arc<Mutex<Vec<Option<Tensor>>>>;

/// A whole chain of layers as one operation. Its result exists already, and its backward pass goes through the layers.
///
/// An operation of candle has at most three operands, and a chain has hundreds. So its operand is a token that depends
/// on all of them, by one [`Link`] for each. The backward pass stores the gradients, and the links return them.
///
/// The backward pass frees the memory of each layer after use, so it can run only once.
struct Chain {
    nodes: Mutex<Vec<Arc<Node>>>,
    dims: Vec<usize>,
    out: Mutex<Option<Vec<f32>>>,
    gradients: Gradients,
}

/// Makes the token depend on one more tensor, and returns the gradient of that tensor.
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
        let out = out.ok_or_else(|| {
            candle_core::Error::Msg("the result of a chain of layers can be taken only once".to_owned())
        })?;
        Ok((CpuStorage::F32(out), Shape::from(self.dims.clone())))
    }

    /// Stores the gradients of the tracked leaves in their order.
    fn backward(&self, out: &Tensor, gradient: &Tensor) -> candle_core::Result<()> {
        let mut nodes = std::mem::take(&mut *self.nodes.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(last) = nodes.len().checked_sub(1) else {
            return Err(candle_core::Error::Msg("the backward pass of a chain of layers can run only once".to_owned()));
        };
        let mut flow = Flow::new(&nodes);
        flow.gradients[last] = Some(Floats::of(&gradient.contiguous()?).to_vec());
        let mut results = Vec::new();
        while let Some(node) = nodes.pop() {
            let gradient = flow.gradients[nodes.len()].take();
            let leaves: Vec<&Tensor> = leaves(std::slice::from_ref(&node)).collect();
            let of_leaves = match (&node.origin, gradient) {
                (Some(origin), Some(gradient)) => {
                    let value = if nodes.len() == last { Source::Floats(Floats::of(out)) } else { node.source() };
                    let value = value.stored(0..value.len());
                    flow.through(&nodes, origin, value, gradient)?.into_iter().map(Some).collect()
                }
                (Some(_), None) => vec![None; leaves.len()],
                (None, gradient) => vec![gradient],
            };
            let tracked = leaves.into_iter().zip(of_leaves).filter(|(leaf, _)| leaf.track_op());
            let tensor = |(leaf, gradient): (&Tensor, Option<Vec<f32>>)| {
                gradient.map(|gradient| Tensor::from_vec(gradient, leaf.dims(), leaf.device())).transpose()
            };
            results.push(tracked.map(tensor).collect::<candle_core::Result<Vec<_>>>()?);
        }
        let results = results.into_iter().rev().flatten().collect();
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = results;
        Ok(())
    }
}

/// The gradients on their way back through a chain, by the index of each node.
struct Flow {
    gradients: Vec<Option<Vec<f32>>>,
    sums: Vec<Option<Sums>>,
    /// Number of shares of the gradient that are still missing.
    shares: Vec<usize>,
}

impl Flow {
    fn new(nodes: &[Arc<Node>]) -> Self {
        let mut shares = vec![0; nodes.len()];
        for parent in nodes.iter().filter_map(|n| n.origin.as_ref()).flat_map(|o| &o.parents) {
            shares[position(nodes, parent)] += 1;
        }
        Self { gradients: vec![None; nodes.len()], sums: vec![None; nodes.len()], shares }
    }

    /// Takes the gradient of the layer that follows `nodes` through that layer to its parents, and returns the
    /// gradients of its parameters.
    fn through(
        &mut self,
        nodes: &[Arc<Node>],
        origin: &Origin,
        value: &[f32],
        gradient: Vec<f32>,
    ) -> candle_core::Result<Vec<Vec<f32>>> {
        let mut parents: Vec<Parent> = Vec::with_capacity(origin.parents.len());
        for parent in &origin.parents {
            // A layer that uses a value twice has two parents for it. The first holds the gradient so far, and the
            // second starts empty.
            let at = position(nodes, parent);
            let gradient = self.gradients[at].take();
            self.shares[at] -= 1;
            let again = origin.parents.iter().filter(|other| Arc::ptr_eq(other, parent)).count() > 1;
            let layer = parent.origin.as_ref().map(|origin| origin.layer.as_ref());
            let layer = layer.filter(|layer| layer.prepares() && self.shares[at] == 0 && !again);
            let (value, tracked) = (parent.source(), parent.tracked);
            parents.push(Parent { value, tracked, gradient, layer, sums: None });
        }
        let contiguous = origin.parameters.iter().map(Tensor::contiguous).collect::<Result<Vec<_>, _>>()?;
        let parameters: Vec<Floats> = contiguous.iter().map(Floats::of).collect();
        let sums = self.sums[nodes.len()].take();
        let gradients = origin.layer.backward(&parameters, value, gradient, sums, &mut parents);
        for (parent, node) in parents.into_iter().zip(&origin.parents) {
            let at = position(nodes, node);
            self.sums[at] = parent.sums.or_else(|| self.sums[at].take());
            let slot = &mut self.gradients[at];
            match (slot.as_mut(), parent.gradient) {
                (Some(sum), Some(more)) => add_to(sum, &more),
                (_, more) => *slot = more.or_else(|| slot.take()),
            }
        }
        Ok(gradients)
    }
}

fn position(nodes: &[Arc<Node>], node: &Arc<Node>) -> usize {
    nodes.iter().position(|other| Arc::ptr_eq(node, other)).unwrap_or(0)
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
