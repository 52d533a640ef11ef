//! What happens when ringfence itself fails: a rule that must always hold does not.
//!
//! Such a failure is a panic in the library's code, on the program's thread or on one of the engine's
//! own. To go on would be to lose requests, or to complete one twice, without a word. So it is said
//! on standard error, with how to report it, and the process ends by SIGABRT. Handlers of the program
//! are not run: their thread holds the engine's locks.

use crate::{raw, thread};
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::Ordering::Relaxed;

const ADVICE: [&str; 2] = [
    "a rule that must always hold in ringfence was broken; the program is ended here, so that nothing \
     is lost unseen",
    "please report it as CONTRIBUTING.md says: these lines, the output of `ringfence doctor --json`, \
     and what the program did",
];

/// Has failures told. `shared`: the program is linked with this code and has panics of its own, which
/// remain what they are.
pub(crate) fn watch(shared: bool) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |failure| {
        if shared && !is_ours() {
            before(failure);
        } else {
            tell(failure);
            end();
        }
    }));
}

/// Whether the thread runs the engine, or is one of the engine's.
fn is_ours() -> bool {
    let thread = thread::current();
    thread.inside.load(Relaxed) != 0 || thread.engine.load(Relaxed) != 0
}

fn tell(failure: &PanicHookInfo<'_>) {
    let payload = failure.payload();
    let what = payload.downcast_ref::<&str>().copied();
    let what = what.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let at = failure.location().map(ToString::to_string).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let what = what.unwrap_or("no message");
    raw::complain(&format!("internal failure in ringfence {version} at {at}: {what}"));
    ADVICE.into_iter().for_each(raw::complain);
}

/// Ends the process by SIGABRT, whatever the program does with that signal.
fn end() -> ! {
    let (abort, default) = (libc::SIGABRT as u64, [0_u64; 4]);
    let action = std::ptr::from_ref(&default) as u64;
    raw::call(libc::SYS_rt_sigaction, [abort, action, 0, 8, 0, 0]);
    let mask = 1_u64 << (libc::SIGABRT - 1);
    let open = std::ptr::from_ref(&mask) as u64;
    raw::call(libc::SYS_rt_sigprocmask, [libc::SIG_UNBLOCK as u64, open, 0, 8, 0, 0]);
    std::hint::black_box((default, mask));
    let (process, thread) = (raw::getpid() as u64, raw::gettid() as u64);
    raw::call(libc::SYS_tgkill, [process, thread, abort, 0, 0, 0]);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Inside;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Output};

    const ROLE: &str = "RINGFENCE_TEST_FAILURE";

    /// This test alone in a process of its own, where it plays `role`.
    fn play(test: &str, role: &str) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(ROLE, role).output().unwrap()
    }

    fn failing(role: &str) {
        watch(true);
        match role {
            "program" => panic!("a failure of the program's"),
            "engine" => {
                let thread = std::thread::spawn(|| {
                    thread::current().engine.store(1, Relaxed);
                    panic!("a request lost");
                });
                let _ = thread.join();
                println!("gone on");
            }
            _ => {
                // A handler of the program for the signal changes nothing.
                signal_hook::flag::register(libc::SIGABRT, Default::default()).unwrap();
                let _inside = Inside::enter();
                let queue: Vec<u32> = Vec::new();
                println!("gone on with {}", queue[std::hint::black_box(3)]);
            }
        }
    }

    #[test]
    fn a_failure_of_ours_is_told_and_ends_the_program() {
        const NAME: &str = "failure::tests::a_failure_of_ours_is_told_and_ends_the_program";
        if let Ok(role) = std::env::var(ROLE) {
            return failing(&role);
        }
        for (role, what) in [("inside", "index out of bounds"), ("engine", "a request lost")] {
            let output = play(NAME, role);
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{told}");
            let first = told.lines().next().unwrap();
            assert!(first.starts_with("ringfence: internal failure in ringfence "), "{told}");
            assert!(first.contains("failure.rs:") && first.contains(what), "{told}");
            assert!(told.contains("CONTRIBUTING.md"), "{told}");
            assert!(!String::from_utf8(output.stdout).unwrap().contains("gone on"));
        }
        let output = play(NAME, "program");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(101), "{told}");
        assert!(!told.contains("ringfence: "), "{told}");
    }
}
