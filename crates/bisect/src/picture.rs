//! A picture of the belief over the history, as SVG.

use crate::drive::Finished;
use std::fmt::Write as _;

const WIDTH: usize = 900;
const HEIGHT: usize = 240;
const BARS: usize = 300;

/// Draws every suspect's probability from oldest to newest, logarithmic, and below it where tests
/// fired (red), stayed silent (green) or could not be made (grey).
#[must_use]
pub fn picture(finished: &Finished) -> String {
    let search = &finished.search;
    let parts = search.posterior_with_doubt();
    let suspects = parts.len().max(1);
    let at = |node: usize| 10.0 + node as f64 / suspects as f64 * (WIDTH as f64 - 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let per_bar = suspects.div_ceil(BARS);
    for (bar, chunk) in parts.chunks(per_bar).enumerate() {
        let mass: f64 = chunk.iter().sum();
        // Six orders of magnitude from the ground to the top.
        let tall = ((mass.max(1e-6).log10() + 6.0) / 6.0 * 170.0).clamp(0.0, 170.0);
        let (x, wide) = (at(bar * per_bar), at(per_bar) - at(0));
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{wide:.2}\" height=\"{tall:.1}\" fill=\"#4477aa\"/>",
            200.0 - tall
        );
    }
    for hash in &finished.book.order {
        let Some(node) = hash.parse().ok().and_then(|id| finished.range.node(id)) else { continue };
        let tally = search.tally(node);
        let colour = match (tally.hit, tally.ok) {
            (0, 0) => "#999999",
            (0, _) => "#228833",
            _ => "#cc3311",
        };
        let x = at(if node >= suspects { 0 } else { node });
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} 204 l-4 10 h8 z\" fill=\"{colour}\"><title>{hash}: {} fired, {} \
             silent</title></path>",
            tally.hit, tally.ok
        );
    }
    let (top, belief) = search.top();
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"16\">likeliest: {} ({:.2}%)</text>\n\
         <text x=\"10\" y=\"234\">oldest</text>\n\
         <text x=\"{}\" y=\"234\" text-anchor=\"end\">newest of {suspects} suspects</text>\n</svg>",
        finished.range.id(top).short(),
        100.0 * belief,
        WIDTH - 10
    );
    svg
}
