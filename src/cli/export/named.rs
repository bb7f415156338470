//! Weights by the names of another library, as a file that its `load_state_dict` takes.

use std::{cell::RefCell, collections::HashMap};

use crate::{
    cli::{Console, Failure},
    digest::ArtifactHash,
    ml::nn::{Architecture, Names},
    store::{Artifact, Store},
};

/// What makes such files, and what is to be told about them.
pub(super) struct Named<'a> {
    pub names: Names,
    pub store: &'a Store,
    /// The lines of Python that were shown.
    pub told: RefCell<Vec<String>>,
}

impl Named<'_> {
    /// Reads weights, and the network that they belong to.
    fn read(&self, instance: &str, hash: &ArtifactHash) -> Result<(Artifact, Architecture), Failure> {
        let artifact = self.store.read(hash)?;
        let architecture = artifact
            .get("architecture")
            .map_err(|error| Failure::Failed(format!("the weights of {instance} do not say their network: {error}")))?;
        Ok((artifact, architecture))
    }

    /// Returns the content of the file.
    pub(super) fn bytes(&self, instance: &str, hash: &ArtifactHash) -> Result<Vec<u8>, Failure> {
        let failed = |error: String| Failure::Failed(format!("{instance} cannot be exported: {error}"));
        let (artifact, architecture) = self.read(instance, hash)?;
        let named = self.names.export(&architecture, artifact.tensors()).map_err(|error| failed(error.to_string()))?;
        // Other programs look for this entry.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize(named, Some(metadata)).map_err(|error| failed(error.to_string()))
    }

    /// Says how to load a file in Python, once for each network, and what is not in it.
    pub(super) fn tell(
        &self,
        instance: &str,
        hash: &ArtifactHash,
        file: &str,
        console: &Console,
    ) -> Result<(), Failure> {
        let (_, architecture) = self.read(instance, hash)?;
        let failed = |error: crate::ml::Error| Failure::Failed(format!("{instance}: {error}"));
        let same = self.names.python(&architecture, "").map_err(failed)?;
        if self.told.borrow().contains(&same) {
            return Ok(());
        }
        self.told.borrow_mut().push(same);
        match &architecture {
            Architecture::Contrastive { head, .. } if !head.is_empty() => {
                let what = "there is no classifier, so the file has no `fc`; the projection head is left out";
                console.remark(&format!("{file}: {what}, as {} has none", self.names));
            }
            Architecture::Classifier { .. } => {}
            _ => console.remark(&format!("{file}: there is no classifier, so the file has no `fc`")),
        }
        let python = self.names.python(&architecture, file).map_err(failed)?;
        let lines: String = python.lines().map(|line| format!("  {line}\n")).collect();
        console.remark(&format!("in Python:\n{}", lines.trim_end()));
        Ok(())
    }
}
