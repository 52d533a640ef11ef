//! A program's AddressSanitizer sees what requests do to its memory.

mod common;

use common::{Run, compile};
use ringfence_refusal::Answer;
use std::path::PathBuf;
use std::process::Command;

/// The program, if this compiler can build it with AddressSanitizer.
fn program() -> Option<PathBuf> {
    let probe = std::env::temp_dir().join(format!("ringfence-asan-{}", std::process::id()));
    let source = probe.with_extension("c");
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("a file");
    let built =
        Command::new("cc").arg("-fsanitize=address").arg(&source).arg("-o").arg(&probe).output();
    let works = built.is_ok_and(|output| output.status.success());
    let _ = std::fs::remove_file(&source);
    let _ = std::fs::remove_file(&probe);
    if !works {
        println!("skipped: cc cannot link -fsanitize=address here");
        return None;
    }
    Some(compile("freed", &["-fsanitize=address", "-O1"]))
}

/// Its runtime wants to be the first library of a program; the preload is before it.
const OPTIONS: (&str, &str) = ("ASAN_OPTIONS", "verify_asan_link_order=0");

#[test]
fn a_buffer_that_is_freed_too_early_is_reported() {
    let Some(program) = program() else { return };
    for tier in ["auto", "patch", "filter"] {
        let run = if tier == "auto" { Run::default() } else { Run::tier(tier) };
        // A filter by addresses needs them to be drawn.
        let run = if tier == "filter" { run } else { run.fixed() };
        let run = run.refused_by(Answer::Errno(libc::ENOSYS));
        let (status, stdout, stderr) = run.env(OPTIONS.0, OPTIONS.1).run(&program);
        assert!(!status.success(), "{tier}: {stdout}{stderr}");
        assert!(stderr.contains("AddressSanitizer: heap-use-after-free"), "{tier}: {stderr}");
        for part in ["WRITE of size 1 at", "freed by thread T0 here:", "freed.c"] {
            assert!(stderr.contains(part), "{tier}, {part}: {stderr}");
        }
    }
}

#[test]
fn a_buffer_that_is_kept_is_not() {
    let Some(program) = program() else { return };
    let run = Run::default().env(OPTIONS.0, OPTIONS.1).arg("keep");
    run.succeeds(&program);
}

/// The same program on the kernel's io_uring, which writes behind the sanitizer's back.
#[test]
fn the_kernel_writes_unseen() {
    let Some(program) = program() else { return };
    let output = Command::new(&program).output().expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains("ring->fd >= 0") {
        return println!("skipped: the kernel refuses io_uring here");
    }
    assert!(output.status.success(), "{stderr}");
    assert_eq!(output.stdout, b"ok\n");
    assert!(!stderr.contains("use-after-free"), "{stderr}");
}
