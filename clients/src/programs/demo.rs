//! `ringfence demo`, on this host and inside a refusal.

use super::Stage;
use crate::host::Host;
use crate::runner::End;
use anyhow::{Context, Result, ensure};

pub(super) fn attempt(stage: &Stage) -> Result<()> {
    if stage.host != Host::Ringfence {
        println!("demo: skipped: it makes its own refusal, and shows nothing without ringfence");
        return Ok(());
    }
    let command = [stage.runner.ringfence.as_os_str(), "demo".as_ref(), "--json".as_ref()];
    let command = command.map(ToOwned::to_owned);
    let hosts = [
        ("demo", Host::Kernel),
        ("demo, in a refusal", Host::Refused),
        ("demo, under ringfence", Host::Ringfence),
    ];
    for (title, host) in hosts {
        let outcome = stage.runner.run(&command, host)?;
        ensure!(outcome.end == End::Exit(0), "{title}: {:?}: {}", outcome.end, outcome.output);
        let shown: serde_json::Value = serde_json::from_str(&outcome.output).context(title)?;
        let sum: u64 = shown["operations"]
            .as_object()
            .context("no operations")?
            .values()
            .filter_map(serde_json::Value::as_u64)
            .sum();
        ensure!(shown["refused"] == true, "{title}: {shown}");
        ensure!(shown["echoes"].as_u64() >= Some(2000), "{title}: {shown}");
        ensure!(shown["bytes_copied"].as_u64() >= Some(1 << 20), "{title}: {shown}");
        println!("{title}: ok, {sum} operations by ringfence");
    }
    Ok(())
}
