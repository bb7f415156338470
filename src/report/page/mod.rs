//! A page as a single HTML file that needs no network. Plotly, which draws the figures, is included.

mod dag;
mod plotly;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use dag::{Dag, DagNode};

use super::Figure;
use crate::results::{Align, Grid};

/// The height of a figure that does not set its own, in pixels, as in the script of the page.
const HEIGHT: u64 = 400;

/// The content of a page, in order.
#[derive(Default)]
pub struct Page {
    /// The name of the pipeline.
    pub title: String,
    /// The line below the title.
    pub subtitle: String,
    /// The sections.
    pub sections: Vec<Section>,
    /// Pictures that consist of many images. Figures show one image of them at a time.
    pub sprites: Vec<Sprite>,
}

/// A heading with its content.
pub struct Section {
    /// The heading.
    pub title: String,
    /// The content below the heading.
    pub parts: Vec<Part>,
}

/// A part of a section.
pub enum Part {
    /// A paragraph.
    Words(String),
    /// A list.
    List(Vec<String>),
    /// A table with a heading.
    Table(String, Grid),
    /// A collapsed table, with its title.
    Folded(String, Grid),
    /// A figure.
    Figure(Box<Figure>),
    /// A picture.
    Picture(Picture),
    /// Images with words.
    Tiles(Tiles),
    /// The graph of the stages.
    Dag(Dag),
}

/// A picture with its title and caption.
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// An explanation of how to read it.
    pub caption: String,
    /// The picture as a data URI.
    pub source: String,
    /// Its size on the screen, in pixels.
    pub size: (u32, u32),
}

/// Images with words below each of them.
pub struct Tiles {
    /// What they show.
    pub title: String,
    /// An explanation of how to read them.
    pub caption: String,
    /// Each image as a data URI, with its words.
    pub images: Vec<(String, String)>,
    /// The size of each on the screen, in pixels.
    pub size: (u32, u32),
}

/// Tiles of equal size in one picture.
pub struct Sprite {
    /// The picture as a data URI.
    pub source: String,
    /// The number of tiles in a row.
    pub columns: u32,
}

impl Page {
    /// Returns the page as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let contents = self.sections.iter().map(|section| (slug(&section.title), &section.title));
        let has_figures =
            self.sections.iter().flat_map(|section| &section.parts).any(|part| matches!(part, Part::Figure(_)));
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · strata" }
                    style { (PreEscaped(include_str!("page.css"))) }
                }
                body {
                    a.skip href="#main" { "Skip to the results" }
                    header {
                        h1 { (self.title) }
                        p { (self.subtitle) }
                        nav aria-label="Sections" { @for (slug, title) in contents { a href={ "#" (slug) } { (title) } } }
                        button #theme type="button" aria-label="Switch between light and dark" { "light / dark" }
                    }
                    main #main { @for section in &self.sections { (section.html()) } }
                    div #tip role="presentation" hidden {}
                    @for (at, sprite) in self.sprites.iter().enumerate() {
                        script type="application/json" .sprite data-sprite=(at) { (PreEscaped(sprite.json())) }
                    }
                    @if has_figures { script { (PreEscaped(plotly::library())) } }
                    script { (PreEscaped(include_str!("page.js"))) }
                }
            }
        };
        page.into_string()
    }
}

impl Section {
    fn html(&self) -> Markup {
        html! {
            section id=(slug(&self.title)) {
                h2 { (self.title) }
                div.parts { @for part in &self.parts { (part.html()) } }
            }
        }
    }
}

impl Part {
    fn html(&self) -> Markup {
        match self {
            Self::Words(words) => html! { p { (words) } },
            Self::List(items) => html! { ul { @for item in items { li { (item) } } } },
            Self::Table(title, grid) => html! { (table(title, grid)) },
            Self::Folded(title, grid) => html! { details.folded { summary { (title) } (table("", grid)) } },
            Self::Figure(figure) => {
                let drawing = plotly::drawing(figure);
                // The room is there before the figure is drawn, so that nothing moves.
                let height = drawing["layout"]["height"].as_u64().unwrap_or(HEIGHT);
                html! {
                figure.chart.half[figure.is_narrow()] id=(figure.name) {
                    figcaption { h3 { (figure.title) } p { (figure.caption) " " (figure.gaps()) } }
                    div.plot style={ "min-height:" (height) "px" } role="img" aria-label={ (figure.title) ". " (figure.caption) } {}
                    script type="application/json" { (PreEscaped(inert(&drawing.to_string()))) }
                    (data(&figure.data()))
                }
                }
            }
            Self::Picture(picture) => html! {
                figure.picture {
                    figcaption { h3 { (picture.title) } p { (picture.caption) } }
                    img src=(picture.source) alt={ (picture.title) ". " (picture.caption) }
                        width=(picture.size.0) height=(picture.size.1) loading="lazy";
                }
            },
            Self::Tiles(tiles) => html! {
                figure.tiles {
                    figcaption { h3 { (tiles.title) } p { (tiles.caption) } }
                    ul {
                        @for (source, words) in &tiles.images {
                            li { img src=(source) alt="" width=(tiles.size.0) height=(tiles.size.1) loading="lazy"; span { (words) } }
                        }
                    }
                }
            },
            Self::Dag(dag) => html! {
                figure.dag {
                    figcaption {
                        h3 { "Stages" }
                        p { "The stages and their dependencies. Drag to move, use the buttons or the wheel with Ctrl to zoom." }
                    }
                    div.zoom role="group" aria-label="Zoom" {
                        button type="button" data-zoom="in" { "+" }
                        button type="button" data-zoom="out" { "−" }
                        button type="button" data-zoom="all" { "all" }
                    }
                    (dag.svg())
                }
            },
        }
    }
}

impl Sprite {
    fn json(&self) -> String {
        let Self { source, columns } = self;
        inert(&serde_json::json!({ "source": source, "columns": columns }).to_string())
    }
}

fn table(title: &str, grid: &Grid) -> Markup {
    let class = |align: Align| if align == Align::Right { "number" } else { "name" };
    html! {
        @if !title.is_empty() { h3.caption { (title) } }
        div.table tabindex="0" {
            table aria-label=[(!title.is_empty()).then_some(title)] {
                thead { tr { @for (header, align) in grid.columns() { th scope="col" class=(class(*align)) { (header) } } } }
                tbody {
                    @for row in grid.rows() {
                        tr { @for (cell, (_, align)) in row.iter().zip(grid.columns()) { td class=(class(*align)) { (cell) } } }
                    }
                }
            }
        }
    }
}

fn data(grid: &Grid) -> Markup {
    html! {
        details.data {
            summary { "Data" }
            button.copy type="button" { "Copy as CSV" }
            pre tabindex="0" { (grid.csv()) }
        }
    }
}

/// Escapes JSON so that it cannot end the element that contains it.
fn inert(json: &str) -> String {
    json.replace("</", "<\\/").replace("<!--", "<\\u0021--")
}

/// Turns a text into the name of an anchor.
#[must_use]
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() {
            slug.extend(c.to_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}
