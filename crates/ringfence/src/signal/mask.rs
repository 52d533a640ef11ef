//! Signal masks, from which our own signals are kept.
//!
//! A blocked SIGSYS turns the next trapped call into the death of the process, and a blocked
//! SIGSEGV a copy from a bad address. The program's view of its mask is kept beside.

use super::bit;
use crate::raw;
use crate::thread;
use std::sync::atomic::Ordering::Relaxed;

/// Signals that are never blocked.
pub(crate) const KEPT: u64 = bit(libc::SIGSYS) | bit(libc::SIGSEGV) | bit(libc::SIGBUS);

/// A mask to hand to the kernel for one that the program gave.
pub(crate) fn stripped(mask: u64) -> u64 {
    mask & !KEPT
}

/// `sigprocmask` for the program: changes the mask, if `set` is given, and returns the program's
/// view of the one before, or the kernel's error as a negated number.
pub(crate) fn change_mask(how: i32, set: Option<u64>) -> Result<u64, i32> {
    let thread = thread::current();
    let mut old = 0u64;
    let new = set.map(stripped);
    let new_at = new.as_ref().map_or(0, |new| std::ptr::from_ref(new) as u64);
    let old_at = std::ptr::from_mut(&mut old) as u64;
    let result = raw::call(libc::SYS_rt_sigprocmask, [how as u64, new_at, old_at, 8, 0, 0]);
    if result < 0 {
        return Err(-result as i32);
    }
    let hidden = thread.hidden_mask.load(Relaxed);
    if let Some(set) = set {
        let kept = set & KEPT;
        let after = match how {
            libc::SIG_BLOCK => hidden | kept,
            libc::SIG_UNBLOCK => hidden & !kept,
            _ => kept,
        };
        thread.hidden_mask.store(after, Relaxed);
        let freed = thread.hidden_pending.load(Relaxed) & !after;
        thread.hidden_pending.fetch_and(!freed, Relaxed);
        for signal in 1..=super::SIGNAL_MAX as i32 {
            if freed & bit(signal) != 0 {
                let args = [raw::getpid() as u64, raw::gettid() as u64, signal as u64, 0, 0, 0];
                raw::call(libc::SYS_tgkill, args);
            }
        }
    }
    Ok(std::hint::black_box(old) | hidden)
}
