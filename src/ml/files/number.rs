//! The types of numbers in files, and their bytes as tensors.

use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};

/// A type of numbers that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Truth values, one byte each.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits, of which none may be above the largest signed one.
    U64,
    /// Signed, 64 bits.
    I64,
    /// Floating point, 16 bits.
    F16,
    /// The upper half of 32 bits of floating point.
    Bf16,
    /// Floating point, 32 bits.
    F32,
    /// Floating point, 64 bits.
    F64,
}

impl Number {
    /// Bytes of a number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The type of the tensor that it is read as, in which every number keeps its value.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Self::Bool | Self::U8 => DType::U8,
            Self::I8 | Self::I16 => DType::I16,
            Self::U16 | Self::U32 => DType::U32,
            Self::I32 => DType::I32,
            Self::U64 | Self::I64 => DType::I64,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }

    /// Whether the numbers are whole.
    #[must_use]
    pub fn is_whole(self) -> bool {
        !matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }

    /// A tensor of the numbers in little-endian bytes, as many as the shape asks for. `None` if one is too large for the
    /// type of the tensor.
    pub(super) fn tensor(self, bytes: &[u8], dims: &[usize]) -> candle_core::Result<Option<Tensor>> {
        fn each<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
            bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
        }
        let cpu = &Device::Cpu;
        let tensor = match self {
            Self::Bool => Tensor::from_vec(each(bytes, |[byte]| u8::from(byte != 0)), dims, cpu),
            Self::U8 => Tensor::from_slice(bytes, dims, cpu),
            Self::I8 => Tensor::from_vec(each(bytes, |byte| i16::from(i8::from_le_bytes(byte))), dims, cpu),
            Self::U16 => Tensor::from_vec(each(bytes, |two| u32::from(u16::from_le_bytes(two))), dims, cpu),
            Self::I16 => Tensor::from_vec(each(bytes, i16::from_le_bytes), dims, cpu),
            Self::U32 => Tensor::from_vec(each(bytes, u32::from_le_bytes), dims, cpu),
            Self::I32 => Tensor::from_vec(each(bytes, i32::from_le_bytes), dims, cpu),
            Self::U64 => {
                let numbers = each(bytes, |eight| i64::try_from(u64::from_le_bytes(eight)));
                let Ok(numbers) = numbers.into_iter().collect::<Result<Vec<i64>, _>>() else { return Ok(None) };
                Tensor::from_vec(numbers, dims, cpu)
            }
            Self::I64 => Tensor::from_vec(each(bytes, i64::from_le_bytes), dims, cpu),
            Self::F16 => Tensor::from_vec(each(bytes, f16::from_le_bytes), dims, cpu),
            Self::Bf16 => Tensor::from_vec(each(bytes, bf16::from_le_bytes), dims, cpu),
            Self::F32 => Tensor::from_vec(each(bytes, f32::from_le_bytes), dims, cpu),
            Self::F64 => Tensor::from_vec(each(bytes, f64::from_le_bytes), dims, cpu),
        };
        tensor.map(Some)
    }
}
