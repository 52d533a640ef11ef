//! `ringfence run` as a user sees it: becomes the program, or says why not.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A shared library that does nothing: what is tested here is how it gets into the program.
fn stand_in(directory: &Path) -> PathBuf {
    let library = directory.join("libringfence.so");
    let status = Command::new("cc")
        .args(["-shared", "-x", "c", "/dev/null", "-o"])
        .arg(&library)
        .status()
        .expect("the tests need a C compiler");
    assert!(status.success());
    library
}

/// `ringfence run` with a library that does nothing, in an otherwise unchanged environment.
fn ringfence_run(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.env("RINGFENCE_LIBRARY", stand_in(directory)).env_remove("LD_PRELOAD").arg("run");
    command
}

/// Makes a file by way of `cp`: were it written here, a child that another test starts meanwhile
/// would hold it open for a moment, and running it would fail with ETXTBSY.
fn file(directory: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let (draft, path) = (directory.join(format!("{name}.draft")), directory.join(name));
    std::fs::write(&draft, text).unwrap();
    std::fs::set_permissions(&draft, PermissionsExt::from_mode(mode)).unwrap();
    assert!(Command::new("cp").arg("-p").args([&draft, &path]).status().unwrap().success());
    path
}

fn compile(directory: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let source = file(directory, "main.c", "int main(void) { return 0; }", 0o644);
    let path = directory.join(name);
    let status = Command::new("cc").args(flags).arg(source).arg("-o").arg(&path).status().unwrap();
    assert!(status.success());
    path
}

/// The output of a run that must fail by our own doing, with its code.
fn refusal(command: &mut Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stdout.is_empty());
    assert!(stderr.starts_with("ringfence: "), "{stderr}");
    stderr
}

#[test]
fn the_program_gets_the_preload_every_setting_and_nothing_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = ringfence_run(directory.path());
    command.args(["--backend=user", "--aio=user", "--tier=patch", "--log=debug", "--stats"]);
    command.args(["--request-memory=64K", "--workers=2,3", "--", "env"]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success());
    assert_eq!(String::from_utf8(stderr).unwrap(), "");
    let stdout = String::from_utf8(stdout).unwrap();
    let library = directory.path().join("libringfence.so").canonicalize().unwrap();
    let expected = [
        format!("LD_PRELOAD={}", library.display()),
        "RINGFENCE_BACKEND=user".to_owned(),
        "RINGFENCE_AIO=user".to_owned(),
        "RINGFENCE_TIER=patch".to_owned(),
        "RINGFENCE_LOG=debug".to_owned(),
        "RINGFENCE_STATS=1".to_owned(),
        "RINGFENCE_REQUEST_MEMORY=64K".to_owned(),
        "RINGFENCE_WORKERS=2,3".to_owned(),
    ];
    for line in expected {
        assert!(stdout.lines().any(|found| found == line), "{line} is not in\n{stdout}");
    }
}

#[test]
fn an_environment_variable_stands_for_an_option() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = ringfence_run(directory.path());
    command.env("RINGFENCE_TIER", "filter").args(["--", "sh", "-c", "echo $RINGFENCE_TIER"]);
    assert_eq!(command.output().unwrap().stdout, b"filter\n");
    let mut command = ringfence_run(directory.path());
    command.env("RINGFENCE_TIER", "telepathy").args(["--", "true"]);
    assert!(refusal(&mut command, 125).contains("telepathy"));
    let mut command = ringfence_run(directory.path());
    command.args(["--request-memory=lots", "--", "true"]);
    assert!(refusal(&mut command, 125).contains("a number of bytes"));
    let mut command = ringfence_run(directory.path());
    command.env("RINGFENCE_WORKERS", "a few").args(["--", "true"]);
    assert!(refusal(&mut command, 125).contains("bounded and unbounded"));
}

#[test]
fn what_was_preloaded_before_stays() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("other.so");
    std::fs::copy(stand_in(directory.path()), &other).unwrap();
    let mut command = ringfence_run(directory.path());
    command.env("LD_PRELOAD", &other).args(["--", "sh", "-c", "echo $LD_PRELOAD"]);
    let stdout = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(stdout.starts_with(&format!("{}:", other.display())), "{stdout}");
}

#[test]
fn process_id_exit_status_and_death_by_signal_are_the_programs() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = ringfence_run(directory.path());
    let child = command.args(["--", "sh", "-c", "echo $$; exit 7"]);
    let child = child.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(String::from_utf8(stdout).unwrap(), format!("{id}\n"));
    let mut command = ringfence_run(directory.path());
    let status = command.args(["--", "sh", "-c", "kill -TERM $$"]).status().unwrap();
    assert_eq!(status.signal(), Some(15));
}

/// The standard library ignores SIGPIPE in our process; the program must get what we were given.
#[test]
fn sigpipe_is_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_ringfence");
    let mask = r#"grep SigIgn: /proc/self/status"#;
    for trap in ["true", "trap '' PIPE"] {
        let script = format!("{trap}; {mask}; exec {binary} run -- {mask}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("RINGFENCE_LIBRARY", stand_in(directory.path()))
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = stdout.lines().collect();
        assert!(lines.len() == 2 && lines[0] == lines[1], "{trap}: {stdout}");
    }
}

