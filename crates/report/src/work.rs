//! Counts the work done, in bytes looked at, so that a test can tell that it stays in proportion
//! to the length of the log. Outside of tests it counts nothing.

#[cfg(test)]
thread_local! {
    static BYTES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Takes note that this many bytes are looked at.
#[inline]
pub(crate) fn add(bytes: usize) {
    #[cfg(test)]
    BYTES.with(|total| total.set(total.get() + bytes as u64));
    let _ = bytes;
}

/// The bytes looked at while `run` ran, on this thread.
#[cfg(test)]
pub(crate) fn of(run: impl FnOnce()) -> u64 {
    let before = BYTES.with(std::cell::Cell::get);
    run();
    BYTES.with(std::cell::Cell::get) - before
}
