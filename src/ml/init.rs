//! Named, seeded parameters in a fixed order.
//!
//! Each parameter draws from a stream of its own, named by the seed and its name: its initial value depends on nothing
//! else, so two encoders of one seed start equal, whatever head they have. candle's `VarMap` is a `HashMap` (no order)
//! and its CPU generator cannot be seeded, so neither is used.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};

use super::{Error, Result, finite, rng::Stream};

/// The distribution of the initial values of a parameter. `fan_in` is inputs times window, `fan_out` outputs times
/// window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Zeros.
    Zeros,
    /// Ones.
    Ones,
    /// Normal, standard deviation `sqrt(2 / fan_in)` (He et al. 2015).
    HeNormal,
    /// The same deviation, of a normal distribution that is cut at two of its own: Keras's `he_normal`.
    HeTruncated,
    /// Normal, standard deviation `sqrt(2 / fan_out)`, as torchvision's ResNets start.
    HeNormalFanOut,
    /// Uniform within `sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    GlorotUniform,
    /// Uniform within `sqrt(1 / fan_in)`, as PyTorch's layers start.
    KaimingUniform,
}

impl Init {
    /// Values for a tensor of `shape`, which is `[out, in]` or `[out, in, height, width]` if a fan is needed.
    #[must_use]
    pub fn values(self, shape: &[usize], stream: &mut Stream) -> Vec<f32> {
        let count = shape.iter().product();
        let window: usize = shape.iter().skip(2).product();
        let fan_out = (shape.first().unwrap_or(&1) * window) as f64;
        let fan_in = (shape.get(1).unwrap_or(&1) * window) as f64;
        if self == Self::HeTruncated {
            return truncated(count, (2.0 / fan_in).sqrt(), stream);
        }
        let mut normal = |deviation: f64| (0..count).map(|_| stream.normal() * deviation as f32).collect();
        match self {
            Self::Zeros => vec![0.0; count],
            Self::Ones => vec![1.0; count],
            Self::HeNormal | Self::HeTruncated => normal((2.0 / fan_in).sqrt()),
            Self::HeNormalFanOut => normal((2.0 / fan_out).sqrt()),
            Self::GlorotUniform => uniform(count, (6.0 / (fan_in + fan_out)).sqrt(), stream),
            Self::KaimingUniform => uniform(count, fan_in.recip().sqrt(), stream),
        }
    }
}

/// Normal values, cut at two deviations and scaled to have the standard deviation `deviation`.
fn truncated(count: usize, deviation: f64, stream: &mut Stream) -> Vec<f32> {
    /// Deviation of a standard normal variable that is cut at -2 and 2.
    const CUT: f64 = 0.879_625_661_034_239_8;
    let scale = (deviation / CUT) as f32;
    let mut within = || {
        loop {
            let value = stream.normal();
            if value.abs() <= 2.0 {
                return value * scale;
            }
        }
    };
    (0..count).map(|_| within()).collect()
}

fn uniform(count: usize, bound: f64, stream: &mut Stream) -> Vec<f32> {
    (0..count).map(|_| stream.between(-bound as f32, bound as f32)).collect()
}

/// The parameters (trained) and buffers (running statistics) of a network, in the order of their creation.
///
/// Layers hold clones of the same variables, so that setting one here sets it in the network.
#[derive(Clone, Debug)]
pub struct Params {
    seed: u64,
    device: Device,
    parameters: Vec<(String, Var)>,
    buffers: Vec<(String, Var)>,
    /// The shape of each, if only those are wanted: then the variables are empty.
    shapes: Option<BTreeMap<String, Vec<usize>>>,
}

impl Params {
    /// An empty store whose parameters will be drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, device: device.clone(), parameters: Vec::new(), buffers: Vec::new(), shapes: None }
    }

    /// Returns the shapes of the parameters and buffers that a network makes, by name. It makes them without memory for
    /// their values, so the network may be of any size.
    ///
    /// # Errors
    /// If the network cannot be made.
    pub fn shapes(make: impl FnOnce(&mut Self) -> Result<()>) -> Result<BTreeMap<String, Vec<usize>>> {
        let mut params = Self { shapes: Some(BTreeMap::new()), ..Self::new(0, &Device::Cpu) };
        make(&mut params)?;
        Ok(params.shapes.unwrap_or_default())
    }

    /// The scope of a network's top level.
    pub fn root(&mut self) -> Scope<'_> {
        Scope { params: self, prefix: String::new() }
    }

    /// Trained parameters with their names.
    #[must_use]
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// Buffers with their names.
    #[must_use]
    pub fn buffers(&self) -> &[(String, Var)] {
        &self.buffers
    }

    /// The number of trained values and values in buffers, as Keras counts them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.all().map(|(_, var)| var.elem_count()).sum()
    }

    fn all(&self) -> impl Iterator<Item = &(String, Var)> {
        self.parameters.iter().chain(&self.buffers)
    }

    /// Refuses parameters and running statistics that are not finite; the error names the first.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or if a tensor cannot be read.
    pub fn require_finite(&self) -> Result<()> {
        self.all().try_for_each(|(name, var)| finite::require(var.as_tensor(), || format!("`{name}`")))
    }

    /// Copies of all values by name.
    ///
    /// # Errors
    /// If a copy cannot be made on the device.
    pub fn to_tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        self.all().map(|(name, var)| Ok((name.clone(), var.as_detached_tensor().copy()?))).collect()
    }

    /// Sets every parameter and buffer from `tensors`; other names in it are ignored.
    ///
    /// # Errors
    /// If a name is missing or a shape differs.
    pub fn load(&self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.load_matching(tensors, |_| true)
    }

    /// As [`Params::load`], for the parameters and buffers whose name `wanted` accepts.
    ///
    /// # Errors
    /// If a wanted name is missing or a shape differs.
    pub fn load_matching(&self, tensors: &BTreeMap<String, Tensor>, wanted: impl Fn(&str) -> bool) -> Result<()> {
        for (name, var) in self.all().filter(|(name, _)| wanted(name)) {
            let tensor = tensors.get(name).ok_or_else(|| Error::Invalid(format!("the weights have no {name}")))?;
            if tensor.dims() != var.dims() {
                let (got, want) = (tensor.dims(), var.dims());
                return Err(Error::Invalid(format!("{name} is {got:?}, not {want:?}")));
            }
            // `set` needs a copy if `tensor` is this variable itself.
            var.set(&tensor.to_device(&self.device)?.to_dtype(DType::F32)?.copy()?)?;
        }
        Ok(())
    }
}

