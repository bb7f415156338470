//! `strata schema`: describe what a pipeline file may contain, for editors and for people.

use std::process::ExitCode;

use super::{Console, Failure};
use crate::{
    diagnostic::suggest,
    pipeline,
    stage::{Form, Registry},
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
}

impl Args {
    /// Prints the schema, or a stage of the kind.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        if let Some(form) = self.form {
            console.print(&described(form))?;
            return Ok(ExitCode::SUCCESS);
        }
        match &self.kind {
            None => console.json(&pipeline::schema(registry))?,
            Some(name) => {
                let Some(kind) = registry.get(name) else {
                    let names: Vec<&str> = registry.kinds().map(|kind| kind.name).collect();
                    let help = match suggest(name, names.iter().copied()) {
                        Some(like) => format!("did you mean `{like}`?"),
                        None => format!("there are {}", pipeline::quoted(&names)),
                    };
                    return Err(Failure::Usage(format!("there is no kind `{name}`; {help}")));
                };
                console.print(&pipeline::kind_toml(kind))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
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
