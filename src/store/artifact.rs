//! Artifacts: what stages pass to each other, named tensors and a few JSON attributes, as safetensors.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Map, Value};

use super::canonical;
use crate::{digest::ArtifactHash, threads};

/// The one entry of the safetensors metadata. With several, their order in the file would vary.
const METADATA: &str = "strata";
/// The number of bytes that hold the length of the header.
const HEAD: u64 = 8;
/// The longest header that is read, whatever a damaged file claims.
const LONGEST_HEADER: u64 = 100 << 20;

/// Named tensors (on the CPU) with JSON attributes such as class names or a network's architecture.
#[derive(Clone, Debug, Default)]
pub struct Artifact {
    tensors: BTreeMap<String, Tensor>,
    attributes: Map<String, Value>,
}

/// A number in an artifact that is NaN or infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// The tensor that holds it.
    pub tensor: String,
    /// The number.
    pub value: f64,
    /// Its index along the first dimension, from 0.
    pub row: usize,
}

/// Why an artifact is not what its reader needs. Messages fit behind "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// No tensor of that name.
    #[error("no tensor `{name}` among {}", present.join(", "))]
    NoTensor {
        /// The tensor asked for.
        name: String,
        /// The tensors there are.
        present: Vec<String>,
    },
    /// No attribute of that name, or one of another type.
    #[error("attribute `{name}`: {message}")]
    Attribute {
        /// The attribute asked for.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// The bytes are not safetensors.
    #[error(transparent)]
    Format(#[from] safetensors::SafeTensorError),
    /// A tensor could not be made or read.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Artifact {
    /// Returns an artifact without tensors and attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds (or replaces) a tensor.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.tensors.insert(name.into(), tensor);
        self
    }

    /// Adds (or replaces) tensors.
    #[must_use]
    pub fn with_all(mut self, tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        self.tensors.extend(tensors);
        self
    }

    /// Adds (or replaces) an attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Returns all tensors by name.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// Returns all attributes by name.
    #[must_use]
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.attributes
    }

    /// Returns the tensor `name`.
    ///
    /// # Errors
    /// If there is none. The error names the tensors that there are.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, ArtifactError> {
        self.tensors.get(name).ok_or_else(|| ArtifactError::NoTensor {
            name: name.to_owned(),
            present: self.tensors.keys().cloned().collect(),
        })
    }

    /// Returns the attribute `name`, parsed as `T`.
    ///
    /// # Errors
    /// If there is none, or it is not a `T`.
    pub fn get<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, ArtifactError> {
        let fail = |message: String| ArtifactError::Attribute { name: name.to_owned(), message };
        let value = self.attributes.get(name).ok_or_else(|| fail("not there".to_owned()))?;
        T::deserialize(value).map_err(|error| fail(error.to_string()))
    }

    /// Finds the first number in its tensors that is NaN or infinite.
    ///
    /// # Errors
    /// If a tensor cannot be copied to the CPU.
    pub fn not_finite(&self) -> Result<Option<NotFinite>, ArtifactError> {
        for (name, tensor) in self.tensors.iter().filter(|(_, tensor)| tensor.dtype().is_float()) {
            let rows = tensor.dims().first().copied().unwrap_or(1).max(1);
            let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
            let at = match flat.dtype() {
                DType::F32 => first(&flat.to_vec1::<f32>()?, |x| x.is_finite()),
                DType::F64 => first(&flat.to_vec1::<f64>()?, |x| x.is_finite()),
                _ => first(&flat.to_dtype(DType::F32)?.to_vec1::<f32>()?, |x| x.is_finite()),
            };
            if let Some(at) = at {
                let value = flat.get(at)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                let row = at / (flat.elem_count() / rows).max(1);
                return Ok(Some(NotFinite { tensor: name.clone(), value, row }));
            }
        }
        Ok(None)
    }

    /// Returns the hash of its bytes.
    ///
    /// # Errors
    /// If a tensor cannot be copied to the CPU.
    pub fn hash(&self) -> Result<ArtifactHash, ArtifactError> {
        Ok(hash(&self.to_bytes()?))
    }

    /// Returns its safetensors bytes. Equal artifacts give equal bytes.
    ///
    /// # Errors
    /// If a tensor cannot be copied to the CPU.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        let tensors = self
            .tensors
            .iter()
            .map(|(name, tensor)| Ok((name, tensor.to_device(&Device::Cpu)?.contiguous()?)))
            .collect::<Result<Vec<_>, candle_core::Error>>()?;
        let attributes = Value::Object(self.attributes.clone());
        let metadata = HashMap::from([(METADATA.to_owned(), canonical(&attributes))]);
        Ok(safetensors::serialize(tensors, Some(metadata))?)
    }

    /// Parses the bytes of [`Artifact::to_bytes`].
    ///
    /// # Errors
    /// If the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        use candle_core::safetensors::Load;
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let attributes = header.metadata().as_ref().and_then(|m| m.get(METADATA)).map_or("{}", String::as_str);
        let attributes = serde_json::from_str(attributes)
            .map_err(|e| ArtifactError::Attribute { name: METADATA.to_owned(), message: e.to_string() })?;
        let tensors = SafeTensors::deserialize(bytes)?
            .iter()
            .map(|(name, view)| Ok((name.to_owned(), view.load(&Device::Cpu)?)))
            .collect::<Result<_, candle_core::Error>>()?;
        Ok(Self { tensors, attributes })
    }
}

