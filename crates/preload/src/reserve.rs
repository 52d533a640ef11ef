//! The allocator, and a reserve of memory for when there is no more.
//!
//! A submission takes a request only if there is memory for it and for its places in the engine's
//! tables. The rest of what a request needs is small, and asked for where nobody can be told that
//! it is not there: there the reserve is spent, and until it is whole again the next submissions are
//! refused.
#![expect(unsafe_code, reason = "an allocator")]

use dlmalloc::GlobalDlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// A block is given back to dlmalloc's own pool, not to the system, where the program might take it.
const BLOCK: Layout = match Layout::from_size_align(128 << 10, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("no layout"),
};

/// Requests of more are refused rather than the reserve spent, bytes.
const SMALL_MAX: usize = 64 << 10;

static BLOCKS: [AtomicPtr<u8>; 4] = [const { AtomicPtr::new(null_mut()) }; 4];

/// The global allocator.
pub(crate) struct Reserving;

/// Gives the reserve to the allocator; whether there was any.
#[cold]
fn spend() -> bool {
    ringfence_runtime::reserve_spent();
    let mut any = false;
    for block in &BLOCKS {
        let block = block.swap(null_mut(), AcqRel);
        if !block.is_null() {
            any = true;
            // SAFETY: allocated with this layout by `refill`, and taken from its place by us alone.
            unsafe { GlobalDlmalloc.dealloc(block, BLOCK) };
        }
    }
    any
}

/// Makes the reserve whole; whether it is.
fn refill() -> bool {
    BLOCKS.iter().all(|place| {
        if !place.load(Acquire).is_null() {
            return true;
        }
        // SAFETY: the layout is not empty.
        let block = unsafe { GlobalDlmalloc.alloc(BLOCK) };
        if block.is_null() {
            return false;
        }
        if place.compare_exchange(null_mut(), block, AcqRel, Acquire).is_err() {
            // SAFETY: allocated right here, and known to nobody.
            unsafe { GlobalDlmalloc.dealloc(block, BLOCK) };
        }
        true
    })
}

/// Says what there is to the engine.
pub(crate) fn keep() {
    ringfence_runtime::keep_reserve(refill);
}

/// What `allocate` gives, tried again with the reserve if that is nothing.
#[inline(always)]
fn with_reserve(size: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
    let place = allocate();
    if place.is_null() && size <= SMALL_MAX && spend() { allocate() } else { place }
}

// SAFETY: whatever is given is dlmalloc's, by the layout asked for, and goes back to it.
unsafe impl GlobalAlloc for Reserving {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the caller.
        with_reserve(layout.size(), || unsafe { GlobalDlmalloc.alloc(layout) })
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the caller.
        with_reserve(layout.size(), || unsafe { GlobalDlmalloc.alloc_zeroed(layout) })
    }

    #[inline]
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for the caller; where it fails, what stands at `place` stays as it is.
        with_reserve(size, || unsafe { GlobalDlmalloc.realloc(place, layout, size) })
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as for the caller.
        unsafe { GlobalDlmalloc.dealloc(place, layout) }
    }
}
