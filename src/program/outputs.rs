//! Takes what a program made, if all of it is there and is what it declared.

use std::{collections::BTreeMap, fs, path::Path};

use super::{declaration::Declaration, request::PortFile};
use crate::{
    stage::{Form, Outputs},
    store::Artifact,
};

/// Reads and checks every output.
///
/// # Errors
/// If one is missing or wrong. The message names it.
pub(super) fn collect(declared: &Declaration, files: &BTreeMap<&str, PortFile>) -> Result<Outputs, String> {
    let mut outputs = Outputs::new();
    for port in &declared.outputs {
        let Some(PortFile { path, form, .. }) = files.get(port.name) else { continue };
        match fs::metadata(path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(format!("its output `{}` is not a file: {}", port.name, path.display())),
            Err(_) if port.optional => continue,
            Err(error) => return Err(missing(port.name, path, &error)),
        }
        if *form == Form::File {
            outputs = outputs.with_file(port.name, path);
            continue;
        }
        let wrong = |why: &dyn std::fmt::Display| format!("its output `{}` is no {form} artifact: {why}", port.name);
        let bytes = fs::read(path).map_err(|error| wrong(&error))?;
        let artifact = Artifact::from_bytes(&bytes).map_err(|error| wrong(&error))?;
        form.check(&artifact).map_err(|error| wrong(&error))?;
        outputs = outputs.with(port.name, artifact);
    }
    Ok(outputs)
}

fn missing(port: &str, path: &Path, error: &std::io::Error) -> String {
    let folder = path.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let mut there: Vec<String> = folder.map(|entry| format!("`{}`", entry.file_name().to_string_lossy())).collect();
    there.sort();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let instead =
        if there.is_empty() { "it wrote no file there".to_owned() } else { format!("there is {}", there.join(", ")) };
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("it ended without its output `{port}`, the file `{name}` in its folder of outputs: {instead}")
        }
        _ => format!("its output `{port}` cannot be read: {error}"),
    }
}