#[test]
fn missing_is_127_and_not_executable_126() {
    let directory = tempfile::tempdir().unwrap();
    let text = file(directory.path(), "text", "#!/bin/sh\n", 0o644);
    let run = |command: &str| {
        let mut run = ringfence_run(directory.path());
        run.args(["--", command]);
        run
    };
    assert!(refusal(&mut run("no-such-command-anywhere"), 127).contains("not found in PATH"));
    assert!(refusal(&mut run("/no/such/file"), 127).contains("/no/such/file"));
    assert!(refusal(&mut run(text.to_str().unwrap()), 126).contains("chmod"));
    assert!(refusal(&mut run("/usr"), 126).contains("directory"));
    assert!(refusal(&mut ringfence_run(directory.path()), 125).contains("CMD"));
}

#[test]
fn a_file_for_counters_stays_where_it_was_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = ringfence_run(directory.path());
    command.current_dir(directory.path()).args(["--stats=counters", "--", "env"]);
    let stdout = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let whole = std::fs::canonicalize(directory.path()).unwrap().join("counters");
    assert!(stdout.contains(&format!("RINGFENCE_STATS={}\n", whole.display())), "{stdout}");
}

/// Nobody writes to the pipe: who opened it would wait for ever.
#[test]
fn a_pipe_is_no_program() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let status = Command::new("mkfifo").args(["-m", "755"]).arg(&pipe).status().unwrap();
    assert!(status.success());
    let mut command = ringfence_run(directory.path());
    assert!(refusal(command.arg("--").arg(&pipe), 126).contains("a pipe"));
}

#[test]
fn what_cannot_be_printed_is_told() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    let output = command.arg("ops").stdout(full).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125), "{told}");
    assert!(told.starts_with("ringfence: cannot print to stdout: No space left"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn scripts_are_followed_to_their_interpreter() {
    let directory = tempfile::tempdir().unwrap();
    let compiled = compile(directory.path(), "static", &["-static"]);
    let scripts = [
        ("plain", "#!/bin/sh\nexit 3\n".to_owned(), Ok(3)),
        ("by-env", "#!/usr/bin/env -S sh\nexit 4\n".to_owned(), Ok(4)),
        ("gone", "#!/no/such/interpreter\n".to_owned(), Err((127, "#! line"))),
        ("static", format!("#!{}\n", compiled.display()), Err((126, "statically linked"))),
        ("bare", "exit 5\n".to_owned(), Err((126, "name the interpreter"))),
    ];
    for (name, text, expected) in scripts {
        let script = file(directory.path(), &format!("{name}.script"), &text, 0o755);
        let mut command = ringfence_run(directory.path());
        command.arg("--").arg(&script);
        match expected {
            Ok(code) => assert_eq!(command.status().unwrap().code(), Some(code), "{name}"),
            Err((code, why)) => assert!(refusal(&mut command, code).contains(why), "{name}"),
        }
    }
}

#[test]
fn a_static_program_is_refused_unless_the_kernel_serves_it() {
    let directory = tempfile::tempdir().unwrap();
    for flag in ["-static", "-static-pie"] {
        let program = compile(directory.path(), "static", &[flag]);
        let mut command = ringfence_run(directory.path());
        let message = refusal(command.arg("--").arg(&program), 126);
        assert!(message.contains("link it dynamically"), "{message}");
        let mut command = ringfence_run(directory.path());
        let status = command.args(["--backend", "kernel", "--"]).arg(&program).status().unwrap();
        assert!(status.success());
    }
}

#[test]
fn a_program_for_another_machine_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "foreign", &[]);
    let mut bytes = std::fs::read(&program).unwrap();
    bytes[18] = 243; // e_machine: RISC-V
    std::fs::write(&program, bytes).unwrap();
    let mut command = ringfence_run(directory.path());
    assert!(refusal(command.arg("--").arg(&program), 126).contains("riscv64"));
}

/// What may be executed but not read is the kernel's to judge. Root may read everything, so the check
/// needs another user.
#[test]
fn a_program_that_cannot_be_read_is_run() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = compile(directory.path(), "unreadable", &[]);
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o111)).unwrap();
    if std::fs::read(&program).is_err() {
        let mut command = ringfence_run(directory.path());
        return assert!(command.arg("--").arg(&program).status().unwrap().success());
    }
    let binary = directory.path().join("ringfence");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_ringfence")).arg(&binary).status();
    assert!(copied.unwrap().success());
    let library = stand_in(directory.path());
    let mut command = Command::new(binary);
    command.env("RINGFENCE_LIBRARY", library).env_remove("LD_PRELOAD");
    command.uid(65534).gid(65534).current_dir("/").args(["run", "--"]).arg(&program);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Root gains nothing from a set-user-ID program of its own, so the check needs another owner.
#[test]
fn a_program_that_confers_privileges_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "privileged", &[]);
    let me = std::os::unix::fs::MetadataExt::uid(&program.metadata().unwrap());
    if me == 0 {
        std::os::unix::fs::chown(&program, Some(1), Some(1)).unwrap();
    } else {
        return eprintln!("skipped: only root can make a program that belongs to somebody else");
    }
    for (mode, means) in [(0o4755, "set-user-ID"), (0o2755, "set-group-ID")] {
        std::fs::set_permissions(&program, PermissionsExt::from_mode(mode)).unwrap();
        let mut command = ringfence_run(directory.path());
        assert!(refusal(command.arg("--").arg(&program), 126).contains(means));
    }
}
