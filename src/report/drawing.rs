//! Draws figures as SVG and PNG for papers: black on white, with a different dash pattern for each arm.

mod curves;
mod heatmap;
mod tiles;

use std::sync::Arc;

pub use tiles::tiles;

use plotters::{
    coord::Shift,
    prelude::*,
    style::{
        Color, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};
use resvg::{tiny_skia, usvg};

use super::{
    figure::{Bar, Chart, Dimension, Figure},
    palette,
};

/// The size of a figure in SVG, in pixels. PNG has twice as many.
const SIZE: (u32, u32) = (720, 440);
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Why a figure cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to draw `{figure}`: {reason}")]
pub struct DrawError {
    figure: String,
    reason: String,
}

impl DrawError {
    fn of(figure: &str) -> impl Fn(&dyn std::fmt::Display) -> Self + '_ {
        |reason| Self { figure: figure.to_owned(), reason: reason.to_string() }
    }
}

/// Draws a figure as SVG.
///
/// # Errors
/// If the numbers cannot be drawn.
pub fn svg(figure: &Figure) -> Result<String, DrawError> {
    let refused = DrawError::of(&figure.name);
    let mut text = String::new();
    let height = match &figure.chart {
        Chart::Bars { bars, .. } => 100 + 22 * bars.len() as u32,
        _ => SIZE.1,
    };
    {
        let area = SVGBackend::with_string(&mut text, (SIZE.0, height)).into_drawing_area();
        let drawn = match &figure.chart {
            Chart::Lines { x, y, lines, log } => curves::draw(&area, (x, y), lines, curves::Form::Joined { log: *log }),
            Chart::Points { x, y, groups, diagonal, .. } => {
                curves::draw(&area, (x, y), groups, curves::Form::Points { diagonal: *diagonal })
            }
            Chart::Heatmap { rows, columns, value, cells } => heatmap::draw(&area, rows, columns, value, cells),
            Chart::Bars { value, bars } => bar_chart(&area, value, bars),
            Chart::Parallel { axes } => parallel(&area, axes),
        };
        drawn.map_err(|error| refused(&error))?;
        area.present().map_err(|error| refused(&error))?;
    }
    Ok(text)
}

/// Renders the SVG of a figure of this name as PNG, twice as large.
///
/// # Errors
/// If the SVG cannot be parsed.
pub fn rendered(name: &str, svg: &str) -> Result<Vec<u8>, DrawError> {
    let refused = DrawError::of(name);
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    fonts.set_sans_serif_family("Ubuntu");
    let options =
        usvg::Options { fontdb: Arc::new(fonts), font_family: "Ubuntu".to_owned(), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| refused(&error))?;
    let size = tree.size().to_int_size();
    let pixels = tiny_skia::Pixmap::new(2 * size.width(), 2 * size.height());
    let mut pixels = pixels.ok_or_else(|| refused(&"it is empty"))?;
    pixels.fill(tiny_skia::Color::WHITE);
    resvg::render(&tree, tiny_skia::Transform::from_scale(2.0, 2.0), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| refused(&error))
}

/// Returns the ends of an axis for some values, with a margin.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let room = ((high - low) * 0.04).max(high.abs() * 1e-3).max(1e-9);
    if low <= high { (low - room, high + room) } else { (0.0, 1.0) }
}

/// Returns the colours of so many groups.
fn colours(count: usize) -> Vec<RGBColor> {
    palette::colours(count).into_iter().map(|[red, green, blue]| RGBColor(red, green, blue)).collect()
}

fn font(size: i32) -> (&'static str, i32) {
    ("sans-serif", size)
}

fn centred() -> Pos {
    Pos::new(HPos::Center, VPos::Center)
}

/// Returns the anchor of texts that end at their position.
fn to_the_left() -> Pos {
    Pos::new(HPos::Right, VPos::Center)
}

fn bar_chart(area: &Area<'_>, value: &str, bars: &[Bar]) -> Drawn {
    let known = || bars.iter().filter(|bar| bar.value.is_finite());
    let most = known().map(|bar| bar.interval.map_or(bar.value, |ends| ends.1.max(bar.value))).fold(0.0, f64::max);
    let least = known().map(|bar| bar.interval.map_or(bar.value, |ends| ends.0.min(bar.value))).fold(0.0, f64::min);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(230)
        .build_cartesian_2d(least..most.max(1e-9) * 1.04, bars.len() as f64..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc(value)
        .axis_desc_style(font(15))
        .label_style(font(13))
        .y_labels(0)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    let fill = colours(1)[0];
    let side = TextStyle::from(font(13)).pos(to_the_left());
    for (at, bar) in bars.iter().enumerate() {
        let middle = at as f64 + 0.5;
        if bar.value.is_finite() {
            let corners = [(0.0, at as f64 + 0.15), (bar.value, at as f64 + 0.85)];
            chart.draw_series([Rectangle::new(corners, fill.filled())])?;
        }
        if let Some((low, high)) = bar.interval.filter(|ends| ends.0.is_finite() && ends.1.is_finite()) {
            chart.draw_series([PathElement::new([(low, middle), (high, middle)], BLACK.stroke_width(2))])?;
        }
        let (x, y) = chart.plotting_area().map_coordinate(&(least, middle));
        area.draw_text(&bar.words(), &side, (x - 6, y))?;
    }
    Ok(())
}

fn parallel(area: &Area<'_>, axes: &[Dimension]) -> Drawn {
    let spans: Vec<(f64, f64)> = axes.iter().map(|axis| ends(axis.values.iter().copied())).collect();
    let last = axes.len().saturating_sub(1).max(1) as f64;
    let mut chart =
        ChartBuilder::on(area).margin(30).x_label_area_size(30).build_cartesian_2d(-0.15..last + 0.15, 0.0..1.0)?;
    let share = |axis: usize, row: usize| (axes[axis].values[row] - spans[axis].0) / (spans[axis].1 - spans[axis].0);
    let is_whole = |row: &usize| axes.iter().all(|axis| axis.values[*row].is_finite());
    for row in (0..axes.first().map_or(0, |axis| axis.values.len())).filter(is_whole) {
        let way: Vec<(f64, f64)> = (0..axes.len()).map(|axis| (axis as f64, share(axis, row))).collect();
        let shade = ViridisRGB.get_color(share(axes.len() - 1, row));
        chart.draw_series([PathElement::new(way, shade.stroke_width(1))])?;
    }
    let style = TextStyle::from(font(12)).pos(centred());
    for (at, axis) in axes.iter().enumerate() {
        chart.draw_series([PathElement::new([(at as f64, 0.0), (at as f64, 1.0)], BLACK.stroke_width(1))])?;
        let plotting = chart.plotting_area();
        let (x, bottom) = plotting.map_coordinate(&(at as f64, 0.0));
        let (_, top) = plotting.map_coordinate(&(at as f64, 1.0));
        area.draw_text(&axis.name, &style, (x, bottom + 16))?;
        for (end, y) in [(spans[at].0, bottom - 6), (spans[at].1, top - 8)] {
            let word = axis.words.as_ref().and_then(|words| words.get(end.round().max(0.0) as usize).cloned());
            area.draw_text(&word.unwrap_or_else(|| format!("{end:.3}")), &style, (x, y))?;
        }
    }
    Ok(())
}
