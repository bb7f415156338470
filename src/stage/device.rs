//! The devices that stages compute on, and the vector instructions of the processor.

use std::{fmt, str::FromStr};

use candle_core::Device;

use super::StageError;

/// The CPU or one GPU. Written `cpu`, `cuda:0`, `cuda:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceId {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, by number.
    Cuda(usize),
}

impl DeviceId {
    /// Opens the device.
    ///
    /// # Errors
    /// If there is no such device, or this program was built without support for it.
    pub fn open(self) -> Result<Device, StageError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(StageError::failed(
                "this strata was built without CUDA; build it with `cargo build --release --features cuda`",
            )),
            Self::Cuda(ordinal) => Device::new_cuda(ordinal)
                .map_err(|error| StageError::failed(format!("failed to open CUDA device {ordinal}: {error}"))),
        }
    }
}

impl DeviceId {
    /// Returns the GPUs that programs on this machine can use: those in `CUDA_VISIBLE_DEVICES`, or else those with a
    /// device file. Devices that are named otherwise than by number are left out.
    #[must_use]
    pub fn present() -> Vec<Self> {
        if let Ok(visible) = std::env::var("CUDA_VISIBLE_DEVICES") {
            return visible.split(',').filter_map(|number| number.trim().parse().ok().map(Self::Cuda)).collect();
        }
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_prefix("nvidia")?.parse().ok();
        let mut found: Vec<usize> =
            std::fs::read_dir("/dev").into_iter().flatten().flatten().filter_map(number).collect();
        found.sort_unstable();
        found.into_iter().map(Self::Cuda).collect()
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

/// Text that names no device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("devices are `cpu`, `cuda` and `cuda:N`")]
pub struct NoDevice;

impl FromStr for DeviceId {
    type Err = NoDevice;

    /// Parses `cpu`, `cuda` (the first GPU), `cuda:N`, and the notation in records of version 0.1.
    fn from_str(text: &str) -> Result<Self, NoDevice> {
        let recorded = || text.strip_prefix("Cuda { gpu_id: ")?.strip_suffix(" }");
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let ordinal = text.strip_prefix("cuda:").or_else(recorded).ok_or(NoDevice)?;
                ordinal.parse().map(Self::Cuda).map_err(|_| NoDevice)
            }
        }
    }
}

/// The widest vector instructions of this processor, such as `avx512f`. Kernels are chosen by it, and the last digits
/// of results can depend on it.
#[must_use]
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "avx512f";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "avx2";
        }
    }
    std::env::consts::ARCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for device in [DeviceId::Cpu, DeviceId::Cuda(0), DeviceId::Cuda(11)] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(DeviceId::Cuda(0)));
        assert_eq!("Cuda { gpu_id: 2 }".parse(), Ok(DeviceId::Cuda(2)));
        for text in ["", "gpu", "cuda:", "cuda:-1", "cpu:0"] {
            assert_eq!(text.parse::<DeviceId>(), Err(NoDevice), "{text}");
        }
    }
}
