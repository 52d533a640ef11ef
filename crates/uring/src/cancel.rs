//! Cancellation: matching parked requests, and taking them away from what they wait for.

use crate::opdef::{NEEDS_FILE, Table as Ops};
use crate::parked::{Key, Parked, Waits};
use crate::same_file::SameFile;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::Host;

/// What a cancel matches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) user_data: u64,
    pub(crate) fd: i32,
    pub(crate) opcode: u8,
    /// `IORING_ASYNC_CANCEL_*`.
    pub(crate) flags: u32,
}

const FLAGS_KNOWN: u32 = IORING_ASYNC_CANCEL_ALL
    | IORING_ASYNC_CANCEL_FD
    | IORING_ASYNC_CANCEL_ANY
    | IORING_ASYNC_CANCEL_FD_FIXED
    | IORING_ASYNC_CANCEL_USERDATA
    | IORING_ASYNC_CANCEL_OP;

impl Match {
    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether the flags make sense together.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn check(&self) -> Result<()> {
        let any_with_key = self.has(IORING_ASYNC_CANCEL_ANY)
            && self.has(IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP);
        if self.flags & !FLAGS_KNOWN != 0 || any_with_key {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// Whether all matches are meant, not the first.
    fn is_all(&self) -> bool {
        self.has(IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)
    }

    fn by_user_data(&self) -> bool {
        let other = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP | IORING_ASYNC_CANCEL_ANY;
        !self.has(other) || self.has(IORING_ASYNC_CANCEL_USERDATA)
    }

    /// The file it means, if it means one.
    ///
    /// # Errors
    /// `EBADF` if there is none.
    fn file<'a, H: Host>(&self, host: &'a H, sub: &Submit<H>) -> Result<Option<SameFile<'a, H>>> {
        if !self.has(IORING_ASYNC_CANCEL_FD) {
            return Ok(None);
        }
        let fd = if self.has(IORING_ASYNC_CANCEL_FD_FIXED) {
            sub.registered.files.get(self.fd as u32)?.fd()
        } else {
            self.fd
        };
        SameFile::new(host, fd).map(Some)
    }

    /// How many it means of those cancelled before in the submission, by user data and operation.
    fn among(&self, struck: &[(u64, u8)]) -> i32 {
        let is_meant = |&&(user_data, opcode): &&(u64, u8)| {
            self.has(IORING_ASYNC_CANCEL_ANY)
                || !self.has(IORING_ASYNC_CANCEL_FD)
                    && (!self.has(IORING_ASYNC_CANCEL_OP) || opcode == self.opcode)
                    && (!self.by_user_data() || user_data == self.user_data)
        };
        struck.iter().filter(is_meant).count() as i32
    }

    fn accepts<H: Host>(&self, entry: &Parked<H>, file: &mut Option<SameFile<'_, H>>) -> bool {
        // A linked timeout goes with its target only.
        if matches!(entry.waits, Waits::LinkTime { .. }) {
            return false;
        }
        if self.has(IORING_ASYNC_CANCEL_ANY) {
            return true;
        }
        let others = (!self.has(IORING_ASYNC_CANCEL_OP) || entry.opcode == self.opcode)
            && (!self.by_user_data() || entry.user_data == self.user_data);
        // Last, for it may cost a system call.
        others && file.as_mut().is_none_or(|file| self.is_on(entry, file))
    }

    /// Whether a request is on that file.
    fn is_on<H: Host>(&self, entry: &Parked<H>, file: &mut SameFile<'_, H>) -> bool {
        match &entry.waits {
            Waits::Ready { fd, .. } => file.is(*fd),
            Waits::Work { .. } | Waits::Device { .. } | Waits::Blocked { .. } if entry.fixed => {
                self.has(IORING_ASYNC_CANCEL_FD_FIXED) && entry.fd == self.fd
            }
            Waits::Work { .. } | Waits::Device { .. } | Waits::Blocked { .. } => {
                let has_file = Ops::<H>::get(entry.opcode).is_some_and(|op| op.has(NEEDS_FILE));
                has_file && entry.fd >= 0 && file.is(entry.fd)
            }
            Waits::Time { .. } | Waits::LinkTime { .. } => false,
        }
    }
}