/// A scope of names, which creates parameters below a prefix.
pub struct Scope<'a> {
    params: &'a mut Params,
    prefix: String,
}

impl Scope<'_> {
    /// The scope `name` below this one.
    pub fn at(&mut self, name: &str) -> Scope<'_> {
        let prefix = self.name(name);
        Scope { params: self.params, prefix }
    }

    /// The device of the parameters.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.params.device
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    /// A trained parameter.
    ///
    /// # Errors
    /// If it cannot be made on the device.
    pub fn parameter(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Var> {
        let name = self.name(name);
        if let Some(shapes) = &mut self.params.shapes {
            shapes.insert(name, shape.to_vec());
            return Ok(Var::zeros(0, DType::F32, &Device::Cpu)?);
        }
        let values = init.values(shape, &mut Stream::new(self.params.seed, &format!("init/{name}")));
        let var = Var::from_vec(values, shape, &self.params.device)?;
        self.params.parameters.push((name, var.clone()));
        Ok(var)
    }

    /// A buffer, filled with `value`.
    ///
    /// # Errors
    /// If it cannot be made on the device.
    pub fn buffer(&mut self, name: &str, shape: &[usize], value: f32) -> Result<Var> {
        let name = self.name(name);
        if let Some(shapes) = &mut self.params.shapes {
            shapes.insert(name, shape.to_vec());
            return Ok(Var::zeros(0, DType::F32, &Device::Cpu)?);
        }
        let var = Var::from_vec(vec![value; shape.iter().product()], shape, &self.params.device)?;
        self.params.buffers.push((name, var.clone()));
        Ok(var)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deviation(values: &[f32]) -> f64 {
        (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn spreads_are_the_published_ones() {
        let shape = [64, 32, 3, 3];
        for (init, expected) in [
            (Init::HeNormal, (2.0f64 / 288.0).sqrt()),
            (Init::HeTruncated, (2.0f64 / 288.0).sqrt()),
            (Init::HeNormalFanOut, (2.0f64 / 576.0).sqrt()),
            (Init::GlorotUniform, (6.0f64 / 864.0 / 3.0).sqrt()),
            (Init::KaimingUniform, (1.0f64 / 288.0 / 3.0).sqrt()),
        ] {
            let got = deviation(&init.values(&shape, &mut Stream::new(0, "spread")));
            assert!((got / expected - 1.0).abs() < 0.02, "{init:?}: {got} for {expected}");
        }
    }

    #[test]
    fn a_truncated_normal_ends_at_two_of_its_deviations() {
        let values = Init::HeTruncated.values(&[64, 32, 3, 3], &mut Stream::new(0, "spread"));
        let end = (2.0 * (2.0f64 / 288.0).sqrt() / 0.879_626) as f32;
        let largest = values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        assert!(0.99 * end < largest && largest < 1.001 * end, "{largest} of {end}");
    }

    #[test]
    fn a_value_depends_on_seed_and_name_alone() -> Result<()> {
        let draw = |seed: u64, first: bool| -> Result<Vec<f32>> {
            let mut params = Params::new(seed, &Device::Cpu);
            if first {
                params.root().at("other").parameter("weight", &[3, 3], Init::HeNormal)?;
            }
            let var = params.root().at("group1").at("block0").parameter("weight", &[4, 5], Init::HeNormal)?;
            assert_eq!(params.parameters().last().map(|(name, _)| name.as_str()), Some("group1.block0.weight"));
            Ok(var.flatten_all()?.to_vec1()?)
        };
        assert_eq!(draw(1, false)?, draw(1, true)?);
        assert_ne!(draw(1, false)?, draw(2, false)?);
        Ok(())
    }

    #[test]
    fn tensors_go_out_and_come_back() -> Result<()> {
        let build = |seed| -> Result<Params> {
            let mut params = Params::new(seed, &Device::Cpu);
            params.root().parameter("weight", &[2, 3], Init::HeNormal)?;
            params.root().buffer("running_var", &[3], 1.0)?;
            Ok(params)
        };
        let (a, b) = (build(1)?, build(2)?);
        let saved = a.to_tensors()?;
        b.load(&saved)?;
        assert_eq!(b.to_tensors()?["weight"].to_vec2::<f32>()?, saved["weight"].to_vec2::<f32>()?);
        assert_eq!(a.parameters().iter().map(|(_, var)| var.elem_count()).sum::<usize>(), 6);
        assert_eq!(a.total(), 9);
        assert!(b.load(&BTreeMap::new()).is_err_and(|error| error.to_string().contains("weight")));
        Ok(())
    }
}
