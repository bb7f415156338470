//! Networks as artifacts.

use candle_core::Device;

use crate::{
    ml::{
        init::Params,
        nn::{Architecture, Network},
    },
    stage::StageError,
    store::Artifact,
};

/// A network as an artifact: its tensors, and its architecture as an attribute.
pub(super) fn save(architecture: &Architecture, params: &Params) -> Result<Artifact, StageError> {
    let json = serde_json::to_value(architecture).map_err(|error| StageError::failed(error.to_string()))?;
    let tensors = params.to_tensors()?.into_iter().map(|(name, tensor)| Ok((name, tensor.to_device(&Device::Cpu)?)));
    let tensors = tensors.collect::<Result<Vec<_>, candle_core::Error>>()?;
    Ok(Artifact::new().with_all(tensors).attribute("architecture", json))
}

/// The network of an artifact, for images of `colours` channels.
pub(super) fn load(artifact: &Artifact, colours: usize, device: &Device) -> Result<(Network, Params), StageError> {
    let architecture: Architecture = artifact.get("architecture")?;
    if architecture.colours() != colours {
        let message = format!("the network is for {} channels, the images have {colours}", architecture.colours());
        return Err(StageError::failed(message));
    }
    Ok(architecture.load(artifact.tensors(), device)?)
}
