//! What is believed about rates before and after seeing runs.
//!
//! A test of a revision that has the bug fires with a rate nobody knows. The search takes it to be
//! one rate for all revisions, with a Beta belief, which needs nothing but the sums of runs. That
//! belief is doubted where a claim hangs on it (see `doubt`), because rates do change along a
//! history.
//!
//! On a revision without the bug a run of the right title should not happen at all; with a small
//! weight it happens at some small rate (a title that other bugs share, a test that fails by
//! itself).

/// Runs that say something: the bug fired, or nothing happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fired {
    pub(crate) hit: u32,
    pub(crate) ok: u32,
}

impl Fired {
    fn with(self, more: Fired) -> Fired {
        Fired { hit: self.hit + more.hit, ok: self.ok + more.ok }
    }
}

/// The belief in a rate before any run, Beta(`FIRES`, `STAYS`): Jeffreys' prior, but for the pole at
/// a rate of nothing, for such a failure would not have been met and kept.
const FIRES: f64 = 1.0;
const STAYS: f64 = 0.5;

/// Where it can, its rate is Beta(1, this): 5% on average.
const NOISE_BETA: f64 = 20.0;

/// The lowest rate that a claim must rule out where rates are seen to change.
const RARE: f64 = 0.006;
/// Points, even in the logarithm, between that and 1.
const POINTS: u32 = 24;

/// Logarithm of the probability of these runs, in this order, at one unknown rate.
pub(crate) fn ln_bug(runs: Fired) -> f64 {
    let (a, b) = (FIRES, STAYS);
    ln_rising(a, runs.hit) + ln_rising(b, runs.ok) - ln_rising(a + b, runs.hit + runs.ok)
}

/// The chance that `runs` more runs at that rate all stay silent.
pub(crate) fn silent_with(seen: Fired, runs: u32) -> f64 {
    silent(FIRES + f64::from(seen.hit), STAYS + f64::from(seen.ok), runs)
}

/// The expected rate after these runs.
pub(crate) fn rate(seen: Fired) -> f64 {
    (FIRES + f64::from(seen.hit)) / (FIRES + STAYS + f64::from(seen.hit + seen.ok))
}

/// The doubt about a run that would be left if the rate were known, in bits: the expected entropy
/// of a coin whose rate has the belief that these runs leave.
pub(crate) fn bits_at_rate(seen: Fired) -> f64 {
    let (a, b) = (FIRES + f64::from(seen.hit), STAYS + f64::from(seen.ok));
    let all = digamma(a + b + 1.0);
    let nats = a * (all - digamma(a + 1.0)) + b * (all - digamma(b + 1.0));
    nats / (a + b) / std::f64::consts::LN_2
}

fn silent(fires: f64, stays: f64, runs: u32) -> f64 {
    (0..runs).map(|i| (stays + f64::from(i)) / (fires + stays + f64::from(i))).product()
}

/// Logarithm of the probability of these runs on revisions without the bug.
///
/// `weight` is the belief that they can happen at all.
pub(crate) fn ln_noise(runs: Fired, weight: f64) -> f64 {
    let quiet = if runs.hit == 0 { 1.0 - weight } else { 0.0 };
    (quiet + weight * ln_noisy(runs).exp()).ln()
}

/// The chance that `runs` more runs on revisions without the bug all stay silent.
pub(crate) fn silent_without(seen: Fired, runs: u32, weight: f64) -> f64 {
    if seen.hit > 0 {
        let stays = NOISE_BETA + f64::from(seen.ok);
        return silent(1.0 + f64::from(seen.hit), stays, runs);
    }
    (ln_noise(Fired { ok: seen.ok + runs, ..seen }, weight) - ln_noise(seen, weight)).exp()
}

/// The same under the belief that noise is there.
fn ln_noisy(runs: Fired) -> f64 {
    ln_rising(1.0, runs.hit) + ln_rising(NOISE_BETA, runs.ok)
        - ln_rising(1.0 + NOISE_BETA, runs.hit + runs.ok)
}

/// Logarithm of the probability of these runs, in this order, at a rate that may be anything down
/// to [`RARE`], each order of magnitude alike.
pub(crate) fn ln_at_any_rate(runs: Fired) -> f64 {
    let point = |i: u32| RARE.powf(1.0 - (f64::from(i) + 0.5) / f64::from(POINTS));
    let one = |p: f64| f64::from(runs.hit) * p.ln() + f64::from(runs.ok) * (-p).ln_1p();
    let most = (0..POINTS).map(|i| one(point(i))).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = (0..POINTS).map(|i| (one(point(i)) - most).exp()).sum();
    most + (sum / f64::from(POINTS)).ln()
}

/// The probability that so many runs at such a rate all stay silent.
pub(crate) fn silent_at_any_rate(runs: u32) -> f64 {
    ln_at_any_rate(Fired { hit: 0, ok: runs }).exp()
}

/// How many silent runs make [`silent_at_any_rate`] no more than `chance`.
pub(crate) fn runs_to_rule_out(chance: f64) -> u32 {
    let (mut low, mut high) = (0, 1 << 14);
    while low < high {
        let middle = (low + high) / 2;
        if silent_at_any_rate(middle) <= chance { high = middle } else { low = middle + 1 }
    }
    low
}

/// The weight, before any run, that each build has a rate of its own; and again, that one rate gives
/// way to another. More of it would cost every search of a steady failure some runs.
pub(crate) const DIFFERING: f64 = 0.001;

