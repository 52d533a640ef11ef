//! Words that threads of the engine share without a lock.
//!
//! They are the machine's atomics, of the host `H` that the engine runs on: a host that schedules the
//! engine's threads is told of each access before it happens ([`Host::step`]), and may let another
//! thread go first. On the operating system that is nothing, and compiled to nothing.
//!
//! An access that asks for no order is no step: what is read or counted so decides nothing that
//! another thread relies on.

use crate::Host;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{self, Ordering};

/// Tells the host, if the access orders anything.
#[inline(always)]
#[track_caller]
fn step<H: Host>(order: Ordering) {
    if !matches!(order, Ordering::Relaxed) {
        H::step();
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $value:ty;)+) => {$(
        $(#[$doc])*
        pub struct $name<H> {
            value: atomic::$name,
            host: PhantomData<fn() -> H>,
        }

        impl<H: Host> $name<H> {
            /// A word.
            #[inline(always)]
            pub const fn new(value: $value) -> Self {
                $name { value: atomic::$name::new(value), host: PhantomData }
            }

            /// The machine's word: to sleep on. Accesses through it are no steps.
            #[inline(always)]
            pub const fn word(&self) -> &atomic::$name {
                &self.value
            }

            /// What nobody shares.
            pub fn get_mut(&mut self) -> &mut $value {
                self.value.get_mut()
            }

            /// Loads it.
            #[inline(always)]
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                step::<H>(order);
                self.value.load(order)
            }

            /// Stores into it.
            #[inline(always)]
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                step::<H>(order);
                self.value.store(value, order);
            }

            /// Replaces it; what it was.
            #[inline(always)]
            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                step::<H>(order);
                self.value.swap(value, order)
            }

            /// Replaces it if it is `from`; what it was.
            ///
            /// # Errors
            /// What it was, if that is not `from`.
            #[inline(always)]
            #[track_caller]
            pub fn compare_exchange(
                &self,
                from: $value,
                to: $value,
                order: Ordering,
                failed: Ordering,
            ) -> Result<$value, $value> {
                step::<H>(order);
                self.value.compare_exchange(from, to, order, failed)
            }

            /// As [`Self::compare_exchange`], and may fail for nothing.
            ///
            /// # Errors
            /// What it was, if it was not replaced.
            #[inline(always)]
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                from: $value,
                to: $value,
                order: Ordering,
                failed: Ordering,
            ) -> Result<$value, $value> {
                step::<H>(order);
                self.value.compare_exchange_weak(from, to, order, failed)
            }

            /// Sets bits of it; what it was.
            #[inline(always)]
            #[track_caller]
            pub fn fetch_or(&self, bits: $value, order: Ordering) -> $value {
                step::<H>(order);
                self.value.fetch_or(bits, order)
            }
        }

        impl<H: Host> Default for $name<H> {
            fn default() -> Self {
                $name::new(<$value>::default())
            }
        }

        impl<H> fmt::Debug for $name<H> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.value.fmt(f)
            }
        }
    )+};
}

macro_rules! counts {
    ($($name:ident: $value:ty;)+) => {$(
        impl<H: Host> $name<H> {
            /// Adds to it, wrapping; what it was.
            #[inline(always)]
            #[track_caller]
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                step::<H>(order);
                self.value.fetch_add(value, order)
            }

            /// Subtracts from it, wrapping; what it was.
            #[inline(always)]
            #[track_caller]
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                step::<H>(order);
                self.value.fetch_sub(value, order)
            }
        }
    )+};
}

words! {
    /// A flag.
    AtomicBool: bool;
    /// A descriptor, mostly.
    AtomicI32: i32;
    /// A count, or a word to sleep on.
    AtomicU32: u32;
    /// A time, or an address.
    AtomicU64: u64;
    /// A count of things in memory.
    AtomicUsize: usize;
}

counts! {
    AtomicI32: i32;
    AtomicU32: u32;
    AtomicU64: u64;
    AtomicUsize: usize;
}
