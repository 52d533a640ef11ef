//! What is believed about the rates before and after seeing runs.
//!
//! A test of a revision that has the bug fires with a rate nobody knows. Most often it is one rate
//! for all revisions; sometimes it changes along the history. Both are covered by one family: each
//! revision's rate is drawn from a Beta distribution with mean `mean` and strength `strength`,
//! where an infinite strength means one rate for all. A grid over both carries the belief, so that
//! no step needs more than sums.
//!
//! On a revision without the bug a run of the right title should not happen at all; with a small
//! weight it happens at some small rate (a title that other bugs share, a test that fails by
//! itself).

use std::sync::LazyLock;

/// One point of the grid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Mean rate over revisions.
    pub(crate) mean: f64,
    /// How alike revisions are: the number of runs the mean is worth; infinite for one rate.
    pub(crate) strength: f64,
    /// Logarithm of the weight before any run.
    pub(crate) ln_prior: f64,
}

/// Runs of one build that say something: the bug fired, or nothing happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fired {
    pub(crate) hit: u32,
    pub(crate) ok: u32,
}

const MEANS: usize = 40;

/// Strengths and their weights: one rate for all is by far the likeliest, and a rate that jumps
/// freely is the rarest. The weights are what the drift figures of the bench were made with.
const STRENGTHS: [(f64, f64); 4] =
    [(f64::INFINITY, 0.975), (30.0, 0.01), (6.0, 0.01), (1.5, 0.005)];

/// The weight that a run of the right title can happen without the bug.
static NOISE_WEIGHT_: LazyLock<f64> = LazyLock::new(|| env("TN", 0.05));
pub(crate) fn env(n: &str, d: f64) -> f64 { std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d) }
/// Where it can, its rate is Beta(1, this): 5% on average.
const NOISE_BETA: f64 = 20.0;

pub(crate) static GRID: LazyLock<Vec<Rate>> = LazyLock::new(|| {
    let mut grid = Vec::with_capacity(MEANS * STRENGTHS.len());
    let d = env("TD", 1.0);
    for (strength, weight) in STRENGTHS {
        let weight = if strength.is_infinite() { weight } else { weight * d };
        if weight == 0.0 { continue; }
        for at in 0..MEANS {
            // Equal steps of the arcsine are Jeffreys' prior of a rate.
            let angle = (at as f64 + 0.5) / MEANS as f64 * std::f64::consts::FRAC_PI_2;
            let mean = angle.sin().powi(2);
            // A bug that fires less than once in a hundred runs is seldom bisected at all.
            let rare = (mean / (mean + env("TR", 0.01))).max(0.05) * mean.powf(env("TP", 0.0));
            let known = env("KNOWN", 0.0);
            if known > 0.0 && at > 0 { break; }
            let mean = if known > 0.0 { known } else { mean };
            grid.push(Rate { mean, strength, ln_prior: (weight * rare).ln() });
        }
    }
    let all: f64 = grid.iter().map(|rate| rate.ln_prior.exp()).sum();
    for rate in &mut grid {
        rate.ln_prior -= all.ln();
    }
    grid
});

impl Rate {
    /// Whether this point stands for one rate at all revisions.
    pub(crate) fn is_constant(&self) -> bool {
        self.strength.is_infinite()
    }

    /// Logarithm of the probability of these runs, in this order, on a revision with the bug.
    pub(crate) fn ln_likelihood(&self, runs: Fired) -> f64 {
        self.ln_more(Fired::default(), runs)
    }

    /// The same for `more` runs of a build that `seen` is known of.
    pub(crate) fn ln_more(&self, seen: Fired, more: Fired) -> f64 {
        let (hit, ok) = (f64::from(more.hit), f64::from(more.ok));
        if self.is_constant() {
            return hit * self.mean.ln() + ok * (1.0 - self.mean).ln();
        }
        let a = self.mean * self.strength + f64::from(seen.hit);
        let b = (1.0 - self.mean) * self.strength + f64::from(seen.ok);
        ln_rising(a, more.hit) + ln_rising(b, more.ok) - ln_rising(a + b, more.hit + more.ok)
    }

    /// The chance that `runs` more runs of a build stay silent.
    pub(crate) fn silent_again(&self, seen: Fired, runs: u32) -> f64 {
        if self.is_constant() {
            return (1.0 - self.mean).powi(runs.cast_signed());
        }
        let b = (1.0 - self.mean) * self.strength + f64::from(seen.ok);
        let all = self.strength + f64::from(seen.hit + seen.ok);
        (0..runs).map(|i| (b + f64::from(i)) / (all + f64::from(i))).product()
    }
}

/// `ln(a (a+1) ... (a+n-1))`.
fn ln_rising(a: f64, n: u32) -> f64 {
    if n <= 8 {
        return (0..n).map(|i| a + f64::from(i)).product::<f64>().ln();
    }
    ln_gamma(a + f64::from(n)) - ln_gamma(a)
}

/// Logarithm of the gamma function for positive arguments (Stirling's series, shifted to where
/// its first terms suffice for 1e-12).
pub(crate) fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 1.0);
    while x < 12.0 {
        shift *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series =
        inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift.ln()
}

/// Logarithm of the probability of these runs on revisions without the bug.
pub(crate) fn ln_noise(runs: Fired) -> f64 {
    let nw = *NOISE_WEIGHT_;
    let silent = if runs.hit == 0 { 1.0 - nw } else { 0.0 };
    (silent + nw * ln_noisy(runs).exp()).ln()
}

/// The same under the belief that noise is there.
fn ln_noisy(runs: Fired) -> f64 {
    ln_rising(1.0, runs.hit) + ln_rising(NOISE_BETA, runs.ok)
        - ln_rising(1.0 + NOISE_BETA, runs.hit + runs.ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_at_known_points() {
        assert!((ln_gamma(1.0)).abs() < 1e-11);
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-11);
        assert!((ln_gamma(11.0) - 3_628_800f64.ln()).abs() < 1e-10);
    }

    #[test]
    fn chances_of_all_outcomes_add_up() {
        for rate in GRID.iter() {
            let chance = |hit| rate.ln_likelihood(Fired { hit, ok: 1 - hit }).exp();
            assert!((chance(0) + chance(1) - 1.0).abs() < 1e-9);
            assert!((chance(0) - rate.silent_again(Fired::default(), 1)).abs() < 1e-9);
        }
    }

    #[test]
    fn a_longer_row_of_runs_is_the_product_of_its_steps() {
        for rate in GRID.iter().step_by(7) {
            let whole = rate.ln_likelihood(Fired { hit: 12, ok: 30 });
            let seen = Fired { hit: 5, ok: 9 };
            let parts = rate.ln_likelihood(seen) + rate.ln_more(seen, Fired { hit: 7, ok: 21 });
            assert!((whole - parts).abs() < 1e-7, "{rate:?}");
        }
    }
}
