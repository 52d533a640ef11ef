//! Takes io_uring's system calls of an unmodified process to an engine in user space.
//!
//! Three tiers, each for what the one before cannot reach: exported functions that stand before
//! libc's and liburing's; call sites in machine code, found and patched; and traps. Which of them
//! this host allows is found out by trying ([`Probe`]). Signals are let in at one place only, so
//! that no handler of the program runs while the engine holds something half made.
//!
//! What it is not: the engine, which is `ringfence-uring`; nor the preload, which exports these
//! functions under libc's names. A program that links this crate calls [`install`] instead:
//!
//! ```
//! // Where the kernel grants io_uring, it is left alone.
//! let intercepted = ringfence::install();
//! println!("{intercepted}");
//! ```

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("ringfence intercepts system calls of Linux on x86-64 only");

#[cfg(target_feature = "avx")]
compile_error!(
    "build without AVX (no -C target-cpu): a patched call site must keep the upper halves of \
     vector registers, and only SSE code does"
);

mod aio;
mod backend;
mod config;
mod counters;
mod dispatch;
mod entry;
mod failure;
mod filter;
mod got;
#[doc(hidden)]
pub mod hooks;
mod init;
mod inline_aio;
mod loader;
mod lock;
mod objects;
mod patch;
mod probe;
mod process;
mod raw;
mod real;
mod sanitizer;
mod scan;
mod signal;
mod stub;
mod thread;
mod trap;
mod window;

pub use config::{Aio, Backend, Config, Counters, Log, Tier, parse_bytes, parse_workers};
pub use probe::{Kernel, Probe};
#[doc(hidden)]
pub use ringfence_host::memory::{keep_reserve, reserve_spent};

/// Starts to intercept in a program that links this crate; to be called at the start of `main`.
/// True if calls are intercepted from now on, false if the kernel grants io_uring and is left to
/// it. Later calls change nothing.
pub fn install() -> bool {
    init::install()
}

/// For the preload's constructor: `library` is its own path, which executed programs get too.
#[doc(hidden)]
pub fn start_preload(library: Option<Vec<u8>>) -> bool {
    init::start(library)
}

/// For the preload's destructor: prints counters, if asked to.
#[doc(hidden)]
pub fn finish_preload() {
    if init::active() {
        process::notice_fork();
        // A handler that came now would wait for locks that its own thread has.
        let _inside = window::Inside::enter();
        backend::settle();
        counters::print();
    }
}
