//! The eventfds that single requests signal (`IOCB_FLAG_RESFD`).
//!
//! A request owns its eventfd from submission to completion, whatever the program closes. One
//! descriptor of our own is kept for each eventfd in use, for as long as the program's number is
//! known to name it.

use crate::cq::Entry;
use crate::request::OwnedFile;
use ringfence_abi::{Errno, Result};
use ringfence_host::sync::Arc;
use ringfence_host::{Host, calls};

/// An eventfd in use.
struct Signal<H: Host> {
    file: Arc<OwnedFile<H>>,
    /// The program's descriptor, if that is known to name it still.
    fd: Option<i32>,
    /// Requests that have it.
    users: u32,
}

/// The eventfds of a context's requests.
pub(crate) struct Signals<H: Host> {
    slots: Vec<Option<Signal<H>>>,
    due: Due<H>,
}

impl<H: Host> Default for Signals<H> {
    fn default() -> Self {
        Signals { slots: Vec::new(), due: Due(Vec::new()) }
    }
}

/// Signals to be sent when no lock is held any more: an eventfd, and how many events it tells of.
pub(crate) struct Due<H: Host>(Vec<(Arc<OwnedFile<H>>, u64)>);

impl<H: Host> Due<H> {
    /// Sends them.
    #[inline]
    pub(crate) fn send(self, host: &H) {
        for (file, count) in self.0 {
            let at = std::ptr::from_ref(&count) as u64;
            let _ = calls::write(host, file.fd(), at, 8);
        }
    }
}

impl<H: Host> Signals<H> {
    /// The token of the eventfd `fd`, which a request now has: never 0. `told` says that closes
    /// are told, so that a number that was seen before names the same file.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` if it is no eventfd.
    pub(crate) fn take(&mut self, host: &H, fd: i32, told: bool) -> Result<u64> {
        let known = |slot: &Option<Signal<H>>| slot.as_ref().is_some_and(|s| s.fd == Some(fd));
        let index = match self.slots.iter().position(known) {
            Some(index) => index,
            None => self.add(host, fd, told)?,
        };
        if let Some(signal) = &mut self.slots[index] {
            signal.users += 1;
        }
        Ok(index as u64 + 1)
    }

    fn add(&mut self, host: &H, fd: i32, told: bool) -> Result<usize> {
        let file = OwnedFile::dup(host, fd)?;
        if !crate::register::is_eventfd(host, file.fd()) {
            return Err(Errno::EINVAL);
        }
        let index = match self.slots.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        self.slots[index] = Some(Signal { file, fd: told.then_some(fd), users: 0 });
        Ok(index)
    }

    /// A request lets go of its eventfd without a signal.
    pub(crate) fn give_back(&mut self, token: u64) {
        let _ = self.let_go(token);
    }

    fn let_go(&mut self, token: u64) -> Option<Arc<OwnedFile<H>>> {
        let slot = self.slots.get_mut(token.checked_sub(1)? as usize)?;
        let signal = slot.as_mut()?;
        signal.users -= 1;
        let file = Arc::clone(&signal.file);
        if signal.users == 0 && signal.fd.is_none() {
            *slot = None;
        }
        Some(file)
    }

    /// Completions were posted: their signals are due.
    pub(crate) fn count(&mut self, posted: &[Entry]) {
        if self.slots.is_empty() {
            return;
        }
        for entry in posted {
            let Some(file) = self.let_go(entry.big[1]) else { continue };
            match self.due.0.iter_mut().find(|(due, _)| Arc::ptr_eq(due, &file)) {
                Some((_, count)) => *count += 1,
                None => self.due.0.push((file, 1)),
            }
        }
    }

    /// Whether anything is to be sent.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        !self.due.0.is_empty()
    }

    /// What is to be sent.
    #[inline]
    pub(crate) fn take_due(&mut self) -> Due<H> {
        Due(std::mem::take(&mut self.due.0))
    }

    /// Descriptors that are closed or replaced no longer name what they did.
    pub(crate) fn forget(&mut self, first: u32, last: u32) {
        for slot in &mut self.slots {
            let Some(signal) = slot else { continue };
            if signal.fd.is_some_and(|fd| (first..=last).contains(&(fd as u32))) {
                signal.fd = None;
                if signal.users == 0 {
                    *slot = None;
                }
            }
        }
    }
}
