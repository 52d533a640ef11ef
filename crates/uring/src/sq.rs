//! The words of the submission queue, as its consumer uses them. The program writes entries, then
//! their places in the index array, then the tail; what it is told is the head, up to which entries
//! may be reused, and whether the SQPOLL thread sleeps.

use crate::ring::Layout;
use ringfence_abi::{IORING_SQ_NEED_WAKEUP, layout};
use ringfence_host::sync::Ordering;
use ringfence_host::words::Words;

/// How many entries the program has published beyond `head`; none where it took the memory away.
#[inline]
pub(crate) fn queued(words: &impl Words, head: u32) -> u32 {
    // Pairs with the program's release store of the tail: the entries before it are written.
    let tail = words.load_there(layout::SQ_TAIL, Ordering::Acquire);
    tail.map_or(0, |tail| tail.wrapping_sub(head))
}

/// Where the entry stands that is at `head`; an index out of range is the program's error.
#[inline]
pub(crate) fn index(words: &impl Words, ring: &Layout, head: u32) -> Result<u32, u32> {
    let mask = ring.sq_entries() - 1;
    let place = head & mask;
    let Some(array) = ring.array() else { return Ok(place) };
    // Ordered by the load of the tail.
    let index = words.load(array + place * 4, Ordering::Relaxed);
    if index > mask { Err(index) } else { Ok(index) }
}

/// Entries up to `head` have been copied.
#[inline]
pub(crate) fn consumed(words: &impl Words, head: u32) {
    // Pairs with the program's acquire load: the entries up to here may be reused.
    words.store(layout::SQ_HEAD, head, Ordering::Release);
}

/// Tells the program that it has to wake the thread from now on; whether the thread may sleep, for
/// nothing was published before the program could know.
pub(crate) fn fall_asleep(words: &impl Words) -> bool {
    words.set_bits(layout::SQ_FLAGS, IORING_SQ_NEED_WAKEUP);
    // Pairs with the program's fence between its tail and its look at the flag: one of the two sees
    // the other.
    words.full_fence();
    let head = words.load(layout::SQ_HEAD, Ordering::Relaxed);
    head == words.load(layout::SQ_TAIL, Ordering::Acquire)
}

/// Whether the thread still has to be woken: another process clears the flag to wake it.
pub(crate) fn is_asleep(words: &impl Words) -> bool {
    words.load(layout::SQ_FLAGS, Ordering::SeqCst) & IORING_SQ_NEED_WAKEUP != 0
}

/// The thread is awake: the program need not wake it.
pub(crate) fn wake_up(words: &impl Words) {
    words.clear_bits(layout::SQ_FLAGS, IORING_SQ_NEED_WAKEUP);
}
