//! Checks that numbers are finite. They refuse a diverged network, its values and its logits.

use candle_core::{CpuStorage, Device, Storage, Tensor};
use rayon::prelude::*;

pub use super::error::word;

use super::{Error, Result};

/// Number of elements that a thread checks at a time.
const CHUNK: usize = 16 * 1024;

/// The position and value of the first element, row by row, that is not finite. Tensors of integers have none.
///
/// # Errors
/// If the tensor cannot be read.
pub fn first(tensor: &Tensor) -> Result<Option<(usize, f64)>> {
    let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let span = layout.start_offset()..layout.start_offset() + layout.shape().elem_count();
    let Storage::Cpu(storage) = &*storage else { return Ok(None) };
    Ok(match storage {
        CpuStorage::F32(values) => search(&values[span], f64::from),
        CpuStorage::F64(values) => search(&values[span], |value| value),
        CpuStorage::F16(values) => search(&values[span], half::f16::to_f64),
        CpuStorage::BF16(values) => search(&values[span], half::bf16::to_f64),
        _ => None,
    })
}

fn search<T: Copy + Sync>(values: &[T], number: impl Fn(T) -> f64 + Sync) -> Option<(usize, f64)> {
    // There is no branch for each element, so that the usual case is one pass at the speed of memory.
    let broken = |chunk: &[T]| !chunk.iter().fold(true, |fine, &value| fine & number(value).is_finite());
    let at = values.par_chunks(CHUNK).position_first(broken)? * CHUNK;
    let place = at + values[at..].iter().position(|&value| !number(value).is_finite())?;
    Some((place, number(values[place])))
}

/// Refuses a tensor with an element that is not finite, under the name that `what` gives.
///
/// # Errors
/// [`Error::NotFinite`], or if the tensor cannot be read.
pub fn require(tensor: &Tensor, what: impl FnOnce() -> String) -> Result<()> {
    match first(tensor)? {
        Some((_, value)) => Err(Error::NotFinite { what: what(), value }),
        None => Ok(()),
    }
}

/// As [`require`], for a tensor `[N, …]` of which `what` names a row by its number.
///
/// # Errors
/// [`Error::NotFinite`], or if the tensor cannot be read.
pub fn require_rows(tensor: &Tensor, what: impl FnOnce(usize) -> String) -> Result<()> {
    let Some((place, value)) = first(tensor)? else { return Ok(()) };
    let width = tensor.elem_count() / tensor.dim(0)?.max(1);
    Err(Error::NotFinite { what: what(place / width.max(1)), value })
}

/// Refuses a number that is not finite.
///
/// # Errors
/// [`Error::NotFinite`].
pub fn require_value(value: f64, what: impl FnOnce() -> String) -> Result<()> {
    if value.is_finite() { Ok(()) } else { Err(Error::NotFinite { what: what(), value }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    #[test]
    fn the_first_broken_number_is_found_wherever_it_is() -> Result<()> {
        let mut values = vec![0f32; 3 * CHUNK];
        assert_eq!(first(&Tensor::new(values.as_slice(), &Device::Cpu)?)?, None);
        values[2 * CHUNK + 5] = f32::NEG_INFINITY;
        values[3 * CHUNK - 1] = f32::NAN;
        let tensor = Tensor::new(values.as_slice(), &Device::Cpu)?;
        assert_eq!(first(&tensor)?, Some((2 * CHUNK + 5, f64::NEG_INFINITY)));
        assert_eq!(first(&tensor.to_dtype(DType::F16)?)?, Some((2 * CHUNK + 5, f64::NEG_INFINITY)));
        assert_eq!(first(&tensor.narrow(0, 0, CHUNK)?)?, None, "only what the tensor shows of its storage");
        assert_eq!(first(&Tensor::new(&[1u32, 2], &Device::Cpu)?)?, None);
        Ok(())
    }

    #[test]
    fn a_row_is_named_by_its_number() -> Result<()> {
        let rows = Tensor::new(&[[0f32, 1.0], [2.0, f32::NAN]], &Device::Cpu)?;
        let named =
            |tensor: &Tensor| require_rows(tensor, |row| format!("row {row}")).map_err(|error| error.to_string());
        assert!(named(&rows).is_err_and(|message| message.starts_with("NaN in row 1")), "{:?}", named(&rows));
        assert!(named(&rows.t()?).is_err_and(|message| message.starts_with("NaN in row 1")), "the columns");
        assert!(require_value(f64::INFINITY, || "it".to_owned()).is_err() && require_value(0.0, String::new).is_ok());
        Ok(())
    }
}
