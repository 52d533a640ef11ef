//! Builds a C program and runs it with the preload, where the kernel refuses io_uring and AIO.
#![expect(unsafe_code, reason = "sets a child's personality before it executes a program")]

use ringfence_refusal::{Answer, refuse_aio, refuse_io_uring};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

/// Enough for nearly all programs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The library under test. Cargo builds no library for tests that they cannot link, so it is asked
/// to: for the profile that these tests are built in.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let exe = std::env::current_exe().unwrap();
        let directory = exe.parent().unwrap().parent().unwrap();
        let profile = match directory.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "ringfence-preload", "--profile", profile])
            .arg("--target-dir")
            .arg(directory.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success());
        directory.join("libringfence.so")
    })
}

/// Compiles `tests/c/NAME.c` with options.
pub(crate) fn compile(name: &str, options: &[&str]) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(format!("{name}.c"));
    let number = COUNT.fetch_add(1, Relaxed);
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{name}-{}-{number}", std::process::id()));
    let status = Command::new("cc")
        .args(["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-o"])
        .arg(&out)
        .arg(&source)
        .args(options)
        .status()
        .expect("a C compiler, cc, is needed");
    assert!(status.success(), "{name}.c does not compile");
    out
}

/// How a program is run.
#[derive(Clone)]
pub(crate) struct Run {
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Variables for the preload.
    pub(crate) env: Vec<(&'static str, &'static str)>,
    /// Without address randomisation.
    pub(crate) fixed: bool,
    /// How the kernel refuses.
    pub(crate) answer: Answer,
    /// It refuses io_uring only, not Linux AIO.
    pub(crate) aio: bool,
    /// A program that takes longer hangs.
    pub(crate) patience: Duration,
    /// With the library before libc.
    pub(crate) preloaded: bool,
}

impl Default for Run {
    fn default() -> Run {
        let env = vec![("RINGFENCE_BACKEND", "user")];
        let answer = Answer::Errno(libc::EPERM);
        let (args, patience) = (Vec::new(), PATIENCE);
        Run { args, env, fixed: false, answer, aio: false, patience, preloaded: true }
    }
}

impl Run {
    pub(crate) fn tier(tier: &'static str) -> Run {
        Run::default().env("RINGFENCE_TIER", tier)
    }

    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Run {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Run {
        self.env.push((name, value));
        self
    }

    pub(crate) fn fixed(mut self) -> Run {
        self.fixed = true;
        self
    }

    pub(crate) fn refused_by(mut self, answer: Answer) -> Run {
        self.answer = answer;
        self
    }

    /// Runs a program under the refusal; its exit status, output and complaints.
    pub(crate) fn run(&self, program: &Path) -> (std::process::ExitStatus, String, String) {
        library();
        let (run, program) = (self.clone(), program.to_owned());
        // The filter holds for the thread that asks for it, and what it starts.
        std::thread::spawn(move || {
            refuse_io_uring(run.answer).unwrap();
            if !run.aio {
                refuse_aio(run.answer).unwrap();
            }
            run.here(&program)
        })
        .join()
        .unwrap()
    }

    /// Runs a program where the kernel refuses nothing.
    pub(crate) fn here(&self, program: &Path) -> (std::process::ExitStatus, String, String) {
        let mut command = Command::new(program);
        command.args(&self.args).env_remove("LD_PRELOAD");
        if self.preloaded {
            command.env("LD_PRELOAD", library());
        }
        command.envs(self.env.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        if self.fixed {
            // SAFETY: one system call between fork and exec.
            unsafe {
                command.pre_exec(|| {
                    const ADDR_NO_RANDOMIZE: u64 = 0x004_0000;
                    libc::personality(ADDR_NO_RANDOMIZE);
                    Ok(())
                });
            }
        }
        let mut child = command.spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let pid = child.id() as i32;
        let (tell, told) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let (mut stdout, mut stderr) = (String::new(), String::new());
            out.read_to_string(&mut stdout).unwrap();
            err.read_to_string(&mut stderr).unwrap();
            let _ = tell.send(());
            (stdout, stderr)
        });
        if told.recv_timeout(self.patience).is_err() {
            // SAFETY: the group of a child of ours that has not been waited for; its children hold the pipes.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
        }
        let status = child.wait().unwrap();
        let (stdout, stderr) = reader.join().unwrap();
        (status, stdout, stderr)
    }

    /// Runs a program that says `ok` when all is well.
    pub(crate) fn succeeds(&self, program: &Path) {
        let (status, stdout, stderr) = self.run(program);
        assert!(
            status.success() && stdout == "ok\n",
            "{} {:?} {:?}: {status}\n{stdout}{stderr}",
            program.display(),
            self.args,
            self.env,
        );
    }
}
