//! Figures as Plotly draws them. A number that is not finite is null in JSON and leaves a gap. The script of the page
//! sets the colours, so that they follow the theme.

use serde_json::{Value, json};

use crate::report::{
    figure::{Bar, Chart, Dimension, Figure, LEGEND, Line, cell_words},
    palette::{Colour, colours, hex},
};

/// The most values of a horizontal axis that are all marked.
const MARKS: usize = 10;

/// Returns the source of Plotly as one script.
pub(super) fn library() -> String {
    // The crate returns several script elements: MathJax, which the page does not need, and Plotly.
    let all = plotly::Plot::offline_js_sources();
    let scripts = all.split("<script").filter_map(|script| script.split_once('>')?.1.rsplit_once("</script>"));
    scripts.map(|(code, _)| code).find(|code| code.contains("plotly.js v")).unwrap_or_default().to_owned()
}

/// Returns `data` and `layout` of a figure, in the form that `Plotly.newPlot` takes.
pub(super) fn drawing(figure: &Figure) -> Value {
    let title = |text: &str| json!({ "text": text });
    match &figure.chart {
        Chart::Lines { x, y, lines, log } => {
            let mode = if lines.iter().all(|line| line.points.len() < 40) { "lines+markers" } else { "lines" };
            let data: Vec<Value> =
                lines.iter().zip(colours(lines.len())).map(|(line, colour)| trace(line, mode, colour)).collect();
            // A longer legend would be larger than the curves, so names are shown on hover only.
            let legend = (2..=LEGEND).contains(&data.len());
            let hover = if data.len() > LEGEND { "closest" } else { "x unified" };
            let mut axis = match log {
                true => json!({ "title": title(x), "type": "log" }),
                false => json!({ "title": title(x), "rangemode": "tozero" }),
            };
            // Few values, such as an axis or the first epochs has, are marked and nothing between them.
            let mut places: Vec<f64> = lines.iter().flat_map(|line| &line.points).map(|point| point.0).collect();
            places.sort_by(f64::total_cmp);
            places.dedup();
            if places.len() <= MARKS {
                axis["tickvals"] = json!(places);
                axis["ticktext"] = json!(places.iter().map(f64::to_string).collect::<Vec<_>>());
            }
            json!({ "data": data, "layout": {
                "xaxis": axis, "yaxis": { "title": title(y) },
                "showlegend": legend, "hovermode": hover,
            }})
        }
        Chart::Points { x, y, groups, diagonal, tiles } => {
            let mut data: Vec<Value> = Vec::new();
            for (at, (group, colour)) in groups.iter().zip(colours(groups.len())).enumerate() {
                let mut points = trace(group, "markers", colour);
                if let Some(tiles) = tiles {
                    points["customdata"] = json!(tiles.of[at]);
                    points["type"] = json!("scattergl");
                    points["marker"]["size"] = json!(5);
                    points["hoverinfo"] = json!("name");
                }
                data.push(points);
            }
            let ends = groups.iter().flat_map(|group| &group.points).flat_map(|(x, y)| [*x, *y]);
            let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            let shapes = if *diagonal && low < high {
                json!([{ "type": "line", "x0": low, "y0": low, "x1": high, "y1": high, "line": { "dash": "dot", "width": 1 } }])
            } else {
                json!([])
            };
            let mut layout = json!({
                "xaxis": { "title": title(x) }, "yaxis": { "title": title(y) }, "shapes": shapes,
                "showlegend": groups.len() > 1, "hovermode": "closest",
            });
            if let Some(tiles) = tiles {
                layout["yaxis"]["scaleanchor"] = json!("x");
                layout["meta"] = json!({ "sprite": tiles.sprite });
                layout["height"] = json!(560);
            }
            json!({ "data": data, "layout": layout })
        }
        Chart::Heatmap { rows, columns, value, cells } => {
            let mut map = json!({
                "type": "heatmap", "x": columns.1, "y": rows.1, "z": cells, "colorscale": "Viridis",
                "hovertemplate": format!("{}=%{{y}}<br>{}=%{{x}}<br>{value}: %{{z:.4g}}<extra></extra>", rows.0, columns.0),
                "colorbar": { "title": title(value) }, "hoverongaps": false,
            });
            if let Some(words) = cell_words(cells) {
                map["text"] = json!(words);
                map["texttemplate"] = json!("%{text}");
            }
            json!({ "data": [map], "layout": {
                "xaxis": { "title": title(&columns.0), "type": "category" },
                "yaxis": { "title": title(&rows.0), "type": "category", "autorange": "reversed" },
            }})
        }
        Chart::Bars { value, bars } => {
            let error = |end: fn(&(f64, f64), f64) -> f64| -> Vec<f64> {
                bars.iter().map(|bar| bar.interval.map_or(0.0, |ends| end(&ends, bar.value))).collect()
            };
            let names: Vec<String> = bars.iter().map(Bar::words).collect();
            let values: Vec<f64> = bars.iter().map(|bar| bar.value).collect();
            let mut drawn = json!({ "type": "bar", "orientation": "h", "y": names, "x": values, "marker": { "color": hex(colours(1)[0]) },
                "hovertemplate": format!("%{{y}}<br>{value}: %{{x:.4g}}<extra></extra>") });
            if bars.iter().any(|bar| bar.interval.is_some()) {
                drawn["error_x"] = json!({ "type": "data", "symmetric": false,
                    "array": error(|ends, value| ends.1 - value), "arrayminus": error(|ends, value| value - ends.0) });
            }
            json!({ "data": [drawn], "layout": {
                "xaxis": { "title": title(value) }, "height": 90 + 24 * bars.len(),
                "yaxis": { "autorange": "reversed", "automargin": true, "type": "category" },
            }})
        }
        Chart::Parallel { axes } => {
            // Plotly would draw a line that lacks a value on one axis as if it had one.
            let is_whole = |row: &usize| axes.iter().all(|axis| axis.values[*row].is_finite());
            let rows: Vec<usize> = (0..axes.first().map_or(0, |axis| axis.values.len())).filter(is_whole).collect();
            let kept = |axis: &Dimension| rows.iter().map(|&row| axis.values[row]).collect();
            let colour: Vec<f64> = axes.last().map(kept).unwrap_or_default();
            let dimension = |axis: &Dimension| dimension(axis, kept(axis));
            json!({ "data": [{ "type": "parcoords", "dimensions": axes.iter().map(dimension).collect::<Vec<_>>(),
                "line": { "color": colour, "colorscale": "Viridis", "showscale": true } }], "layout": { "height": 420 } })
        }
    }
}

