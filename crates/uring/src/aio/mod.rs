//! Linux AIO on the engine's requests.
//!
//! A context is a ring of the engine with another mouth: an `iocb` becomes the entry of the same
//! operation (`iocb`), the request is prepared, issued, parked, worked on and completed by what
//! does so for io_uring, and its completion leaves through the same queue, which writes an
//! `io_event` in place of a CQE (`ring`). So there is one way in and one way out for both
//! interfaces, and nothing here that waits, polls or works. That is why this is a module and no
//! crate: another crate would see either too little of a request or all of it.
//!
//! What is its own: the memory that `aio_context_t` points to; which errors are the submission's
//! and which the event's (`submit`); eventfds of single requests (`signal`); taking events in
//! place of leaving that to the program (`events`); and the life of a context, which is a number
//! that any thread may use at any time (`life`, `table`, `context`).
//!
//! Better than the kernel's: a submission blocks neither on files without `O_DIRECT` nor on pipes
//! and sockets, and `fs.aio-max-nr` is nobody's limit.

mod context;
mod events;
mod iocb;
mod life;
pub(crate) mod ring;
pub(crate) mod signal;
mod submit;
mod table;

#[doc(hidden)]
pub use life::{Historic, Life, OnlyLive, Rule};
#[doc(hidden)]
pub use table::Contexts;
pub use table::Recent;

use crate::engine::Shared;
use ringfence_abi::*;
use ringfence_host::sync::Arc;
use ringfence_host::{Host, Point, plain};

/// Linux AIO of one process: its six system calls, arguments as the program passes them.
pub struct Aio<'a, H: Host, R: Rule = OnlyLive> {
    pub(crate) host: &'a H,
    pub(crate) shared: &'a Arc<Shared<H>>,
    pub(crate) contexts: &'a Contexts<H, R>,
}

impl<H: Host, R: Rule> Aio<'_, H, R> {
    /// `io_setup`; `out` is the address of an `aio_context_t`, which must be 0.
    ///
    /// # Errors
    /// As the kernel's, but `EAGAIN` for `fs.aio-max-nr`.
    pub fn setup(&self, nr_events: u32, out: u64) -> Result<()> {
        let old: u64 = plain::read(self.host, out)?;
        if old != 0 || nr_events == 0 {
            return Err(Errno::EINVAL);
        }
        let id = self.contexts.open(self.shared, self.host, nr_events)?;
        plain::write(self.host, out, &id).inspect_err(|_| {
            let _ = self.contexts.close(self.host, id);
        })
    }

    /// Whether `id` is a context of this engine.
    pub fn owns(&self, id: u64) -> bool {
        self.contexts.has(self.host, id)
    }

    /// `io_destroy`. When it returns, nothing touches the program's memory any more on behalf of
    /// the context: writes and reads that were under way are done, polls are cancelled.
    ///
    /// # Errors
    /// `EINVAL` if `id` is no context, or is being destroyed already.
    pub fn destroy(&self, id: u64) -> Result<()> {
        let result = self.contexts.close(self.host, id);
        self.host.at(Point::Return);
        result
    }

    /// `io_submit`: how many of the `nr` requests, whose addresses stand at `list`, were taken.
    ///
    /// # Errors
    /// That of the first request, if that was refused; `EINVAL` for no context or `nr` below 0.
    pub fn submit(&self, id: u64, nr: i64, list: u64, recent: &mut Recent<H, R>) -> Result<u32> {
        let user = self.contexts.look_up(self.host, id, recent).ok_or(Errno::EINVAL)?;
        let result = submit::submit(&user, nr, list);
        drop(user);
        self.host.at(Point::Return);
        result
    }

    /// `io_getevents`: how many events were written to `events`; waits for `min` of at most `nr`,
    /// for as long as the `timespec` at `timeout` says, 0 for ever.
    ///
    /// # Errors
    /// As the kernel's; `EINTR` if a signal came before any event.
    pub fn getevents(
        &self,
        id: u64,
        bounds: [i64; 2],
        events: u64,
        timeout: u64,
        recent: &mut Recent<H, R>,
    ) -> Result<u32> {
        self.get(id, bounds, events, timeout, 0, recent)
    }

    /// `io_pgetevents`: as [`Aio::getevents`], waiting with the signal mask that the
    /// `__aio_sigset` at `sigset` names.
    ///
    /// # Errors
    /// As [`Aio::getevents`].
    pub fn pgetevents(
        &self,
        id: u64,
        bounds: [i64; 2],
        events: u64,
        timeout: u64,
        sigset: u64,
        recent: &mut Recent<H, R>,
    ) -> Result<u32> {
        self.get(id, bounds, events, timeout, sigset, recent)
    }

    fn get(
        &self,
        id: u64,
        bounds: [i64; 2],
        events: u64,
        timeout: u64,
        sigset: u64,
        recent: &mut Recent<H, R>,
    ) -> Result<u32> {
        let limits = events::limits(self.host, timeout, sigset)?;
        let user = self.contexts.look_up(self.host, id, recent).ok_or(Errno::EINVAL)?;
        let result = events::get(user, bounds, events, limits);
        self.host.at(Point::Return);
        result
    }

    /// `io_cancel` of the request at `iocb`. Where that can be cancelled its event comes through
    /// the ring, and the call says `EINPROGRESS`; it never succeeds otherwise.
    ///
    /// # Errors
    /// Always: `EINPROGRESS`; `EINVAL` if there is no such request or it cannot be cancelled.
    pub fn cancel(&self, id: u64, iocb: u64, recent: &mut Recent<H, R>) -> Result<u32> {
        let key: u32 = plain::read(self.host, iocb.wrapping_add(iocb::KEY_AT))?;
        if key != 0 {
            return Err(Errno::EINVAL);
        }
        let user = self.contexts.look_up(self.host, id, recent).ok_or(Errno::EINVAL)?;
        Err(submit::cancel(&user, iocb))
    }

    /// To be called when the process exits in an orderly way: reads and writes under way are
    /// waited for, as the kernel does for all of its own at every exit.
    pub fn settle(&self) {
        self.contexts.settle();
    }
}
