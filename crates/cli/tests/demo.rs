//! `ringfence demo` when it is interrupted. What it shows is tested with the real program, in `clients`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A `ringfence` with something beside it, in the place of the bundled program, that takes its time.
fn with_a_slow_program(directory: &Path) -> Command {
    let binary = directory.join("ringfence");
    let program = directory.join("ringfence-demo");
    std::fs::write(&program, "#!/bin/sh\n: > \"$1.begun\"\nexec sleep 2\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let status = Command::new("cp").arg(env!("CARGO_BIN_EXE_ringfence")).arg(&binary).status();
    assert!(status.unwrap().success());
    Command::new(binary)
}

#[test]
fn an_interrupted_demonstration_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let mut command = with_a_slow_program(directory.path());
    command.arg("demo").env("TMPDIR", &files).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begun = || {
        let made = std::fs::read_dir(&files).unwrap().next();
        made.is_some_and(|made| made.unwrap().path().join("source.begun").exists())
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !begun() {
        assert!(Instant::now() < deadline, "the program is not started");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert_eq!(told, "ringfence: interrupted\n");
    assert_eq!(std::fs::read_dir(&files).unwrap().count(), 0);
}
