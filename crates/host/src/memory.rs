//! Memory that may not be there.
#![expect(unsafe_code, reason = "boxes a value in memory that was asked for by hand")]

use std::alloc::{Layout, alloc};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Boxes a value; `None` where there is no memory for it, and `Box::new` would end the process.
///
/// ```
/// assert_eq!(ringfence_host::memory::try_box(7), Some(Box::new(7)));
/// ```
pub fn try_box<T>(value: T) -> Option<Box<T>> {
    const { assert!(size_of::<T>() > 0, "nothing to allocate") };
    let layout = Layout::new::<T>();
    // SAFETY: the layout's size is not 0.
    let place = unsafe { alloc(layout) }.cast::<T>();
    if place.is_null() {
        return None;
    }
    // SAFETY: the place is of the global allocator, for a `T` by its layout, and nobody else's; the
    // value is written before the box exists.
    unsafe {
        place.write(value);
        Some(Box::from_raw(place))
    }
}

/// Memory is put by for small allocations that must not fail.
static KEPT: OnceLock<fn() -> bool> = OnceLock::new();
/// It is all there, or nobody keeps any.
static WHOLE: AtomicBool = AtomicBool::new(true);

/// Memory is kept from now on for small allocations that must not fail: `refill` makes it whole, and
/// says whether it is.
pub fn keep_reserve(refill: fn() -> bool) {
    if KEPT.set(refill).is_ok() {
        reserve_spent();
    }
}

/// Such an allocation has been made from it.
pub fn reserve_spent() {
    WHOLE.store(false, Ordering::Relaxed);
}

/// Whether what is kept is there, made whole if need be; true where nothing is kept.
#[inline]
pub fn has_reserve() -> bool {
    WHOLE.load(Ordering::Relaxed) || make_whole()
}

#[cold]
fn make_whole() -> bool {
    // Who spends it meanwhile says so after this.
    WHOLE.store(true, Ordering::Relaxed);
    let whole = KEPT.get().is_none_or(|refill| refill());
    if !whole {
        reserve_spent();
    }
    whole
}
