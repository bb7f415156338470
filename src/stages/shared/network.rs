//! Saves networks as artifacts, and loads them.

use candle_core::Device;

use crate::{
    ml::{
        finite,
        init::Params,
        nn::{Architecture, Network},
    },
    stage::StageError,
    store::Artifact,
};

/// A network as an artifact: its tensors, and its architecture as an attribute.
pub(in crate::stages) fn save(architecture: &Architecture, params: &Params) -> Result<Artifact, StageError> {
    let json = serde_json::to_value(architecture).map_err(|error| StageError::failed(error.to_string()))?;
    let tensors = params.to_tensors()?.into_iter().map(|(name, tensor)| Ok((name, tensor.to_device(&Device::Cpu)?)));
    let tensors = tensors.collect::<Result<Vec<_>, candle_core::Error>>()?;
    Ok(Artifact::new().with_all(tensors).attribute("architecture", json))
}

/// Returns an error for the weights of a training that has diverged.
pub(in crate::stages) fn check(artifact: &Artifact) -> Result<(), StageError> {
    for (name, tensor) in artifact.tensors() {
        if let Some((_, value)) = finite::first(tensor)? {
            return Err(StageError::failed(format!(
                "`{name}` in the input `weights` is {}: the training that made them has diverged",
                finite::word(value)
            )));
        }
    }
    Ok(())
}

/// Loads the network of an artifact, for images of `colours` channels.
pub(in crate::stages) fn load(
    artifact: &Artifact,
    colours: usize,
    device: &Device,
) -> Result<(Network, Params), StageError> {
    check(artifact)?;
    let architecture: Architecture = artifact.get("architecture")?;
    if architecture.colours() != colours {
        let message = format!("the network is for {} channels, the images have {colours}", architecture.colours());
        return Err(StageError::failed(message));
    }
    Ok(architecture.load(artifact.tensors(), device)?)
}
