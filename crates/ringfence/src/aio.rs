//! Who serves Linux AIO: the kernel while it grants contexts, the engine where it refuses.
//!
//! Contexts of both can live in one process, and are told apart by their ids, which are addresses:
//! each side maps its own, so no two are the same.

use crate::config::{self, Aio, Log};
use crate::probe::{self, Kernel};
use crate::window::{self, Kept};
use crate::{init, raw};
use ringfence_abi::{Errno, Result};
use ringfence_host::Os;
use ringfence_uring::{Engine, Recent};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// `io_pgetevents`.
pub(crate) const SYS_IO_PGETEVENTS: i64 = 333;

/// Who serves.
static SERVER: AtomicU8 = AtomicU8::new(KERNEL);
/// The kernel, always.
const KERNEL: u8 = 0;
/// The kernel, and the engine for contexts that the kernel refuses.
const BOTH: u8 = 1;
/// The engine, always: the kernel may even kill for these calls.
const ENGINE: u8 = 2;

thread_local! {
    static RECENT: Kept<Recent<Os>> = const { Kept::new() };
}

/// Finds out who is to serve; whether calls have to be intercepted for that from the start.
pub(crate) fn decide() -> bool {
    let (server, intercept) = match config::get().aio {
        Aio::Kernel => (KERNEL, false),
        Aio::User => (ENGINE, true),
        Aio::Auto => {
            let kernel = probe::aio();
            config::log(Log::Info, || format!("the kernel's AIO: {kernel:?}"));
            match kernel {
                Kernel::Granted => (BOTH, false),
                Kernel::Refused(libc::EAGAIN) => (BOTH, true),
                Kernel::Refused(_) | Kernel::Killed(_) => (ENGINE, true),
            }
        }
    };
    SERVER.store(server, Relaxed);
    intercept
}

/// Whether the kernel serves as yet, and is to be done without where it refuses.
pub(crate) fn may_be_refused() -> bool {
    SERVER.load(Relaxed) == BOTH
}

/// Whether a number is one of AIO's.
#[inline]
pub(crate) fn is_aio(number: i64) -> bool {
    number < libc::SYS_io_uring_setup
}

/// Whether the kernel's answer to `io_setup` is one that the engine does better than.
fn is_refusal(result: i64) -> bool {
    [libc::EAGAIN, libc::EPERM, libc::ENOSYS].iter().any(|&errno| result == -i64::from(errno))
}

/// `io_setup` while nothing is intercepted, since the kernel granted what it was asked for at the
/// start: if it refuses now, interception starts now.
#[cold]
pub(crate) fn setup_before_start(args: [u64; 6]) -> i64 {
    let result = raw::call(libc::SYS_io_setup, args);
    if SERVER.load(Relaxed) == BOTH && is_refusal(result) {
        config::log(Log::Info, || format!("the kernel refuses an AIO context: {result}"));
        init::start_late();
        if !init::active() {
            return result;
        }
        return crate::dispatch::serve(libc::SYS_io_setup, args);
    }
    result
}

/// Serves a call; the thread is inside.
pub(crate) fn serve(engine: &Engine<Os>, number: i64, args: [u64; 6]) -> i64 {
    match SERVER.load(Relaxed) {
        KERNEL => pass(number, &args),
        BOTH if number == libc::SYS_io_setup => {
            let result = pass(number, &args);
            if is_refusal(result) { answer(by_engine(engine, number, args)) } else { result }
        }
        BOTH if !engine.aio().owns(args[0]) => pass(number, &args),
        _ => answer(by_engine(engine, number, args)),
    }
}

/// Hands a call to the kernel.
fn pass(number: i64, args: &[u64; 6]) -> i64 {
    if matches!(number, libc::SYS_io_getevents | SYS_IO_PGETEVENTS) {
        window::wait(number, args)
    } else {
        raw::call(number, *args)
    }
}

fn answer(result: Result<u32>) -> i64 {
    match result {
        Ok(value) => i64::from(value),
        Err(errno) => i64::from(errno.as_result()),
    }
}

fn by_engine(engine: &Engine<Os>, number: i64, args: [u64; 6]) -> Result<u32> {
    let [id, a, b, c, d, e] = args;
    let (aio, bounds) = (engine.aio(), [a as i64, b as i64]);
    match number {
        libc::SYS_io_setup => {
            crate::backend::set_any_ring();
            return aio.setup(id as u32, a).map(|()| 0);
        }
        libc::SYS_io_destroy => return aio.destroy(id).map(|()| 0),
        _ => {}
    }
    // Taken out while it is in use: a signal handler that comes here meanwhile finds none.
    let mut recent = RECENT.try_with(Kept::take).ok().flatten().unwrap_or_default();
    let result = match number {
        libc::SYS_io_submit => aio.submit(id, a as i64, b, &mut recent),
        libc::SYS_io_getevents => aio.getevents(id, bounds, c, d, &mut recent),
        SYS_IO_PGETEVENTS => aio.pgetevents(id, bounds, c, d, e, &mut recent),
        libc::SYS_io_cancel => aio.cancel(id, a, &mut recent),
        _ => Err(Errno::ENOSYS),
    };
    let _ = RECENT.try_with(|cell| cell.set(Some(recent)));
    result
}
