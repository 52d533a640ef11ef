//! Room for one request more, and for what it may need later.
//!
//! A submission takes an entry only if there is memory for its request, and a place for it wherever
//! requests stand: among those that wait, those that are ready, the timers. So nothing that grows with
//! their number fails on a request's way, where nobody could be told. Without memory the submission
//! stops, as the kernel's does: it returns the count so far, or `EAGAIN`.

use crate::request::{Req, Request};
use crate::submit::{CACHE_MAX, Submit};
use ringfence_host::Host;
use ringfence_host::memory::{has_reserve, try_box};
use std::collections::{BinaryHeap, TryReserveError, VecDeque};

/// A collection that can be asked to grow.
pub(crate) trait Grow {
    fn len(&self) -> usize;
    fn capacity(&self) -> usize;
    /// For `more` than there are, and then some; or for exactly so many.
    fn try_more(&mut self, more: usize, exactly: bool) -> Result<(), TryReserveError>;
}

macro_rules! grow {
    ($kind:ident $(: $bound:ident)?) => {
        impl<T $(: $bound)?> Grow for $kind<T> {
            fn len(&self) -> usize {
                $kind::len(self)
            }
            fn capacity(&self) -> usize {
                $kind::capacity(self)
            }
            fn try_more(&mut self, more: usize, exactly: bool) -> Result<(), TryReserveError> {
                if exactly { self.try_reserve_exact(more) } else { self.try_reserve(more) }
            }
        }
    };
}

grow!(Vec);
grow!(VecDeque);
grow!(BinaryHeap: Ord);

/// Whether there is room for `count` in all, which is made if need be.
#[inline]
pub(crate) fn has_room(of: &mut impl Grow, count: usize) -> bool {
    of.capacity() >= count || make(of, count)
}

#[cold]
fn make(of: &mut impl Grow, count: usize) -> bool {
    let more = count - of.len();
    // Twice as much may not be there where a little more is.
    of.try_more(more, false).is_ok() || of.try_more(more + count / 16, true).is_ok()
}

impl<H: Host> Submit<H> {
    /// Whether there is a request for the next entry, made if need be.
    #[inline(always)]
    pub(crate) fn has_request(&mut self, deferred: bool) -> bool {
        !self.cache.is_empty() || self.one_more(deferred)
    }

    /// Makes one request more than there are; false without the memory for it.
    #[cold]
    fn one_more(&mut self, deferred: bool) -> bool {
        let all = self.made + 1;
        let places = has_reserve()
            && self.parked.has_room(all)
            && has_room(&mut self.ready, all)
            && (!deferred || has_room(&mut self.gathered, all))
            && self.timers.has_room(all)
            && has_room(&mut self.cache, all.min(CACHE_MAX));
        let req: Option<Req<H>> = if places { try_box(Request::default()) } else { None };
        let Some(req) = req else { return false };
        self.cache.push(req);
        self.made = all;
        self.held_max = self.held_max.max(self.alive + 1);
        true
    }
}
