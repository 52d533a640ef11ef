//! Personalities: credentials kept for requests.
//!
//! Credentials are a thread's. What is registered is what the thread had: its effective ids and
//! its groups. A request with a personality that is what its thread has anyway is made as any
//! other; for another the thread takes the personality on for the length of the call, by system
//! calls that concern itself alone, and gives it back. It can do so as far as its real and saved
//! ids allow, as after `seteuid`; where they do not, the request is refused with `EPERM`.
//! Capabilities follow from the ids, as they do for every change of them.

use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_host::calls::addr_mut;
use ringfence_host::sync::Arc;
use std::collections::BTreeMap;

/// Most groups of a thread.
const GROUPS_MAX: usize = 65_536;

/// An id that stays as it is.
const SAME: u64 = u32::MAX as u64;

/// A thread's credentials.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    /// A thread that may not take them on makes the call as it is: nobody asked for them by name.
    or_own: bool,
}

/// A thread's real, effective and saved ids, by the call that tells them.
fn ids_of<H: Host>(host: &H, number: i64) -> Result<[u32; 3]> {
    let mut ids = [0_u32; 3];
    let [real, effective, saved] = &mut ids;
    host.syscall(number, [addr_mut(real), addr_mut(effective), addr_mut(saved), 0, 0, 0])?;
    Ok(ids)
}

impl Credentials {
    /// Those of the calling thread, where a process may come to have others: as root does, and one
    /// with several ids.
    pub(crate) fn that_may_change<H: Host>(host: &H) -> Option<Arc<Credentials>> {
        let may_change =
            |number| ids_of(host, number).is_ok_and(|ids| ids.contains(&0) || ids != [ids[0]; 3]);
        let may = may_change(libc::SYS_getresuid) || may_change(libc::SYS_getresgid);
        if may { Credentials::of_caller(host) } else { None }
    }

    /// Those of the calling thread, to be shared.
    pub(crate) fn of_caller<H: Host>(host: &H) -> Option<Arc<Credentials>> {
        let current = Credentials::current(host).ok()?;
        Some(Arc::new(Credentials { or_own: true, ..current }))
    }

    /// Whether the calling thread has another user or group, and may take these on.
    pub(crate) fn were_callers<H: Host>(&self, host: &H) -> bool {
        let is = |number, id| host.syscall(number, [0; 6]) == Ok(u64::from(id));
        if is(libc::SYS_geteuid, self.uid) && is(libc::SYS_getegid, self.gid) {
            return false;
        }
        let users = ids_of(host, libc::SYS_getresuid).unwrap_or_default();
        let groups = ids_of(host, libc::SYS_getresgid).unwrap_or_default();
        users.contains(&0) || users.contains(&self.uid) && groups.contains(&self.gid)
    }

    fn is(&self, other: &Credentials) -> bool {
        (self.uid, self.gid, &self.groups) == (other.uid, other.gid, &other.groups)
    }

    /// Those of the calling thread.
    fn current<H: Host>(host: &H) -> Result<Credentials> {
        let effective = |number| ids_of(host, number).map(|ids| ids[1]);
        let count = host.syscall(libc::SYS_getgroups, [0; 6])? as usize;
        let mut groups = vec![0_u32; count.min(GROUPS_MAX)];
        let at = groups.as_mut_ptr() as u64;
        host.syscall(libc::SYS_getgroups, [groups.len() as u64, at, 0, 0, 0, 0])?;
        let (uid, gid) = (effective(libc::SYS_getresuid)?, effective(libc::SYS_getresgid)?);
        Ok(Credentials { uid, gid, groups, or_own: false })
    }

    /// Makes them those of the calling thread.
    fn take_on<H: Host>(&self, host: &H) -> Result<()> {
        let set = |number, id: u32| host.syscall(number, [SAME, u64::from(id), SAME, 0, 0, 0]);
        // The right to the rest comes first, if it can be had, and the user last.
        let _ = set(libc::SYS_setresuid, 0);
        let at = self.groups.as_ptr() as u64;
        let _ = host.syscall(libc::SYS_setgroups, [self.groups.len() as u64, at, 0, 0, 0, 0]);
        let _ = set(libc::SYS_setresgid, self.gid);
        let _ = set(libc::SYS_setresuid, self.uid);
        if Self::current(host)?.is(self) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Makes `call` with them.
    ///
    /// # Errors
    /// `EPERM` if the thread may not take them on.
    pub(crate) fn during<H: Host, T>(&self, host: &H, call: impl FnOnce() -> T) -> Result<T> {
        let before = Self::current(host)?;
        if before.is(self) {
            return Ok(call());
        }
        let taken = self.take_on(host);
        if taken.is_err() && self.or_own {
            before.take_on(host)?;
            return Ok(call());
        }
        let result = taken.map(|()| call());
        before.take_on(host)?;
        result
    }
}

/// The personalities of a ring, by id.
#[derive(Debug, Default)]
pub(crate) struct Personalities {
    known: BTreeMap<u16, Arc<Credentials>>,
    last: u16,
}

impl Personalities {
    /// The credentials of an id.
    ///
    /// # Errors
    /// `EINVAL` if there are none.
    pub(crate) fn get(&self, id: u16) -> Result<Arc<Credentials>> {
        self.known.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// The next id that is free, after the last that was given.
    fn next_id(&self) -> Option<u16> {
        let (before, after) = (1..=self.last, self.last.saturating_add(1)..=u16::MAX);
        after.chain(before).find(|id| *id != 0 && !self.known.contains_key(id))
    }
}

pub(super) fn register<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg != 0 || nr != 0 {
        return Err(Errno::EINVAL);
    }
    let personalities = &mut sub.registered.personalities;
    let id = personalities.next_id().ok_or(Errno::EBUSY)?;
    personalities.known.insert(id, Arc::new(Credentials::current(&ring.host)?));
    personalities.last = id;
    Ok(u32::from(id))
}

pub(super) fn unregister<H: Host>(
    _: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg != 0 {
        return Err(Errno::EINVAL);
    }
    let id = u16::try_from(nr).map_err(|_| Errno::EINVAL)?;
    sub.registered.personalities.known.remove(&id).map(|_| 0).ok_or(Errno::EINVAL)
}