/// Returns the size of the header of safetensors bytes, given at least their first 8.
pub(super) fn header_bytes(start: &[u8]) -> u64 {
    HEAD + start.first_chunk().map_or(0, |length| u64::from_le_bytes(*length)).min(LONGEST_HEADER)
}

/// Reads the attributes at the start of the bytes of [`Artifact::to_bytes`], without the tensors. Bytes that are
/// something else have none.
pub(super) fn attributes_in(start: &[u8]) -> Map<String, Value> {
    let end = usize::try_from(header_bytes(start)).unwrap_or(usize::MAX).min(start.len());
    let header = start.get(HEAD as usize..end).and_then(|json| serde_json::from_slice::<Value>(json).ok());
    let text = header.as_ref().and_then(|header| header["__metadata__"][METADATA].as_str());
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Returns the index of the first element that is not fine.
fn first<T: Sync>(values: &[T], is_fine: impl Fn(&T) -> bool + Sync) -> Option<usize> {
    values.par_iter().position_first(|value| !is_fine(value))
}

/// From this many bytes on, hashing on several threads is faster.
const LARGE: usize = 1 << 18;

/// Returns the hash of an artifact's bytes. Large ones are hashed on all threads.
#[must_use]
pub(super) fn hash(bytes: &[u8]) -> ArtifactHash {
    if bytes.len() < LARGE {
        return blake3::hash(bytes).into();
    }
    let mut hasher = blake3::Hasher::new();
    threads::shared(|| {
        hasher.update_rayon(bytes);
    });
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_do_not_depend_on_the_order_of_making() -> Result<(), ArtifactError> {
        let a = Tensor::new(&[1f32, 2.0], &Device::Cpu)?;
        let b = Tensor::new(&[3u32], &Device::Cpu)?;
        let one = Artifact::new().with("a", a.clone()).with("b", b.clone()).attribute("x", 1).attribute("y", "z");
        let two = Artifact::new().attribute("y", "z").with("b", b).attribute("x", 1).with("a", a);
        assert_eq!(one.to_bytes()?, two.to_bytes()?);
        let read = Artifact::from_bytes(&one.to_bytes()?)?;
        assert_eq!(read.to_bytes()?, one.to_bytes()?);
        assert_eq!(read.tensor("a")?.to_vec1::<f32>()?, [1.0, 2.0]);
        assert_eq!(read.get::<u32>("x")?, 1);
        Ok(())
    }

    #[test]
    fn attributes_are_read_without_the_tensors() -> Result<(), ArtifactError> {
        let written = Artifact::new().with("a", Tensor::new(&[1f32, 2.0], &Device::Cpu)?).attribute("x", 0.5);
        let bytes = written.to_bytes()?;
        let header = usize::try_from(header_bytes(&bytes[..8])).expect("a short header");
        for enough in [&bytes[..], &bytes[..header]] {
            assert_eq!(&attributes_in(enough), written.attributes());
        }
        let torn: [&[u8]; 4] = [b"", b"\xff\xff\xff\xff\xff\xff\xff\xff{}", b"\x02\0\0\0\0\0\0\0{}", b"short"];
        for torn in torn.into_iter().chain([&bytes[..header / 2]]) {
            assert!(attributes_in(torn).is_empty());
        }
        Ok(())
    }
}
