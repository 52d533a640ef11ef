//! The titles of the failures in a log: `cargo run -p ringfence-report --example titles -- LOG...`.

use ringfence_report::parse;

fn main() -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        let log = std::fs::read(&path)?;
        for report in parse(&String::from_utf8_lossy(&log)) {
            let place = format!("{}:{}", path.display(), report.line + 1);
            println!("{place}: {} [{}] {:?}", report.title, report.kind, report.alt_titles);
        }
    }
    Ok(())
}
