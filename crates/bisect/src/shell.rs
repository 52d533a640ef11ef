//! Running the user's commands: own process group, time limit, stopped with everything they started.

use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this code; 128 and more for a signal, as shells count.
    Code(i32),
    /// It ran out of time and was killed.
    TimedOut,
    /// The search was asked to stop, so it was killed.
    Stopped,
}

/// A command line and where it runs.
pub(crate) struct Shell<'a> {
    /// Text for `sh -c`.
    pub(crate) line: &'a str,
    /// A command prefix that carries it elsewhere (`srun`, `ssh host`), if any.
    pub(crate) runner: Option<&'a str>,
    /// The directory it starts in.
    pub(crate) dir: &'a Path,
    /// Variables it gets on top of ours.
    pub(crate) env: &'a [(&'a str, String)],
    /// Killed after this long.
    pub(crate) limit: Option<Duration>,
}

/// How often a running command is looked at.
const PAUSE: Duration = Duration::from_millis(10);

impl Shell<'_> {
    /// Runs it with both outputs to `output`; gives how it ended and how long it took.
    ///
    /// `started` is told the process group, so that a later run can end what a killed one left.
    pub(crate) fn run(
        &self,
        output: &File,
        stop: &AtomicBool,
        started: &dyn Fn(u32),
    ) -> io::Result<(Exit, Duration)> {
        let start = Instant::now();
        let mut command = Command::new("sh");
        match self.runner {
            // The runner gets the command line as one word, as ssh and `srun sh -c` want it.
            Some(runner) => command.args(["-c", &format!("{runner} \"$0\""), self.line]),
            None => command.args(["-c", self.line]),
        };
        let mut child = command
            .current_dir(self.dir)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .process_group(0)
            .spawn()?;
        started(child.id());
        let group = Pid::from_child(&child);
        let mut pause = Duration::from_micros(500);
        let exit = loop {
            if let Some(status) = child.try_wait()? {
                break Exit::Code(status.code().unwrap_or(128 + status.signal().unwrap_or(0)));
            }
            if stop.load(Ordering::Relaxed) {
                break Exit::Stopped;
            }
            if self.limit.is_some_and(|limit| start.elapsed() >= limit) {
                break Exit::TimedOut;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        };
        // Whatever the command left running would disturb the next test. The group is gone when
        // nothing is left, and that is fine.
        let _ = kill_process_group(group, Signal::KILL);
        child.wait()?;
        Ok((exit, start.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str, limit: Option<Duration>) -> (Exit, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let env = [("NAME", "value".to_owned())];
        let shell = Shell { line, runner: None, dir: dir.path(), env: &env, limit };
        let exit =
            shell.run(&File::create(&path).unwrap(), &AtomicBool::new(false), &|_| ()).unwrap().0;
        (exit, std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn exit_codes_and_output() {
        assert_eq!(run("echo $NAME; exit 3", None), (Exit::Code(3), "value\n".to_owned()));
        assert_eq!(run("kill -9 $$", None).0, Exit::Code(137));
    }

    #[test]
    fn time_runs_out_for_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let line = format!("(sleep 1; touch {}) & sleep 60", mark.display());
        assert_eq!(run(&line, Some(Duration::from_millis(100))).0, Exit::TimedOut);
        std::thread::sleep(Duration::from_millis(1200));
        assert!(!mark.exists(), "a grandchild outlived its test");
    }

    #[test]
    fn a_runner_gets_the_line_as_one_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let shell = Shell {
            line: "echo a  b",
            runner: Some("sh -c"),
            dir: dir.path(),
            env: &[],
            limit: None,
        };
        shell.run(&File::create(&path).unwrap(), &AtomicBool::new(false), &|_| ()).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a b\n");
    }
}
