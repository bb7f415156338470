//! Draws a value over two axes.

use plotters::prelude::*;

use super::{Area, Drawn, centred, font, to_the_left};
use crate::report::figure::cell_words;

/// The colour of cells without a finite number.
const NO_NUMBER: RGBColor = RGBColor(0x80, 0x80, 0x80);

/// Draws a coloured cell for each value, with the value in it if there is room.
pub(super) fn draw(
    area: &Area<'_>,
    rows: &(String, Vec<String>),
    columns: &(String, Vec<String>),
    value: &str,
    cells: &[Vec<Option<f64>>],
) -> Drawn {
    let (down, along) = (rows.1.len() as f64, columns.1.len() as f64);
    let mut chart = ChartBuilder::on(area)
        .caption(value, font(15))
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..along, down..0.0)?;
    let word = |words: &[String], at: f64| words.get(at.floor() as usize).cloned().unwrap_or_default();
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc(&columns.0)
        .y_desc(&rows.0)
        .axis_desc_style(font(15))
        .x_labels(0)
        .y_labels(0)
        .draw()?;
    let known = cells.iter().flatten().flatten().copied().filter(|cell| cell.is_finite());
    let (low, high) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let words = cell_words(cells);
    for (y, row) in cells.iter().enumerate() {
        for (x, cell) in row.iter().enumerate() {
            let Some(cell) = *cell else { continue };
            let share = if high > low { (cell - low) / (high - low) } else { 0.5 };
            let word = words.as_ref().map(|words| words[y][x].clone());
            let (x, y) = (x as f64, y as f64);
            let fill = if cell.is_finite() { ViridisRGB.get_color(share) } else { NO_NUMBER };
            chart.draw_series([Rectangle::new([(x, y), (x + 1.0, y + 1.0)], fill.filled())])?;
            if let Some(word) = word {
                let ink = if share > 0.6 { BLACK } else { WHITE };
                let style = TextStyle::from(font(12)).color(&ink).pos(centred());
                chart.draw_series([Text::new(word, (x + 0.5, y + 0.5), style)])?;
            }
        }
    }
    let style = TextStyle::from(font(13)).pos(centred());
    let plotting = chart.plotting_area();
    for at in 0..columns.1.len() {
        let (x, y) = plotting.map_coordinate(&(at as f64 + 0.5, down));
        area.draw_text(&word(&columns.1, at as f64), &style, (x, y + 12))?;
    }
    let side = TextStyle::from(font(13)).pos(to_the_left());
    for at in 0..rows.1.len() {
        let (x, y) = plotting.map_coordinate(&(0.0, at as f64 + 0.5));
        area.draw_text(&word(&rows.1, at as f64), &side, (x - 6, y))?;
    }
    Ok(())
}
