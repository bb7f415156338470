//! Optimisers with PyTorch's semantics, and their table of parameters.

mod in_place;

use std::collections::BTreeMap;

use candle_core::{Tensor, Var, backprop::GradStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::in_place::in_place;
use super::{Error, Result, finite};

/// How weights follow gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizer {
    /// The rule: `sgd`, `adam`, `adamw` or `lars`.
    pub kind: OptimizerKind,
    /// Learning rate, above 0; the schedule multiplies it.
    pub lr: f64,
    /// Momentum of `sgd` and `lars`, in [0, 1).
    pub momentum: f64,
    /// Nesterov momentum in `sgd`.
    pub nesterov: bool,
    /// Weight decay: added to the gradient, but in `adamw` taken from the weights.
    pub weight_decay: f64,
    /// Whether biases and normalisation parameters are spared from weight decay (and from the scaling of `lars`).
    pub exclude_bias_and_norm: bool,
    /// Decay of the first moment in `adam` and `adamw`, in [0, 1).
    pub beta1: f64,
    /// Decay of the second moment in `adam` and `adamw`, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the second moment in `adam` and `adamw`.
    pub eps: f64,
    /// Trust coefficient of `lars`.
    pub trust: f64,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            lr: 1e-3,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
            exclude_bias_and_norm: true,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            trust: 0.001,
        }
    }
}

/// The rule of an optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam (Kingma and Ba 2015).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw,
    /// Layer-wise adaptive rate scaling (You et al. 2017).
    Lars,
}

impl Optimizer {
    /// Checks the values of all fields.
    ///
    /// # Errors
    /// If a value is out of range, with the name of the field and a message.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (name, value) in [("lr", self.lr), ("eps", self.eps), ("trust", self.trust)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err((name, format!("must be above 0, not {value}")));
            }
        }
        for (name, value) in [("momentum", self.momentum), ("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err((name, format!("must be in [0, 1), not {value}")));
            }
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(("weight_decay", format!("must be at least 0, not {}", self.weight_decay)));
        }
        Ok(())
    }
}

impl Optimizer {
    /// The fields that have no effect, given the others.
    #[must_use]
    pub fn idle(&self) -> Vec<&'static str> {
        let mut idle = match self.kind {
            OptimizerKind::Sgd if self.momentum == 0.0 => vec!["nesterov", "beta1", "beta2", "eps", "trust"],
            OptimizerKind::Sgd => vec!["beta1", "beta2", "eps", "trust"],
            OptimizerKind::Lars => vec!["nesterov", "beta1", "beta2", "eps"],
            OptimizerKind::Adam | OptimizerKind::Adamw => vec!["momentum", "nesterov", "trust"],
        };
        // `lars` does not scale biases either.
        if self.weight_decay == 0.0 && self.kind != OptimizerKind::Lars {
            idle.push("exclude_bias_and_norm");
        }
        idle
    }
}

/// An optimiser of some variables, with its memory of each.
#[derive(Debug)]
pub struct Optim {
    table: Optimizer,
    slots: Vec<Slot>,
    steps: u64,
}

/// A variable, and its momentum (`first`) or moments.
#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    first: Tensor,
    second: Option<Tensor>,
}

impl Optim {
    /// An optimiser of `parameters` before its first step.
    ///
    /// # Errors
    /// If its memory cannot be made on the device.
    pub fn new(table: &Optimizer, parameters: &[(String, Var)]) -> Result<Self> {
        let adaptive = matches!(table.kind, OptimizerKind::Adam | OptimizerKind::Adamw);
        let slots = parameters
            .iter()
            .map(|(name, var)| {
                let second = adaptive.then(|| var.zeros_like()).transpose()?;
                Ok(Slot { name: name.clone(), var: var.clone(), first: var.zeros_like()?, second })
            })
            .collect::<Result<_>>()?;
        Ok(Self { table: table.clone(), slots, steps: 0 })
    }

    /// Moves every variable against its gradient, with `factor` times the rate of the table. It removes the gradients
    /// from the store; a variable without a gradient does not change.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn step(&mut self, gradients: &mut GradStore, factor: f64) -> Result<()> {
        self.steps += 1;
        let lr = self.table.lr * factor;
        for slot in &mut self.slots {
            let Some(gradient) = gradients.remove(slot.var.as_tensor()) else { continue };
            if slot.var.device().is_cpu() && self.table.kind == OptimizerKind::Sgd {
                slot.sgd_in_place(&self.table, &gradient.contiguous()?, lr)?;
                continue;
            }
            let moved = match self.table.kind {
                OptimizerKind::Sgd => slot.sgd(&self.table, &gradient, lr)?,
                OptimizerKind::Lars => slot.lars(&self.table, &gradient, lr)?,
                OptimizerKind::Adam | OptimizerKind::Adamw => slot.adam(&self.table, &gradient, lr, self.steps)?,
            };
            slot.var.set(&moved)?;
        }
        Ok(())
    }

    /// The table's learning rate.
    #[must_use]
    pub fn lr(&self) -> f64 {
        self.table.lr
    }

    /// Number of steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The largest share of a weight that one step of weight decay takes away.
    #[must_use]
    pub fn decay(&self) -> f64 {
        self.table.lr * self.table.weight_decay
    }

    /// Refuses a memory that is not finite. Its parameter would become infinite or, if it is a second moment, never
    /// change again.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or if a tensor cannot be read.
    pub fn require_finite(&self) -> Result<()> {
        for slot in &self.slots {
            for memory in std::iter::once(&slot.first).chain(&slot.second) {
                finite::require(memory, || format!("the optimiser's memory of `{}`", slot.name))?;
            }
        }
        Ok(())
    }

    /// The memory of the optimiser by name, including `steps`.
    ///
    /// # Errors
    /// If a tensor cannot be made on the device.
    pub fn to_tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for slot in &self.slots {
            tensors.insert(format!("first.{}", slot.name), slot.first.copy()?);
            if let Some(second) = &slot.second {
                tensors.insert(format!("second.{}", slot.name), second.clone());
            }
        }
        tensors.insert("steps".to_owned(), Tensor::new(&[self.steps as i64], &candle_core::Device::Cpu)?);
        Ok(tensors)
    }

    /// Restores the memory that [`Optim::to_tensors`] gave.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let find = |name: String, like: &Tensor| -> Result<Tensor> {
            match tensors.get(&name) {
                Some(tensor) if tensor.dims() == like.dims() => Ok(tensor.to_device(like.device())?),
                _ => Err(Error::Invalid(format!("the optimiser's memory has no {name} of shape {:?}", like.dims()))),
            }
        };
        for slot in &mut self.slots {
            slot.first = find(format!("first.{}", slot.name), &slot.first)?.copy()?;
            if let Some(second) = &mut slot.second {
                *second = find(format!("second.{}", slot.name), second)?;
            }
        }
        let steps =
            tensors.get("steps").ok_or_else(|| Error::Invalid("the optimiser's memory has no steps".to_owned()))?;
        self.steps = steps.to_vec1::<i64>()?.first().copied().unwrap_or(0) as u64;
        Ok(())
    }
}