/// Cancels what matches: 0 for one, or the number of all.
///
/// # Errors
/// `ENOENT` if nothing matches, `EALREADY` if a match is running and cannot be stopped, `EBADF` if
/// the file to match is none.
pub(crate) fn cancel<H: Host>(host: &H, sub: &mut Submit<H>, wanted: &Match) -> Result<i32> {
    let mut file = wanted.file(host, sub)?;
    let mut accepts = |entry: &Parked<H>| wanted.accepts(entry, &mut file);
    let again = wanted.among(&sub.struck);
    if wanted.is_all() {
        return Ok(cancel_all(sub, accepts) + again);
    }
    let key = if wanted.by_user_data() {
        sub.parked.find(wanted.user_data, accepts)
    } else {
        sub.parked.iter().find(|(_, entry)| accepts(entry)).map(|(key, _)| key)
    };
    match key {
        Some(key) => strike(sub, key),
        None if again > 0 => Ok(0),
        None => Err(Errno::ENOENT),
    }
}

/// Cancels one parked request; one that waits for a file can be found again for a while.
fn strike<H: Host>(sub: &mut Submit<H>, key: Key) -> Result<i32> {
    let waits_for_file = |entry: &&Parked<H>| matches!(entry.waits, Waits::Ready { .. });
    let found = sub.parked.get(key).filter(waits_for_file);
    let struck = found.map(|entry| (entry.user_data, entry.opcode));
    let result = cancel_parked(sub, key);
    if sub.submitting && sub.struck.try_reserve(1).is_ok() {
        sub.struck.extend(struck);
    }
    result
}

fn cancel_all<H: Host>(sub: &mut Submit<H>, mut accepts: impl FnMut(&Parked<H>) -> bool) -> i32 {
    let (mut at, mut count, mut at_once) = (0, 0, [false; COUNTED.len()]);
    while let Some((key, entry, next)) = sub.parked.next_at(at) {
        at = next;
        let class = class(entry.opcode);
        if accepts(entry) && strike(sub, key).is_ok() {
            match class {
                Some(class) => at_once[class] = true,
                None => count += 1,
            }
        }
    }
    count + at_once.iter().filter(|any| **any).count() as i32
}

/// Operations whose plain cancel yields 1 where others yield 0. A cancel of all takes those of a
/// class at once and counts them as one.
const COUNTED: [&[Op]; 2] = [&[Op::Waitid], &[Op::FutexWait, Op::FutexWaitv]];

fn class(opcode: u8) -> Option<usize> {
    COUNTED.iter().position(|class| class.iter().any(|op| *op as u8 == opcode))
}

/// Cancels one parked request; it completes with `ECANCELED`, after whoever cancels it. What a
/// plain cancel yields: 0, or 1 for some operations.
///
/// # Errors
/// `ENOENT` if it is gone, `EALREADY` if a worker or a device has it; the worker's call is interrupted.
pub(crate) fn cancel_parked<H: Host>(sub: &mut Submit<H>, key: Key) -> Result<i32> {
    let entry = sub.parked.get(key).ok_or(Errno::ENOENT)?;
    let count = i32::from(class(entry.opcode).is_some());
    let req = match &entry.waits {
        Waits::Work { job } => {
            let Some(req) = job.take() else {
                job.interrupt();
                return Err(Errno::EALREADY);
            };
            sub.at_workers -= 1;
            sub.parked.remove(key);
            Some(req)
        }
        Waits::Ready { fd, .. } => {
            let fd = *fd;
            let entry = sub.parked.remove(key);
            sub.polled.remove(fd, &sub.parked);
            match entry.map(|entry| entry.waits) {
                Some(Waits::Ready { req, .. }) => Some(req),
                _ => None,
            }
        }
        Waits::Device { .. } => return Err(Errno::EALREADY),
        Waits::Blocked { blocked, .. } => {
            blocked.stop();
            match sub.parked.remove(key).map(|entry| entry.waits) {
                Some(Waits::Blocked { req, .. }) => Some(req),
                _ => None,
            }
        }
        Waits::Time { .. } | Waits::LinkTime { .. } => crate::timeout::disarm(sub, key),
    };
    let mut req = req.ok_or(Errno::ENOENT)?;
    req.result = Some(Errno::ECANCELED.as_result());
    sub.ready.push_back(req);
    Ok(count)
}
