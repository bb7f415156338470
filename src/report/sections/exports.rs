//! Exports the content of a page as files for a paper.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::report::{
    drawing::{self, DrawError},
    file_name::Wanted,
    page::{Page, Part, slug},
};

/// Returns the figures (SVG and PNG), the pictures (PNG) and the tables (LaTeX) of a page, each with its preferred file
/// name.
///
/// # Errors
/// If a figure cannot be drawn.
pub fn exports(page: &Page) -> Result<Vec<(Wanted, Vec<u8>)>, DrawError> {
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
                let svg = drawing::svg(figure)?;
                let png = drawing::rendered(&figure.name, &svg)?;
                drawn.push((wanted(figure.name.clone(), &figure.title, ".svg"), svg.into_bytes()));
                drawn.push((wanted(figure.name.clone(), &figure.title, ".png"), png));
            }
            Part::Picture(picture) => {
                let data =
                    picture.source.split_once(";base64,").and_then(|(_, text)| BASE64_STANDARD.decode(text).ok());
                drawn.extend(data.map(|data| (wanted(slug(&picture.title), &picture.title, ".png"), data)));
            }
            Part::Tiles(tiles) => {
                let svg = drawing::tiles(tiles);
                let png = drawing::rendered(&tiles.title, &svg)?;
                drawn.push((wanted(slug(&tiles.title), &tiles.title, ".svg"), svg.into_bytes()));
                drawn.push((wanted(slug(&tiles.title), &tiles.title, ".png"), png));
            }
            Part::Table(_, grid) => {
                tables += 1;
                let name = format!("table-{tables}");
                drawn.push((Wanted::new(&name, ".tex"), grid.latex().into_bytes()));
            }
            Part::Words(_) | Part::List(_) | Part::Folded(..) | Part::Dag(_) => {}
        }
    }
    Ok(drawn)
}
