//! The figures of a report as files for a paper.

use std::{fs, path::Path, process::ExitCode};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    cli::{Console, Failure},
    report::{
        drawing,
        page::{Page, Part, slug},
    },
};

/// Writes the figures (SVG and PNG), the pictures (PNG) and the tables (LaTeX) of a page, and prints their paths.
pub fn draw(page: &Page, folder: &Path, force: bool, console: &Console) -> Result<ExitCode, Failure> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut tables = 0;
    for part in page.sections.iter().filter(|section| section.title != "Provenance").flat_map(|section| &section.parts)
    {
        match part {
            Part::Figure(figure) => {
                let drawn = |error: String| Failure::Failed(format!("failed to draw `{}`: {error}", figure.name));
                let svg = drawing::svg(figure).map_err(drawn)?;
                let png = drawing::png(&svg).map_err(drawn)?;
                files.push((format!("{}.svg", figure.name), svg.into_bytes()));
                files.push((format!("{}.png", figure.name), png));
            }
            Part::Picture(picture) => {
                let data =
                    picture.source.split_once(";base64,").and_then(|(_, text)| BASE64_STANDARD.decode(text).ok());
                files.extend(data.map(|data| (format!("{}.png", slug(&picture.title)), data)));
            }
            Part::Table(_, grid) => {
                tables += 1;
                files.push((format!("table-{tables}.tex"), grid.latex().into_bytes()));
            }
            Part::Words(_) | Part::List(_) | Part::Folded(..) | Part::Dag(_) => {}
        }
    }
    let refused =
        |path: &Path, error: std::io::Error| Failure::Failed(format!("failed to write {}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
    for (name, _) in &files {
        if !force && folder.join(name).exists() {
            let message = format!("{} is there already; --force replaces it", folder.join(name).display());
            return Err(Failure::Usage(message));
        }
    }
    for (name, bytes) in files {
        let file = folder.join(name);
        fs::write(&file, bytes).map_err(|error| refused(&file, error))?;
        if !console.quiet {
            console.print(&format!("{}\n", file.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
