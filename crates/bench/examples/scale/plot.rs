//! Draws the tables: one picture per workload, both axes logarithmic, one line per series.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// The picture and the frame inside it, pixels.
const SIZE: (f64, f64) = (640.0, 360.0);
const FRAME: (f64, f64, f64, f64) = (70.0, 40.0, 520.0, 310.0);

/// Colours that differ in lightness too, in the order of the series' names.
const COLOURS: [&str; 4] = ["#3b6fb6", "#d1622b", "#4f8f4f", "#8a5fa8"];

/// Points of one series: in flight, nanoseconds.
type Series = BTreeMap<String, Vec<(f64, f64)>>;

/// Draws the tables in `files` into `directory`.
pub(crate) fn draw(directory: &str, files: &[String]) -> io::Result<()> {
    let mut workloads: BTreeMap<String, Series> = BTreeMap::new();
    for file in files {
        for line in std::fs::read_to_string(file)?.lines() {
            let cells: Vec<&str> = line.split(',').collect();
            let point = (cells.get(2).map(|n| n.parse()), cells.get(3).map(|n| n.parse()));
            let (Some(Ok(count)), Some(Ok(nanos))) = point else {
                return Err(io::Error::other(format!("{file}: {line}: no row of a table")));
            };
            let series = workloads.entry(cells[1].to_owned()).or_default();
            series.entry(cells[0].to_owned()).or_default().push((count, nanos));
        }
    }
    for (workload, series) in &workloads {
        let path = Path::new(directory).join(format!("scale-{workload}.svg"));
        std::fs::write(path, picture(workload, series))?;
    }
    Ok(())
}

/// A scale from powers of ten to pixels.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(1.0, f64::max).log10().ceil().max(low + 1.0);
        Axis { low, high, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// The powers of ten on it.
    fn marks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

fn picture(workload: &str, series: &Series) -> String {
    let (left, top, right, bottom) = FRAME;
    let points = series.values().flatten();
    let x = Axis::over(points.clone().map(|point| point.0), left, right);
    let y = Axis::over(points.map(|point| point.1), bottom, top);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n<text x=\"{left}\" y=\"22\" font-size=\"14\">{workload}: nanoseconds per \
         operation, by the number in flight</text>\n",
        SIZE.0, SIZE.1
    );
    for mark in x.marks() {
        let at = x.at(mark);
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{mark}</text>",
            bottom + 18.0
        );
    }
    for mark in y.marks() {
        let at = y.at(mark);
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{mark}</text>",
            left - 6.0,
            at + 4.0
        );
    }
    let mut names: Vec<f64> = Vec::new();
    for ((name, points), colour) in series.iter().zip(COLOURS) {
        line(&mut svg, points, colour, &x, &y);
        if let Some((_, nanos)) = points.last() {
            let at = beside(&names, y.at(*nanos) + 4.0);
            names.push(at);
            let _ = writeln!(svg, "<text x=\"528\" y=\"{at:.1}\" fill=\"{colour}\">{name}</text>");
        }
    }
    svg + "</svg>\n"
}

/// The place nearest to `at` at which a name covers none of those at `names`.
fn beside(names: &[f64], at: f64) -> f64 {
    const HEIGHT: f64 = 14.0;
    names.iter().fold(at, |at, other| match at - other {
        apart if apart.abs() >= HEIGHT => at,
        apart => other + HEIGHT.copysign(apart),
    })
}

/// One series.
fn line(svg: &mut String, points: &[(f64, f64)], colour: &str, x: &Axis, y: &Axis) {
    let place = |point: &(f64, f64)| format!("{:.1},{:.1}", x.at(point.0), y.at(point.1));
    let path: Vec<String> = points.iter().map(place).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        path.join(" ")
    );
    for (count, nanos) in points {
        let (cx, cy) = (x.at(*count), y.at(*nanos));
        let _ = writeln!(svg, "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
}
