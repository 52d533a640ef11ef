//! Atomic words whose accesses are switch points and order what they synchronise.
//!
//! All of them are sequentially consistent here, whatever order is asked for.

use crate::clock::Clock;
use crate::thread::current;
use std::panic::Location;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// What the threads that touched a word knew.
#[derive(Debug)]
struct Known(Mutex<(u64, Clock)>);

impl Known {
    const fn new() -> Known {
        Known(Mutex::new((0, Clock::NEW)))
    }

    /// A switch point, then the exchange of what both sides know.
    fn touch(&self, label: &'static str, place: &'static Location<'static>) {
        let Some((world, me)) = current() else { return };
        world.point(me, label, place);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != world.number {
            *known = (world.number, Clock::default());
        }
        let mut state = world.state();
        let clock = &mut state.thread(me).clock;
        clock.join(&known.1);
        known.1.join(clock);
        clock.tick(me);
    }
}

macro_rules! atomic {
    ($($name:ident, $inner:ident, $value:ty;)*) => {$(
        #[doc = concat!("`", stringify!($name), "` of the simulation.")]
        #[derive(Debug)]
        pub struct $name {
            value: std::sync::atomic::$inner,
            known: Known,
        }

        impl $name {
            /// A word.
            pub const fn new(value: $value) -> Self {
                $name { value: std::sync::atomic::$inner::new(value), known: Known::new() }
            }

            /// Loads it.
            #[track_caller]
            pub fn load(&self, _: Ordering) -> $value {
                self.known.touch("load", Location::caller());
                self.value.load(Ordering::SeqCst)
            }

            /// Stores into it.
            #[track_caller]
            pub fn store(&self, value: $value, _: Ordering) {
                self.known.touch("store", Location::caller());
                self.value.store(value, Ordering::SeqCst);
            }

            /// Replaces it; what it was.
            #[track_caller]
            pub fn swap(&self, value: $value, _: Ordering) -> $value {
                self.known.touch("swap", Location::caller());
                self.value.swap(value, Ordering::SeqCst)
            }

            /// Replaces it if it is `from`; what it was.
            ///
            /// # Errors
            /// What it was, if that is not `from`.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                from: $value,
                to: $value,
                _: Ordering,
                _: Ordering,
            ) -> Result<$value, $value> {
                self.known.touch("compare_exchange", Location::caller());
                self.value.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            }

            /// The value, when nobody shares it any more.
            pub fn into_inner(self) -> $value {
                self.value.into_inner()
            }
        }
    )*};
}

macro_rules! count {
    ($($name:ident, $value:ty;)*) => {$(
        impl $name {
            /// Adds to it, wrapping; what it was.
            #[track_caller]
            pub fn fetch_add(&self, value: $value, _: Ordering) -> $value {
                self.known.touch("fetch_add", Location::caller());
                self.value.fetch_add(value, Ordering::SeqCst)
            }

            /// Subtracts from it, wrapping; what it was.
            #[track_caller]
            pub fn fetch_sub(&self, value: $value, _: Ordering) -> $value {
                self.known.touch("fetch_sub", Location::caller());
                self.value.fetch_sub(value, Ordering::SeqCst)
            }
        }
    )*};
}

atomic! {
    AtomicBool, AtomicBool, bool;
    AtomicU32, AtomicU32, u32;
    AtomicU64, AtomicU64, u64;
    AtomicUsize, AtomicUsize, usize;
    AtomicI32, AtomicI32, i32;
}

count! {
    AtomicU32, u32;
    AtomicU64, u64;
    AtomicUsize, usize;
    AtomicI32, i32;
}
