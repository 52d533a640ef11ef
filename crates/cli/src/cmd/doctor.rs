//! `ringfence doctor`: why io_uring is refused here, what opens the gate, what ringfence can do.

use crate::preload;
use crate::program::{self, Program};
use anyhow::Result;
use ringfence_doctor::Host;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::process::ExitCode;

/// Tell why io_uring is refused here, and what ringfence can do
///
/// Asks the kernel in children, so that filters which kill are found too, and changes nothing.
/// With CMD, tells what that program is and whether `ringfence run` can serve it. The exit code is
/// 0 if io_uring works here, by the kernel or by ringfence, and 1 if it does not.
#[derive(clap::Args)]
#[command(override_usage = "ringfence doctor [OPTIONS] [--] [CMD]...")]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// A program; its arguments are ignored
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    // An error about the program is found before children are made.
    let program = match args.command.first() {
        Some(command) => Some(Program::examine(&program::resolve(command)?)?),
        None => None,
    };
    let host = ringfence_doctor::examine();
    let library = preload::library();
    let interception = ringfence::Probe::run();
    let serves = library.is_ok() && program.as_ref().is_none_or(|it| it.obstacle().is_none());
    let mut report = report(&host, &library, program.as_ref());
    report["interception"] = interception_of(&interception);
    if args.json {
        println!("{report:#}");
    } else {
        print(&report);
    }
    Ok(ExitCode::from(u8::from(!(host.io_uring.is_granted() || serves))))
}

/// All that was found out, as `--json` prints it.
fn report(host: &Host, library: &Result<std::path::PathBuf>, program: Option<&Program>) -> Value {
    let mut report = json!({
        "io_uring": {
            "granted": host.io_uring.is_granted(),
            "gate": host.io_uring.key(),
            "detail": host.io_uring.to_string(),
            "remedy": host.io_uring.remedy(),
        },
        "linux_aio": {
            "granted": host.linux_aio.is_granted(),
            "gate": host.linux_aio.key(),
            "detail": host.linux_aio.to_string(),
            "remedy": host.linux_aio.remedy(),
        },
        "facts": host.facts,
        "library": match library {
            Ok(path) => json!({ "path": path }),
            Err(error) => json!({ "path": null, "error": format!("{error:#}") }),
        },
    });
    if let Some(program) = program {
        report["program"] = json!({
            "image": program.image,
            "scripts": program.scripts,
            "machine": program.elf.as_ref().map(|elf| elf.machine()),
            "linker": program.elf.as_ref().and_then(|elf| elf.linker()),
            "readable": !program.is_unreadable,
            "served": program.obstacle().is_none(),
            "obstacle": program.obstacle().map(|obstacle| obstacle.key()),
            "detail": program.obstacle().map(|obstacle| obstacle.to_string()),
        });
    }
    report
}

/// How system calls are intercepted here, each tier for what the one before cannot reach.
fn interception_of(probe: &ringfence::Probe) -> Value {
    let (patch, dispatch, filter) = (probe.patch, probe.dispatch, probe.filter);
    let patched = if patch { ", call sites are patched" } else { "" };
    let trapped = match (dispatch, filter) {
        (true, _) => ", what cannot be patched is trapped by syscall user dispatch",
        (false, true) => ", what cannot be patched is trapped by a seccomp filter",
        (false, false) => "; raw system calls that cannot be patched are missed",
    };
    json!({
        "symbols": true,
        "patch": patch,
        "dispatch": dispatch,
        "filter": filter,
        "detail": format!("by symbols{patched}{trapped}"),
    })
}

/// The same for people: a subject, what is so, and beneath it what to do.
fn print(report: &Value) {
    let say = |subject: &str, text: &str| println!("{subject:<12}{text}");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (subject, key) in [("io_uring", "io_uring"), ("linux aio", "linux_aio")] {
        say(subject, &word(&report[key]["detail"]));
        if let Some(remedy) = report[key]["remedy"].as_str() {
            say("", &format!("ringfence run -- CMD needs no change here; else: {remedy}"));
        }
    }
    match report["library"]["path"].as_str() {
        Some(path) => say("ringfence", path),
        None => say("ringfence", &word(&report["library"]["error"])),
    }
    say("", &format!("intercepts {}", word(&report["interception"]["detail"])));
    let program = &report["program"];
    if program.is_null() {
        return;
    }
    let image = word(&program["image"]);
    match program["scripts"][0].as_str() {
        Some(script) => say("program", &format!("{script}, run by {image}")),
        None => say("program", &image),
    }
    match program["detail"].as_str() {
        Some(obstacle) => say("", &format!("ringfence cannot serve it: {obstacle}")),
        None if program["readable"] == false => {
            say(
                "",
                "may be executed but not read; if it is dynamically linked, ringfence can serve it",
            );
        }
        None => say("", "dynamically linked for this machine: ringfence can serve it"),
    }
}
