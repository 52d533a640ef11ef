//! The figures of docs/BISECT.md.
use ringfence_bisect::sim::{Random, World, play};
use ringfence_bisect::{Config, End, History, Mode};
use std::sync::Arc;

fn main() {
    let arg = |n: usize| std::env::args().filter(|a| !a.starts_with("--")).nth(n);
    let trials: u64 = arg(1).and_then(|t| t.parse().ok()).unwrap_or(200);
    let mode = if arg(2).as_deref() == Some("clock") { Mode::Clock } else { Mode::Frugal };
    let rates: Vec<f64> = arg(3).map_or(vec![1.0, 0.8, 0.5, 0.3, 0.2, 0.1, 0.05], |r| {
        r.split(',').map(|x| x.parse().unwrap()).collect()
    });
    let other: f64 = arg(4).and_then(|t| t.parse().ok()).unwrap_or(0.0);
    let same: f64 = arg(5).and_then(|t| t.parse().ok()).unwrap_or(0.0);
    let history = Arc::new(History::line(7000));
    for rate in rates {
        let start = std::time::Instant::now();
        let noise = if same > 0.0 || std::env::var("UNTITLED").is_ok() {
            ringfence_bisect::UNTITLED
        } else {
            ringfence_bisect::TITLED
        };
        let config = Config { mode, noise, ..Config::default() };
        let (mut right, mut wrong, mut claimed, mut beyond, mut seconds, mut builds, mut rounds) =
            (0, 0, 0.0, 0u64, 0.0, 0u64, 0u64);
        for trial in 0..trials {
            let mut random = Random::new(trial * 7919 + 13);
            let culprit = random.below(7000);
            let fixed = |_| rate;
            let world = World {
                history: Arc::clone(&history),
                culprit,
                rate: &fixed,
                same_title: same,
                other_title: other,
                signature: &|n| Some(format!("{n}")),
            };
            let it = play(&world, &config, &mut random);
            if let End::Culprit { node, confidence } = it.end {
                claimed += confidence;
                if node == culprit { right += 1 } else { wrong += 1 }
            }
            beyond += u64::from(it.runs - it.first_runs.min(it.runs));
            seconds += it.seconds;
            builds += u64::from(it.builds);
            rounds += u64::from(it.rounds);
        }
        let n = trials as f64;
        println!(
            "p={rate:<5} right {:6.2}% wrong {:5.2}% claimed {:.4} observed {:.4} runs {:7.1} hours {:6.3} builds {:5.1} rounds {:5.1}  [{:.1}s]",
            100.0 * right as f64 / n,
            100.0 * wrong as f64 / n,
            claimed / (right + wrong) as f64,
            right as f64 / (right + wrong) as f64,
            beyond as f64 / n,
            seconds / 3600.0 / n,
            builds as f64 / n,
            rounds as f64 / n,
            start.elapsed().as_secs_f64()
        );
    }
}
