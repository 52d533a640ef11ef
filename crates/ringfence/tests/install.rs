//! `install` in a program that links the crate, with threads and handlers that are there already.
//!
//! The test starts itself again where the kernel refuses io_uring, since there is one installation
//! per process and no way back.
#![expect(unsafe_code, reason = "a system call by its instruction, a handler, a fork")]

use io_uring::{IoUring, opcode};
use ringfence_refusal::{Answer, refuse_io_uring};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

const CHILD: &str = "RINGFENCE_TEST_CHILD";

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        child();
        return ExitCode::SUCCESS;
    }
    let status = std::thread::spawn(|| {
        refuse_io_uring(Answer::Errno(libc::EPERM)).unwrap();
        let exe = std::env::current_exe().unwrap();
        Command::new(exe).env(CHILD, "1").env("RINGFENCE_LOG", "info").status().unwrap()
    })
    .join()
    .unwrap();
    assert!(status.success(), "{status}");
    println!("install: ok");
    ExitCode::SUCCESS
}

/// An enter on no descriptor, by the instruction.
#[inline(never)]
fn enter() -> i64 {
    let result: i64;
    // SAFETY: there is no such descriptor.
    unsafe {
        std::arch::asm!(
            "mov eax, 426",
            "syscall",
            out("rax") result,
            in("rdi") -1, in("rsi") 0, in("rdx") 0, in("r10") 0, in("r8") 0, in("r9") 0,
            out("rcx") _, out("r11") _,
        );
    }
    result
}

static STOP: AtomicBool = AtomicBool::new(false);
static SERVED: AtomicU32 = AtomicU32::new(0);
static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_alarm(_: i32) {
    HANDLED.fetch_add(1, SeqCst);
}

fn child() {
    // SAFETY: the handler increments a counter.
    unsafe { libc::signal(libc::SIGALRM, on_alarm as *const () as usize) };
    assert_eq!(enter(), -i64::from(libc::EPERM));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(|| {
                let mut seen = false;
                while !STOP.load(SeqCst) {
                    let result = enter();
                    // Once served, always served.
                    assert!(result == -i64::from(libc::EBADF) || !seen, "{result}");
                    if !seen && result == -i64::from(libc::EBADF) {
                        seen = true;
                        SERVED.fetch_add(1, SeqCst);
                    }
                }
            })
        })
        .collect();
    assert!(ringfence::install());
    assert!(ringfence::install());
    assert_eq!(enter(), -i64::from(libc::EBADF));
    // SAFETY: there is no such descriptor.
    let result = unsafe { libc::syscall(426, -1, 0, 0, 0, 0, 0) };
    assert_eq!((result, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EBADF)));
    while SERVED.load(SeqCst) < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    use_ring();
    // SAFETY: the child makes a ring and exits.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        use_ring();
        // SAFETY: nothing is left to do in the child.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: waits for the child just made.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(status, 0);
    STOP.store(true, SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    // Probes still say what the kernel does, not what we do.
    assert_eq!(ringfence::Probe::run().kernel, ringfence::Kernel::Refused(libc::EPERM));
}

/// A nop there and back, and a wait that the alarm ends.
fn use_ring() {
    let mut ring = IoUring::new(8).unwrap();
    // SAFETY: a nop refers to nothing.
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(7)).unwrap() };
    ring.submit_and_wait(1).unwrap();
    assert_eq!(ring.completion().next().unwrap().user_data(), 7);
    let before = HANDLED.load(SeqCst);
    let time = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: 0, tv_usec: 20_000 },
    };
    // Other threads run no handlers of ours, so that the alarm comes to this one or to them.
    // SAFETY: the structure lives during the call.
    unsafe { libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &time, 0) };
    while HANDLED.load(SeqCst) == before {
        std::thread::sleep(Duration::from_millis(1));
    }
}
