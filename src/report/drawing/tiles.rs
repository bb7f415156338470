//! Draws images with words below each of them.

use crate::report::{middle, page::Tiles};

/// The number of images in a row.
const ROW: usize = 8;
/// The room for words below an image, and the least width of an image with its words, in pixels.
const WORDS: u32 = 18;
const WIDTH: u32 = 90;
/// The mean width of a letter, in pixels.
const LETTER: u32 = 6;

/// Returns the images with their words as SVG.
#[must_use]
pub fn tiles(tiles: &Tiles) -> String {
    let (width, height) = tiles.size;
    let (across, down) = (width.max(WIDTH) + 8, height + WORDS + 8);
    let (columns, rows) = (tiles.images.len().min(ROW), tiles.images.len().div_ceil(ROW));
    let (right, bottom) = (columns as u32 * across + 8, rows as u32 * down + 8);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" \
         viewBox=\"0 0 {right} {bottom}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (at, (source, words)) in tiles.images.iter().enumerate() {
        let (x, y) = ((at % ROW) as u32 * across + 8, (at / ROW) as u32 * down + 8);
        let words = middle(words, (width.max(WIDTH) / LETTER) as usize);
        let words = maud::html! { (words) }.into_string();
        text.push_str(&format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" href=\"{source}\" \
             style=\"image-rendering:pixelated\"/>\n\
             <text x=\"{x}\" y=\"{}\" font-family=\"sans-serif\" font-size=\"12\">{words}</text>\n",
            y + height + 13
        ));
    }
    text.push_str("</svg>\n");
    text
}
