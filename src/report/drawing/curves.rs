//! Draws curves over a common axis, and points in groups.

use plotters::prelude::*;

use super::{Area, Drawn, colours, ends, font};
use crate::{
    amount::number,
    report::{
        figure::{LEGEND, Line},
        middle,
    },
};

/// How points are drawn.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Joined by lines. With `log`, equal factors are equally far apart along the horizontal axis.
    Joined { log: bool },
    /// By themselves, perhaps with the diagonal x = y.
    Points { diagonal: bool },
}

/// Draws curves, or points in groups, with their names on the right.
pub(super) fn draw(area: &Area<'_>, (x, y): (&str, &str), lines: &[Line], form: Form) -> Drawn {
    let (joined, log) = (matches!(form, Form::Joined { .. }), matches!(form, Form::Joined { log: true }));
    // The chart itself is linear: on a logarithmic axis it has the logarithms, and the labels undo them.
    let place = |at: f64| if log { at.log10() } else { at };
    let colours = colours(lines.len());
    let area = &if (2..=LEGEND).contains(&lines.len()) { names(area, lines)? } else { area.clone() };
    let all = || lines.iter().flat_map(|line| &line.points);
    let (left, right) = ends(all().map(|point| place(point.0)));
    let intervals = || lines.iter().flat_map(|line| &line.intervals).flatten().flat_map(|ends| [ends.0, ends.1]);
    let (low, high) = ends(all().map(|point| point.1).chain(intervals()));
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(left..right, low..high)?;
    let whole = !log && all().all(|point| point.0.fract() == 0.0);
    chart
        .configure_mesh()
        // An axis of whole numbers, such as epochs, has no labels between them.
        .x_label_formatter(&|at| match at {
            at if whole && at.fract() != 0.0 => String::new(),
            at if log => label(10f64.powf(*at)),
            at => label(*at),
        })
        .y_label_formatter(&|at| label(*at))
        .x_desc(x)
        .y_desc(y)
        .axis_desc_style(font(15))
        .label_style(font(13))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    if let Form::Points { diagonal: true } = form {
        let (from, to) = (left.max(low), right.min(high));
        chart.draw_series(DashedLineSeries::new([(from, from), (to, to)], 4, 4, BLACK.mix(0.6).into()))?;
    }
    for (at, line) in lines.iter().enumerate() {
        let colour = colours[at];
        let (size, is_number) =
            (if joined { 3 } else { 2 }, |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite());
        // A number that is not finite leaves a gap.
        let points: Vec<(f64, f64)> = line.points.iter().map(|point| (place(point.0), point.1)).collect();
        for stretch in points.split(|point| !is_number(point)).filter(|stretch| !stretch.is_empty()) {
            chart.draw_series(stretch.iter().map(|&point| Circle::new(point, size, colour.filled())))?;
            if joined {
                chart.draw_series(LineSeries::new(stretch.iter().copied(), colour.stroke_width(2)))?;
            }
        }
        let with_ends = points.iter().zip(&line.intervals).filter_map(|(point, ends)| Some((point.0, (*ends)?)));
        for (x, (low, high)) in with_ends.filter(|(_, ends)| ends.0.is_finite() && ends.1.is_finite()) {
            chart.draw_series([PathElement::new([(x, low), (x, high)], colour.stroke_width(1))])?;
        }
    }
    Ok(())
}

/// Writes the names at the right edge and returns the remaining area.
fn names<'a>(area: &Area<'a>, lines: &[Line]) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    const LETTER: usize = 7;
    const WIDEST: usize = 40;
    const ROW: i32 = 20;
    let name = |line: &Line| middle(&line.name, WIDEST);
    let longest = lines.iter().map(|line| name(line).chars().count()).max().unwrap_or_default();
    let colours = super::colours(lines.len());
    let (width, _) = area.dim_in_pixel();
    let (plot, legend) = area.split_horizontally(width as i32 - (LETTER * longest + 30) as i32);
    for (at, line) in lines.iter().enumerate() {
        let y = 24 + ROW * at as i32;
        legend.draw(&Circle::new((8, y), 4, colours[at].filled()))?;
        legend.draw_text(&name(line), &TextStyle::from(font(13)), (18, y - 7))?;
    }
    Ok(plot)
}

/// Formats a number on an axis, without trailing zeros.
fn label(at: f64) -> String {
    let text = number(at);
    if text.contains('e') || !text.contains('.') {
        text
    } else {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_have_no_zeros_behind() {
        let labels = [4.2, 4.0, 100.0, 0.0, -0.25, 1e-7].map(label);
        assert_eq!(labels, ["4.2", "4", "100", "0", "-0.25", "1.000e-7"]);
    }
}
