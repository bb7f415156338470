//! Makes the sections of the page from the cache.
//!
//! Reading order: `answers` and `differences` (the table of the arms), `trends`, `sweeps`, `curves`, `drawings`, `provenance`;
//! `exports` turns their content into files for papers.

mod answers;
mod curves;
mod differences;
mod drawings;
mod exports;
mod images;
mod provenance;
mod sweeps;
mod trends;

pub use exports::exports;

use std::path::Path;

use super::{
    figure::Figure,
    file_name::{Wanted, file_names},
    page::{Page, Part, Section, Sprite},
};
use crate::results::Catalogue;

/// Makes the page, with the state of the search below its title. `command` is the command line that runs what it shows.
#[must_use]
pub fn page(source: &Catalogue<'_, '_>, file: &Path, command: &str, search: &[String]) -> Page {
    let mut sprites: Vec<Sprite> = Vec::new();
    let (maps, pictures) = drawings::parts(source, &mut sprites);
    let sections = [
        ("Results", answers::parts(source)),
        ("Sweeps", sweeps::parts(source)),
        ("Curves", curves::parts(source)),
        ("Maps", maps),
        ("Images", pictures),
        ("Stages", provenance::stages(source)),
        ("Provenance", provenance::parts(source, file, command)),
    ];
    let sections = sections.into_iter().filter(|(_, parts)| !parts.is_empty());
    let sections = sections.map(|(title, parts): (&str, Vec<Part>)| Section { title: title.to_owned(), parts });
    let (cached, all) = (source.made().len(), source.planned().len());
    let missing = if cached < all { format!(", {} are not", all - cached) } else { String::new() };
    Page {
        title: source.pipeline().to_owned(),
        subtitle: search
            .iter()
            .fold(format!("{cached} instances of stages are in the cache{missing}."), |text, words| {
                format!("{text} Search: {words}.")
            }),
        sections: apart(sections.collect()),
        sprites,
    }
}

/// Makes the names of all figures distinct. The stages `a_b` and `a-b` have the same spelling in anchors and file
/// names.
fn apart(mut sections: Vec<Section>) -> Vec<Section> {
    fn figures(sections: &mut [Section]) -> impl Iterator<Item = &mut Figure> {
        let parts = sections.iter_mut().flat_map(|section| &mut section.parts);
        parts.filter_map(|part| if let Part::Figure(figure) = part { Some(&mut **figure) } else { None })
    }
    let wanted = figures(&mut sections).map(|figure| Wanted {
        name: figure.name.clone(),
        identity: figure.title.clone(),
        ending: String::new(),
    });
    let names = file_names(&wanted.collect::<Vec<_>>());
    for (figure, name) in figures(&mut sections).zip(names) {
        figure.name = name;
    }
    sections
}

/// Returns at most `most` of `all` positions, including the first: one in each stretch of equal length, at a different
/// offset in each, so that the inner axis of a grid does not have the same value every time.
fn spread(all: usize, most: usize) -> Vec<usize> {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    if all <= most {
        return (0..all).collect();
    }
    let at = |stretch: f64| ((stretch + (GOLDEN * stretch).fract()) * all as f64 / most as f64) as usize;
    let mut places: Vec<usize> = (0..most).map(|stretch| at(stretch as f64).min(all - 1)).collect();
    places.dedup();
    places
}

/// Returns the text with an initial capital.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::spread;

    #[test]
    fn what_is_shown_of_a_grid_is_spread_over_it() {
        assert_eq!(spread(3, 4), [0, 1, 2]);
        let of_grid = spread(144, 24);
        assert!(of_grid.len() > 20 && of_grid[0] == 0 && of_grid.is_sorted(), "{of_grid:?}");
        let inner: BTreeSet<usize> = of_grid.iter().map(|place| place % 12).collect();
        assert!(inner.len() > 8, "{inner:?}");
        for all in 5..200 {
            let places = spread(all, 4);
            assert!(places.len() >= 3 && places.iter().all(|place| *place < all), "{all}: {places:?}");
        }
    }
}