impl Slot {
    /// The variable's value, outside the graph.
    fn value(&self) -> Tensor {
        self.var.as_detached_tensor()
    }

    /// Biases and the parameters of normalisations have rank 1.
    fn decay(&self, table: &Optimizer) -> f64 {
        if table.exclude_bias_and_norm && self.var.rank() <= 1 { 0.0 } else { table.weight_decay }
    }

    fn decayed(&self, gradient: &Tensor, decay: f64) -> Result<Tensor> {
        Ok(if decay == 0.0 { gradient.clone() } else { (gradient + (self.value() * decay)?)? })
    }

    fn sgd(&mut self, table: &Optimizer, gradient: &Tensor, lr: f64) -> Result<Tensor> {
        let gradient = self.decayed(gradient, self.decay(table))?;
        let update = if table.momentum == 0.0 {
            gradient
        } else {
            self.first = ((&self.first * table.momentum)? + &gradient)?;
            if table.nesterov { (gradient + (&self.first * table.momentum)?)? } else { self.first.clone() }
        };
        Ok((self.value() - (update * lr)?)?)
    }

    /// [`Slot::sgd`] in two passes over memory.
    fn sgd_in_place(&mut self, table: &Optimizer, gradient: &Tensor, lr: f64) -> Result<()> {
        let (decay, momentum, lr) = (self.decay(table) as f32, table.momentum as f32, lr as f32);
        if momentum == 0.0 {
            return in_place(&self.value(), [gradient, gradient], |values, [gradient, _]| {
                for (value, g) in values.iter_mut().zip(gradient) {
                    *value -= (g + *value * decay) * lr;
                }
            });
        }
        in_place(&self.first, [gradient, &self.value()], |first, [gradient, values]| {
            for ((first, g), value) in first.iter_mut().zip(gradient).zip(values) {
                *first = *first * momentum + (g + value * decay);
            }
        })?;
        let nesterov = table.nesterov;
        in_place(&self.value(), [&self.first, gradient], |values, [first, gradient]| {
            for ((value, first), g) in values.iter_mut().zip(first).zip(gradient) {
                let update = if nesterov { g + *value * decay + first * momentum } else { *first };
                *value -= update * lr;
            }
        })
    }

    fn lars(&mut self, table: &Optimizer, gradient: &Tensor, lr: f64) -> Result<Tensor> {
        let norm = |x: &Tensor| -> Result<f64> { Ok(f64::from(x.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt()) };
        let decay = self.decay(table);
        let mut update = self.decayed(gradient, decay)?;
        if !(table.exclude_bias_and_norm && self.var.rank() <= 1) {
            let (weights, slope) = (norm(&self.value())?, norm(gradient)?);
            if weights > 0.0 && slope > 0.0 {
                update = (update * (table.trust * weights / (slope + decay * weights)))?;
            }
        }
        self.first = ((&self.first * table.momentum)? + update)?;
        Ok((self.value() - (&self.first * lr)?)?)
    }

    fn adam(&mut self, table: &Optimizer, gradient: &Tensor, lr: f64, steps: u64) -> Result<Tensor> {
        let decay = self.decay(table);
        let decoupled = table.kind == OptimizerKind::Adamw;
        let gradient = self.decayed(gradient, if decoupled { 0.0 } else { decay })?;
        let value = if decoupled && decay > 0.0 { (self.value() * (1.0 - lr * decay))? } else { self.value() };
        let blend = |old: &Tensor, new: &Tensor, beta: f64| (old * beta)? + (new * (1.0 - beta))?;
        self.first = blend(&self.first, &gradient, table.beta1)?;
        let old = match &self.second {
            Some(second) => second.clone(),
            None => gradient.zeros_like()?,
        };
        let second = blend(&old, &gradient.sqr()?, table.beta2)?;
        let exponent = i32::try_from(steps).unwrap_or(i32::MAX);
        let (correction1, correction2) = (1.0 - table.beta1.powi(exponent), 1.0 - table.beta2.powi(exponent));
        let root = ((second.sqrt()? / correction2.sqrt())? + table.eps)?;
        self.second = Some(second);
        Ok((value - ((&self.first / root)? * (lr / correction1))?)?)
    }
}
