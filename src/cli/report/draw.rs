//! The figures of a report as files for a paper.

use std::{path::Path, process::ExitCode};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    cli::{Console, Failure},
    digest::ArtifactHash,
    report::{
        Wanted, drawing, exported, files,
        page::{Page, Part, slug},
    },
};

/// Writes the figures (SVG and PNG), the pictures (PNG) and the tables (LaTeX) of a page, and prints their paths.
pub fn draw(page: &Page, folder: &Path, force: bool, console: &Console) -> Result<ExitCode, Failure> {
    let mut drawn: Vec<(Wanted, Vec<u8>)> = Vec::new();
    let mut tables = 0;
    let wanted = |name: String, title: &str, ending: &str| Wanted {
        name,
        identity: title.to_owned(),
        ending: ending.to_owned(),
    };
    for part in page.sections.iter().filter(|section| section.title != "Provenance").flat_map(|section| &section.parts)
    {
        match part {
            Part::Figure(figure) => {
                let refused = |error: String| Failure::Failed(format!("failed to draw `{}`: {error}", figure.name));
                let svg = drawing::svg(figure).map_err(refused)?;
                let png = drawing::png(&svg).map_err(refused)?;
                drawn.push((wanted(figure.name.clone(), &figure.title, ".svg"), svg.into_bytes()));
                drawn.push((wanted(figure.name.clone(), &figure.title, ".png"), png));
            }
            Part::Picture(picture) => {
                let data =
                    picture.source.split_once(";base64,").and_then(|(_, text)| BASE64_STANDARD.decode(text).ok());
                drawn.extend(data.map(|data| (wanted(slug(&picture.title), &picture.title, ".png"), data)));
            }
            Part::Table(_, grid) => {
                tables += 1;
                let name = format!("table-{tables}");
                drawn.push((Wanted::new(&name, ".tex"), grid.latex().into_bytes()));
            }
            Part::Words(_) | Part::List(_) | Part::Folded(..) | Part::Dag(_) => {}
        }
    }
    let hashed: Vec<(Wanted, ArtifactHash)> =
        drawn.iter().map(|(wanted, bytes)| (wanted.clone(), ArtifactHash::of(bytes))).collect();
    let names = exported::places(folder, &hashed, force)?;
    files::make_folder(folder)?;
    for (name, (_, bytes)) in names.iter().zip(&drawn) {
        let file = folder.join(name);
        files::write(&file, bytes)?;
        if !console.quiet {
            console.print(&format!("{}\n", file.display()))?;
        }
    }
    console.listed(exported::list(folder, &hashed, &names)?);
    Ok(ExitCode::SUCCESS)
}