/// Logarithm of the probability of runs on revisions with the bug, and the part of it that is due
/// to rates that differ; `own` is the sum of [`ln_own`] over the builds.
pub(crate) fn ln_bug_or_own(all: Fired, own: f64) -> (f64, f64) {
    let one = (1.0 - DIFFERING).ln() + ln_bug(all);
    let each = DIFFERING.ln() + own;
    let most = one.max(each);
    let sum = (one - most).exp() + (each - most).exp();
    (most + sum.ln(), (each - most).exp() / sum)
}

/// The chance that `runs` more runs of a build with a rate of its own stay silent.
pub(crate) fn silent_own(seen: Fired, runs: u32) -> f64 {
    silent(0.5 + f64::from(seen.hit), 0.5 + f64::from(seen.ok), runs)
}

/// The probability that rates differ between these builds, all of which have the bug, in the order
/// of history: each has a rate of its own, or one rate gave way to another somewhere between.
pub(crate) fn differing(builds: &[Fired]) -> f64 {
    let all = builds.iter().fold(Fired::default(), |sum, one| sum.with(*one));
    let own = builds.iter().map(|one| ln_own(*one)).sum();
    let (_, own) = ln_bug_or_own(all, own);
    let steps = builds.len().saturating_sub(1) as f64;
    let mut before = Fired::default();
    let mut gave_way = 0.0;
    for one in &builds[..builds.len().saturating_sub(1)] {
        before = before.with(*one);
        let after = Fired { hit: all.hit - before.hit, ok: all.ok - before.ok };
        gave_way += (ln_bug(before) + ln_bug(after) - ln_bug(all)).exp() / steps;
    }
    let odds = own / (1.0 - own).max(1e-300) + DIFFERING * gave_way;
    odds / (1.0 + odds)
}

/// Logarithm of the probability of runs at a rate of their own, by Jeffreys' prior, which expects
/// lower rates than [`ln_bug`].
pub(crate) fn ln_own(runs: Fired) -> f64 {
    ln_rising(0.5, runs.hit) + ln_rising(0.5, runs.ok) - ln_rising(1.0, runs.hit + runs.ok)
}

/// `ln(a (a+1) ... (a+n-1))`.
fn ln_rising(a: f64, n: u32) -> f64 {
    if n <= 8 {
        return (0..n).map(|i| a + f64::from(i)).product::<f64>().ln();
    }
    ln_gamma(a + f64::from(n)) - ln_gamma(a)
}

/// The derivative of [`ln_gamma`] for positive arguments, by the same means.
fn digamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 12.0 {
        shift += 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    x.ln() - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0)) - shift
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
    fn a_known_rate_leaves_the_entropy_of_its_coin() {
        let euler = 0.577_215_664_901_532_9;
        assert!((digamma(1.0) + euler).abs() < 1e-11);
        // Beta(1, 1/2) by hand: a (psi(a+b+1) - psi(a+1)) + b (psi(a+b+1) - psi(b+1)), over a + b.
        let by_grid: f64 = (0..200_000)
            .map(|i| {
                let p = (f64::from(i) + 0.5) / 200_000.0;
                let density = p.powi(30) * (1.0 - p).powf(69.5);
                let coin = -p * p.log2() - (1.0 - p) * (1.0 - p).log2();
                density * coin
            })
            .sum::<f64>()
            / (0..200_000)
                .map(|i| (f64::from(i) + 0.5) / 200_000.0)
                .map(|p| p.powi(30) * (1.0 - p).powf(69.5))
                .sum::<f64>();
        assert!((bits_at_rate(Fired { hit: 30, ok: 70 }) - by_grid).abs() < 1e-6);
    }

    #[test]
    fn silence_is_the_ratio_of_likelihoods() {
        let seen = Fired { hit: 5, ok: 9 };
        let more = Fired { ok: 9 + 7, ..seen };
        assert!((silent_with(seen, 7) - (ln_bug(more) - ln_bug(seen)).exp()).abs() < 1e-9);
        assert!(
            (silent_without(seen, 7, 0.1) - (ln_noise(more, 0.1) - ln_noise(seen, 0.1)).exp())
                .abs()
                < 1e-9
        );
    }

    #[test]
    fn rates_that_differ_are_seen_and_others_are_not() {
        let of = |hit, ok| Fired { hit, ok };
        assert!(differing(&[of(20, 0), of(10, 0), of(3, 7)]) > 0.9);
        assert!(differing(&[of(6, 14), of(3, 7), of(2, 8), of(4, 6)]) < 0.01);
        assert!(differing(&[of(20, 0), of(10, 0), of(8, 0)]) < 0.01);
        // Single runs say nothing each, but together they do.
        let mut singly = vec![of(0, 1); 12];
        singly.extend([of(1, 0), of(1, 0), of(20, 0)]);
        assert!(differing(&singly) > 0.9);
    }

    #[test]
    fn hundreds_of_runs_keep_a_finite_likelihood() {
        let ln = ln_at_any_rate(Fired { hit: 700, ok: 900 });
        assert!(ln.is_finite() && ln < -1000.0, "{ln}");
    }

    #[test]
    fn ruling_out_a_rare_rate_takes_hundreds_of_runs() {
        let runs = runs_to_rule_out(0.01);
        assert!((200..500).contains(&runs), "{runs}");
        assert!(silent_at_any_rate(runs) <= 0.01 && silent_at_any_rate(runs - 1) > 0.01);
    }
}
