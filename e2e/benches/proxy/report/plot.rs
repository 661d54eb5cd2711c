//! One figure as a picture: a row an entrant, a mark a value, on a logarithmic axis, since entrants differ by a factor of a hundred.

use std::fmt::{self, Write as _};

use super::figures::{Cell, Figure};

const WIDTH: f64 = 900.0;
/// Where the axis begins and ends; names stand before it, numbers behind.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 690.0;
const ROW: f64 = 26.0;
const TOP: f64 = 10.0;
/// Below the rows, for the axis; and for the legend, if there is more than one value.
const BOTTOM: f64 = 24.0;
const LEGEND: f64 = 22.0;

/// The axis, from one power of ten to another.
struct Axis {
    first: i32,
    last: i32,
}

impl Axis {
    /// An axis that holds all positive `values`.
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = values
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
                (least.min(value), most.max(value))
            });
        if most <= 0.0 {
            return Self { first: 0, last: 1 };
        }
        let first = least.log10().floor() as i32;
        Self {
            first,
            last: (most.log10().ceil() as i32).max(first + 1),
        }
    }

    /// Where `value` stands; what is not above the axis' beginning stands there.
    fn place(&self, value: f64) -> f64 {
        let share = match value > 0.0 {
            true => (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first),
            false => 0.0,
        };
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

/// The picture, as an SVG element.
pub(super) fn draw(figure: &Figure, is_ours: impl Fn(&str) -> bool) -> Result<String, fmt::Error> {
    let axis = Axis::around(figure.rows.iter().flat_map(|(_, cell)| {
        match cell {
            Cell::Values(values) => values.as_slice(),
            Cell::Words(_) => &[],
        }
        .iter()
        .copied()
    }));
    let bottom = TOP + ROW * figure.rows.len() as f64;
    let has_legend = figure.labels.len() > 1;
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {}" role="img" aria-label="{}">"#,
        bottom + BOTTOM + if has_legend { LEGEND } else { 0.0 },
        escaped(&figure.heading())
    );
    grid(&mut svg, &axis, bottom)?;
    for (index, (name, cell)) in figure.rows.iter().enumerate() {
        let middle = TOP + ROW * (index as f64 + 0.5);
        let class = if is_ours(name) { "ours" } else { "other" };
        write!(svg, r#"<g class="{class}">"#)?;
        text(&mut svg, LEFT - 10.0, middle + 4.0, "end", name)?;
        match cell {
            Cell::Values(values) => row(&mut svg, &axis, middle, values)?,
            Cell::Words(words) => text(&mut svg, LEFT + 8.0, middle + 4.0, "start", words)?,
        }
        if let Cell::Values(_) = cell {
            text(&mut svg, RIGHT + 14.0, middle + 4.0, "start", &cell.text())?;
        }
        svg.push_str("</g>");
    }
    if has_legend {
        legend(&mut svg, &figure.labels, bottom + 38.0)?;
    }
    svg.push_str("</svg>");
    Ok(svg)
}

fn grid(svg: &mut String, axis: &Axis, bottom: f64) -> fmt::Result {
    for power in axis.first..=axis.last {
        let value = 10_f64.powi(power);
        let x = axis.place(value);
        write!(
            svg,
            r#"<line class="grid" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}"/>"#
        )?;
        text(svg, x, bottom + 16.0, "middle", &format!("{value}"))?;
    }
    Ok(())
}

fn row(svg: &mut String, axis: &Axis, middle: f64, values: &[f64]) -> fmt::Result {
    // A single value is a bar's end; several are a range.
    let from = match values {
        [_] => LEFT,
        _ => values.first().map_or(LEFT, |value| axis.place(*value)),
    };
    let to = values.last().map_or(LEFT, |value| axis.place(*value));
    write!(
        svg,
        r#"<line class="range" x1="{from:.1}" y1="{middle}" x2="{to:.1}" y2="{middle}"/>"#
    )?;
    values
        .iter()
        .enumerate()
        .try_for_each(|(index, value)| mark(svg, index, axis.place(*value), middle))
}

/// The mark of the value with this index: a disc, a square, a rhomb.
fn mark(svg: &mut String, index: usize, x: f64, y: f64) -> fmt::Result {
    match index {
        0 => write!(svg, r#"<circle cx="{x:.1}" cy="{y}" r="5"/>"#),
        1 => write!(
            svg,
            r#"<rect x="{:.1}" y="{}" width="9" height="9"/>"#,
            x - 4.5,
            y - 4.5
        ),
        _ => write!(svg, r#"<path d="M{:.1} {y}l6 -6l6 6l-6 6z"/>"#, x - 6.0),
    }
}

fn legend(svg: &mut String, labels: &[&str], y: f64) -> fmt::Result {
    svg.push_str(r#"<g class="other">"#);
    for (index, label) in labels.iter().enumerate() {
        let x = LEFT + 90.0 * index as f64;
        mark(svg, index, x, y - 4.0)?;
        text(svg, x + 12.0, y, "start", label)?;
    }
    svg.push_str("</g>");
    Ok(())
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) -> fmt::Result {
    write!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
        escaped(words)
    )
}

/// `text` for an element or an attribute of HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