fn trace(line: &Line, mode: &str, colour: Colour) -> Value {
    let (x, y): (Vec<f64>, Vec<f64>) = line.points.iter().copied().unzip();
    let colour = hex(colour);
    let mut drawn = json!({ "type": "scatter", "mode": mode, "name": line.name, "x": x, "y": y,
        "line": { "color": colour }, "marker": { "color": colour } });
    if line.intervals.iter().any(Option::is_some) {
        let far = |end: fn((f64, f64), f64) -> f64| -> Vec<f64> {
            y.iter().zip(&line.intervals).map(|(&y, ends)| ends.map_or(0.0, |ends| end(ends, y))).collect()
        };
        drawn["error_y"] = json!({ "type": "data", "symmetric": false, "thickness": 1.2,
            "array": far(|ends, y| ends.1 - y), "arrayminus": far(|ends, y| y - ends.0) });
    }
    drawn
}

fn dimension(axis: &Dimension, values: Vec<f64>) -> Value {
    let mut drawn = json!({ "label": axis.name, "values": values });
    if let Some(words) = &axis.words {
        drawn["tickvals"] = json!((0..words.len()).collect::<Vec<_>>());
        drawn["ticktext"] = json!(words);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_a_gap_in_valid_json() {
        let points = vec![(1.0, 0.5), (2.0, f64::NAN), (3.0, f64::INFINITY), (4.0, 0.25)];
        let lines = vec![Line { name: "a".to_owned(), points, ..Line::default() }];
        let chart = Chart::Lines { x: "epoch".to_owned(), y: "loss".to_owned(), lines, log: false };
        let figure = Figure { name: "loss".to_owned(), title: String::new(), caption: String::new(), chart };
        let text = drawing(&figure).to_string();
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["data"][0]["y"], json!([0.5, null, null, 0.25]));
    }
}
