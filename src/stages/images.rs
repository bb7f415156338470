//! Images as they pass between stages.

use crate::{
    ml::{self, data::ImageSet},
    stage::StageError,
    store::Artifact,
};

/// The artifact of labelled images: `images` u8 `[N, C, H, W]`, `labels` u32 `[N]`, attribute `classes`.
pub(super) fn artifact(set: &ImageSet) -> Result<Artifact, ml::Error> {
    let (images, labels) = set.to_tensors()?;
    Ok(Artifact::new().with("images", images).with("labels", labels).attribute("classes", set.classes.clone()))
}

/// The inverse of [`artifact`].
pub(super) fn image_set(artifact: &Artifact) -> Result<ImageSet, StageError> {
    let (images, labels) = (artifact.tensor("images")?, artifact.tensor("labels")?);
    Ok(ImageSet::from_tensors(images, labels, artifact.get("classes")?)?)
}
