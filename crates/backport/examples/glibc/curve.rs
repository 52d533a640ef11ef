//! How well the signs of danger tell the backports that were shipped otherwise: the weights fitted
//! on one half of the fixes, the curve on either half, and its drawing.

use crate::Result;
use ringfence_backport::danger::{Danger, Sign, THRESHOLD, score, signs};
use ringfence_git::Oid;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A pair whose plain merge is clean: whether it was shipped like that, and the signs.
pub(crate) struct Clean {
    pub(crate) fix: Oid,
    pub(crate) same: bool,
    pub(crate) dangers: Vec<Danger>,
}

impl Clean {
    /// The half by the fix's name: the backports of one fix are all in the same half.
    fn is_for_fitting(&self) -> bool {
        self.fix.to_string().as_bytes()[0].is_multiple_of(2)
    }

    fn has(&self, sign: Sign) -> bool {
        self.dangers.iter().any(|danger| danger.sign == sign)
    }
}

/// A point of a curve: at this score and above, so many are flagged.
struct Point {
    score: f64,
    hits: usize,
    alarms: usize,
}

struct Curve {
    points: Vec<Point>,
    dangerous: usize,
    harmless: usize,
}

pub(crate) fn report(clean: &[Clean]) -> Result<()> {
    for sign in signs() {
        let count = |same| clean.iter().filter(|p| p.same == same && p.has(sign)).count();
        println!("{sign:?}: {} of the dangerous, {} of the others", count(false), count(true));
    }
    let (fitting, judging): (Vec<&Clean>, Vec<&Clean>) =
        clean.iter().partition(|pair| pair.is_for_fitting());
    println!("\nfitted on one half:");
    for (sign, weight) in fit(&fitting) {
        println!("  {sign:?} {weight:.2} (in use {:.2})", sign.weight());
    }
    let all: Vec<&Clean> = clean.iter().collect();
    let mut curves = Vec::new();
    for (name, part) in [("fitted half", fitting), ("other half", judging), ("all", all)] {
        let curve = Curve::new(&part);
        println!("\n{name}\n{}", curve.table());
        curves.push((name, curve));
    }
    if let Some(file) = std::env::var_os("RINGFENCE_CURVE") {
        std::fs::write(file, drawing(&curves))?;
    }
    Ok(())
}

/// Logistic regression without negative weights: a sign never speaks for a merge.
fn fit(pairs: &[&Clean]) -> Vec<(Sign, f64)> {
    const ROUNDS: usize = 4000;
    const RATE: f64 = 2.0;
    const RIDGE: f64 = 0.0005;
    let kinds: Vec<Sign> = signs().collect();
    let (mut weights, mut bias) = (vec![0.0; kinds.len()], -4.0);
    for _ in 0..ROUNDS {
        let (mut slopes, mut slope) = (vec![0.0; kinds.len()], 0.0);
        for pair in pairs {
            let seen: Vec<usize> = (0..kinds.len()).filter(|at| pair.has(kinds[*at])).collect();
            let sum: f64 = bias + seen.iter().map(|at| weights[*at]).sum::<f64>();
            let error = 1.0 / (1.0 + (-sum).exp()) - f64::from(u8::from(!pair.same));
            slope += error;
            for at in seen {
                slopes[at] += error;
            }
        }
        let count = pairs.len() as f64;
        bias -= RATE * slope / count;
        for (weight, slope) in weights.iter_mut().zip(slopes) {
            *weight = f64::max(0.0, *weight - RATE * (slope / count + RIDGE * *weight));
        }
    }
    kinds.into_iter().zip(weights).collect()
}

impl Curve {
    fn new(pairs: &[&Clean]) -> Curve {
        let mut by_score: BTreeMap<i64, (usize, usize)> = BTreeMap::new();
        for pair in pairs {
            let at = by_score.entry((score(&pair.dangers) * 100.0).round() as i64).or_default();
            if pair.same { at.1 += 1 } else { at.0 += 1 }
        }
        let (mut hits, mut alarms, mut points) = (0, 0, Vec::new());
        for (score, (hit, alarm)) in by_score.into_iter().rev() {
            (hits, alarms) = (hits + hit, alarms + alarm);
            points.push(Point { score: score as f64 / 100.0, hits, alarms });
        }
        Curve { points, dangerous: hits, harmless: alarms }
    }

    fn share(&self, point: &Point) -> (f64, f64) {
        let part = |count: usize, all: usize| count as f64 / all.max(1) as f64;
        (part(point.alarms, self.harmless), part(point.hits, self.dangerous))
    }

    fn table(&self) -> String {
        let mut text = format!(
            "score from  flagged of {}  false alarms of {}\n",
            self.dangerous, self.harmless
        );
        for point in &self.points {
            let (alarms, hits) = self.share(point);
            let (alarms, hits) = (100.0 * alarms, 100.0 * hits);
            let used = if (point.score - THRESHOLD).abs() < 0.001 { "  in use" } else { "" };
            let _ = writeln!(
                text,
                "{:>10.2}  {:>4} {hits:>5.1}%  {:>4} {alarms:>5.2}%{used}",
                point.score, point.hits, point.alarms
            );
        }
        text
    }

    /// The part of the curve up to this share of false alarms, in the drawing's coordinates.
    fn path(&self) -> String {
        let mut path = String::from("M60,320");
        for point in &self.points {
            let (alarms, hits) = self.share(point);
            if alarms <= RIGHT {
                let (x, y) = place(alarms, hits);
                let _ = write!(path, " L{x:.1},{y:.1}");
            }
        }
        path
    }
}

/// The drawing ends at this share of false alarms.
const RIGHT: f64 = 0.2;

fn place(alarms: f64, hits: f64) -> (f64, f64) {
    (60.0 + 480.0 * alarms / RIGHT, 320.0 - 300.0 * hits)
}

fn drawing(curves: &[(&str, Curve)]) -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 560 370\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Backports that merge cleanly and were shipped otherwise: share flagged against share of false alarms</title>\n\
         <rect width=\"560\" height=\"370\" fill=\"white\"/>\n",
    );
    for step in 0..=10 {
        let (_, y) = place(0.0, f64::from(step) / 10.0);
        let _ = writeln!(svg, "<path d=\"M60,{y:.1} H540\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"54\" y=\"{:.1}\" text-anchor=\"end\">{}%</text>",
            y + 4.0,
            step * 10
        );
    }
    for step in 0..=4 {
        let (x, _) = place(f64::from(step) * 0.05, 0.0);
        let _ = writeln!(svg, "<path d=\"M{x:.1},20 V320\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"336\" text-anchor=\"middle\">{}%</text>",
            step * 5
        );
    }
    let (x, y) = place(0.05, 0.6);
    let _ = writeln!(
        svg,
        "<path d=\"M60,{y:.1} H{x:.1} V20\" fill=\"none\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>"
    );
    svg.push_str("<text x=\"300\" y=\"356\" text-anchor=\"middle\">false alarms among the backports shipped as merged</text>\n");
    let colours = ["#888888", "#c0392b", "#2c6fbb"];
    for (at, ((name, curve), colour)) in curves.iter().zip(colours).enumerate() {
        let _ = writeln!(
            svg,
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            curve.path()
        );
        let _ = writeln!(
            svg,
            "<text x=\"400\" y=\"{}\" fill=\"{colour}\">{name}: {} of {} otherwise</text>",
            270 + 16 * at,
            curve.dangerous,
            curve.dangerous + curve.harmless
        );
    }
    svg.push_str("</svg>\n");
    svg
}
