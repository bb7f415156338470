//! `strata schema`: describe what a pipeline file may contain, for editors and for people.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{Console, Failure};
use crate::{
    diagnostic::suggest,
    pipeline::{self, Declared},
    stage::{Form, Registry, StageKind},
};

/// Print the JSON schema of pipeline files, a kind of stage as TOML with its ports and parameters, or a form of artifacts
#[derive(clap::Args)]
#[command(after_help = "An editor with TOML support uses the schema where the first line of a file says so:\n\n  \
#:schema ./pipeline.schema.json")]
pub(super) struct Args {
    /// A kind of stage
    #[arg(value_name = "KIND", conflicts_with = "form")]
    kind: Option<String>,
    /// Print what artifacts of a form hold: images, features, labels, batches, weights, classifier, matrix, file
    #[arg(long, value_name = "FORM")]
    form: Option<Form>,
    /// Take own kinds (`[kind.NAME]`) from this file and those that it includes [default: all files of the project]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

impl Args {
    /// Prints the schema, or a stage of the kind.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        if let Some(form) = self.form {
            console.print(&described(form))?;
            return Ok(ExitCode::SUCCESS);
        }
        match &self.kind {
            None => console.bare_json(&pipeline::schema(&declared(self.file.as_deref())?.added_to(registry)))?,
            Some(name) => {
                let kind = kind(name, self.file.as_deref(), registry)?;
                console.print(&pipeline::kind_toml(&kind))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The kinds that a file declares, or those of all files of the project that the current folder belongs to.
fn declared(file: Option<&Path>) -> Result<Declared, Failure> {
    match file {
        Some(file) if !file.is_file() => Err(Failure::Usage(format!("there is no file {}", file.display()))),
        Some(file) => Ok(Declared::in_file(file)),
        None => Ok(Declared::in_project(Path::new(""))),
    }
}

/// The kind called `name`: one of strata, or one that a file declares.
pub(super) fn kind(name: &str, file: Option<&Path>, registry: &Registry) -> Result<StageKind, Failure> {
    if let Some(kind) = registry.get(name) {
        return Ok(kind.clone());
    }
    let declared = declared(file)?;
    if let Some(kind) = declared.get(name).map_err(|error| Failure::Usage(error.to_string()))? {
        return Ok(kind);
    }
    let names: Vec<&str> = registry.kinds().map(|kind| kind.name).chain(declared.names()).collect();
    let help = match suggest(name, names.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None => format!("there are {}", pipeline::quoted(&names)),
    };
    Err(Failure::Usage(format!("there is no kind `{name}`; {help}")))
}

/// Describes the tensors and attributes of artifacts of a form.
fn described(form: Form) -> String {
    let line = |name: &str, words: &str, doc: &str, optional: bool| {
        let optional = if optional { ", optional" } else { "" };
        format!("  {name}: {words}{optional}: {doc}\n")
    };
    let mut text = format!("{form}: {}\n", form.doc());
    if !form.tensors().is_empty() {
        text.push_str("\ntensors of the safetensors file\n");
    }
    for tensor in form.tensors() {
        text.push_str(&line(tensor.name.unwrap_or("(any name)"), &tensor.words(), tensor.doc, tensor.optional));
    }
    if !form.attributes().is_empty() {
        text.push_str("\nattributes: entries of the JSON object that its metadata has as `strata`\n");
    }
    for attribute in form.attributes() {
        text.push_str(&line(attribute.name, attribute.of, attribute.doc, attribute.optional));
    }
    text
}
