//! epoll, poll and select on a ring's descriptor, which is a memfd and cannot be polled itself.
#![expect(unsafe_code, reason = "stands before libc's functions")]

use super::signals::open_mask;
use crate::lock::ForkLock;
use crate::window::{Inside, from_program};
use crate::{backend, raw, real};
use libc::{c_int, epoll_event, fd_set, nfds_t, pollfd, sigset_t, timespec, timeval};
use std::ffi::c_uint;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Which epoll descriptors watch which rings. Locked only while the thread is inside.
static WATCHES: ForkLock<Vec<(c_int, c_int)>> = ForkLock::new(Vec::new());

/// How many watches there are, to pass quickly where there are none.
static WATCH_COUNT: AtomicUsize = AtomicUsize::new(0);

fn concerned() -> bool {
    backend::any_ring() && from_program()
}

fn change_watches(change: impl FnOnce(&mut Vec<(c_int, c_int)>)) {
    let mut watches = WATCHES.lock();
    change(&mut watches);
    WATCH_COUNT.store(watches.len(), Relaxed);
}

/// Before a fork: nobody is in the middle of a change.
pub(crate) fn hold_watches() {
    WATCHES.hold();
}

/// After it, in parent and child.
pub(crate) fn release_watches() {
    WATCHES.release();
}

/// Forgets watches of descriptors that are being closed; the thread is inside.
pub(super) fn forget(first: c_uint, last: c_uint) {
    if WATCH_COUNT.load(Relaxed) != 0 {
        let closing = |fd: c_int| (first..=last).contains(&(fd as c_uint));
        change_watches(|watches| watches.retain(|&(ep, ring)| !closing(ep) && !closing(ring)));
    }
}

/// Lets the rings that `epfd` watches bring their readiness up to date.
fn attend_watched(epfd: c_int) {
    if WATCH_COUNT.load(Relaxed) == 0 || !from_program() {
        return;
    }
    let _inside = Inside::enter();
    let watches = WATCHES.lock();
    for &(ep, ring) in watches.iter() {
        if ep == epfd {
            backend::attend(ring);
        }
    }
}

/// `epoll_ctl`.
///
/// # Safety
/// As `epoll_ctl(2)`.
pub unsafe extern "C-unwind" fn epoll_ctl(
    epfd: c_int,
    op: c_int,
    fd: c_int,
    event: *mut epoll_event,
) -> c_int {
    let stand_in = if concerned() {
        let _inside = Inside::enter();
        backend::poll_fd(fd)
    } else {
        None
    };
    // SAFETY: the program's call, on the descriptor that stands for the ring.
    let result = unsafe { real::epoll_ctl(epfd, op, stand_in.unwrap_or(fd), event) };
    if stand_in.is_some() && result == 0 {
        let _inside = Inside::enter();
        match op {
            libc::EPOLL_CTL_ADD => change_watches(|watches| watches.push((epfd, fd))),
            libc::EPOLL_CTL_DEL => change_watches(|watches| watches.retain(|w| *w != (epfd, fd))),
            _ => {}
        }
    }
    result
}

/// `epoll_wait`.
///
/// # Safety
/// As `epoll_wait(2)`.
pub unsafe extern "C-unwind" fn epoll_wait(
    epfd: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: c_int,
) -> c_int {
    attend_watched(epfd);
    // SAFETY: the program's call.
    unsafe { real::epoll_wait(epfd, events, room, timeout) }
}

/// `epoll_pwait`.
///
/// # Safety
/// As `epoll_pwait(2)`.
pub unsafe extern "C-unwind" fn epoll_pwait(
    epfd: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> c_int {
    attend_watched(epfd);
    // SAFETY: the program's call, with a copy of its mask.
    unsafe {
        let open = open_mask(mask);
        let mask = open.as_ref().map_or(mask, std::ptr::from_ref);
        real::epoll_pwait(epfd, events, room, timeout, mask)
    }
}

/// `epoll_pwait2`.
///
/// # Safety
/// As `epoll_pwait2(2)`.
pub unsafe extern "C-unwind" fn epoll_pwait2(
    epfd: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    attend_watched(epfd);
    // SAFETY: the program's call, with a copy of its mask.
    unsafe {
        let open = open_mask(mask);
        let mask = open.as_ref().map_or(mask, std::ptr::from_ref);
        real::epoll_pwait2(epfd, events, room, timeout, mask)
    }
}

/// The entries with rings replaced by what can be polled; None if there is no ring among them.
///
/// # Safety
/// `fds` must be `count` entries.
unsafe fn replaced(fds: *mut pollfd, count: nfds_t) -> Option<Vec<pollfd>> {
    if !concerned() || fds.is_null() {
        return None;
    }
    let _inside = Inside::enter();
    // SAFETY: the caller's promise.
    let entries = unsafe { std::slice::from_raw_parts(fds, count as usize) };
    let first = entries.iter().position(|entry| backend::is_ring(entry.fd))?;
    let mut copy = entries.to_vec();
    for entry in &mut copy[first..] {
        if let Some(stand_in) = backend::poll_fd(entry.fd) {
            backend::attend(entry.fd);
            entry.events = backend::pollable(entry.fd, entry.events);
            entry.fd = stand_in;
        }
    }
    Some(copy)
}

/// `poll`.
///
/// # Safety
/// As `poll(2)`.
pub unsafe extern "C-unwind" fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    // SAFETY: the program's call; the copy has as many entries.
    unsafe {
        let Some(mut copy) = replaced(fds, count) else {
            return real::poll(fds, count, timeout);
        };
        let result = real::poll(copy.as_mut_ptr(), count, timeout);
        copy_back(fds, copy);
        result
    }
}

/// `ppoll`.
///
/// # Safety
/// As `ppoll(2)`.
pub unsafe extern "C-unwind" fn ppoll(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the program's call, with a copy of its mask; the copy has as many entries.
    unsafe {
        let open = open_mask(mask);
        let mask = open.as_ref().map_or(mask, std::ptr::from_ref);
        let Some(mut copy) = replaced(fds, count) else {
            return real::ppoll(fds, count, timeout, mask);
        };
        let result = real::ppoll(copy.as_mut_ptr(), count, timeout, mask);
        copy_back(fds, copy);
        result
    }
}

/// # Safety
/// `fds` must have as many entries as `copy`.
unsafe fn copy_back(fds: *mut pollfd, copy: Vec<pollfd>) {
    for (index, entry) in copy.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { (*fds.add(index)).revents = entry.revents };
    }
    // It is freed inside.
    let _inside = Inside::enter();
    drop(copy);
}

/// `poll` of programs built with `_FORTIFY_SOURCE`; `room` is what the compiler knows of `fds`.
///
/// # Safety
/// As `poll(2)`.
pub unsafe extern "C-unwind" fn __poll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: c_int,
    room: usize,
) -> c_int {
    check_room(count, room);
    // SAFETY: the program's call.
    unsafe { poll(fds, count, timeout) }
}

/// `ppoll` of such programs.
///
/// # Safety
/// As `ppoll(2)`.
pub unsafe extern "C-unwind" fn __ppoll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
    room: usize,
) -> c_int {
    check_room(count, room);
    // SAFETY: the program's call.
    unsafe { ppoll(fds, count, timeout, mask) }
}

fn check_room(count: nfds_t, room: usize) {
    if (room / size_of::<pollfd>()) < count as usize {
        raw::complain("*** buffer overflow detected ***: poll");
        std::process::abort();
    }
}

/// The sets of a `select`, and which `poll` events stand for each.
const SETS: [i16; 3] =
    [libc::POLLIN | libc::POLLHUP | libc::POLLERR, libc::POLLOUT | libc::POLLERR, libc::POLLPRI];
const ASKED: [i16; 3] = [libc::POLLIN, libc::POLLOUT, libc::POLLPRI];

/// A `select` among whose descriptors is a ring, as entries of a `poll`.
struct Selected {
    sets: [*mut u64; 3],
    words: usize,
    entries: Vec<pollfd>,
    fds: Vec<c_int>,
}

/// Reads the sets; None if no ring is among them.
///
/// # Safety
/// The sets must be null or hold `count` bits.
unsafe fn selected(count: c_int, sets: [*mut fd_set; 3]) -> Option<Selected> {
    if !concerned() || count <= 0 {
        return None;
    }
    let _inside = Inside::enter();
    let words = (count as usize).div_ceil(64);
    let sets = sets.map(<*mut fd_set>::cast::<u64>);
    let mut call = Selected { sets, words, entries: Vec::new(), fds: Vec::new() };
    let mut rings = false;
    for fd in 0..count {
        let mut events = 0;
        for (set, asked) in sets.iter().zip(ASKED) {
            // SAFETY: the caller's promise.
            if !set.is_null() && unsafe { *set.add(fd as usize / 64) } >> (fd % 64) & 1 != 0 {
                events |= asked;
            }
        }
        if events != 0 {
            let stand_in = backend::poll_fd(fd);
            if stand_in.is_some() {
                backend::attend(fd);
                events = backend::pollable(fd, events);
                rings = true;
            }
            call.entries.push(pollfd { fd: stand_in.unwrap_or(fd), events, revents: 0 });
            call.fds.push(fd);
        }
    }
    rings.then_some(call)
}

impl Selected {
    /// Waits, and writes the sets.
    ///
    /// # Safety
    /// As for `selected`, and as `ppoll(2)`.
    unsafe fn run(mut self, timeout: *const timespec, mask: *const sigset_t) -> c_int {
        let (at, count) = (self.entries.as_mut_ptr(), self.entries.len() as nfds_t);
        // SAFETY: the entries are ours; the rest is the program's.
        let result = unsafe { real::ppoll(at, count, timeout, mask) };
        // What was allocated is freed inside.
        let _inside = Inside::enter();
        let call = self;
        if result < 0 {
            return result;
        }
        if call.entries.iter().any(|entry| entry.revents & libc::POLLNVAL != 0) {
            raw::set_errno(libc::EBADF);
            return -1;
        }
        let mut ready = 0;
        for (set, (meaning, asked)) in call.sets.iter().zip(SETS.iter().zip(ASKED)) {
            if set.is_null() {
                continue;
            }
            let mut bits = vec![0u64; call.words];
            for (entry, &fd) in call.entries.iter().zip(&call.fds) {
                if entry.events & asked != 0 && entry.revents & meaning != 0 {
                    bits[fd as usize / 64] |= 1 << (fd % 64);
                    ready += 1;
                }
            }
            // SAFETY: the set holds as many bits as `count` said.
            unsafe { std::ptr::copy_nonoverlapping(bits.as_ptr(), *set, call.words) };
        }
        ready
    }
}

/// `select`.
///
/// # Safety
/// As `select(2)`.
pub unsafe extern "C-unwind" fn select(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    // SAFETY: the program's call.
    unsafe {
        let Some(call) = selected(count, [read, write, except]) else {
            return real::select(count, read, write, except, timeout);
        };
        let limit = timeout
            .as_ref()
            .map(|time| timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * 1000 });
        call.run(limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref), std::ptr::null())
    }
}

/// `pselect`.
///
/// # Safety
/// As `pselect(2)`.
pub unsafe extern "C-unwind" fn pselect(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the program's call, with a copy of its mask.
    unsafe {
        let open = open_mask(mask);
        let mask = open.as_ref().map_or(mask, std::ptr::from_ref);
        match selected(count, [read, write, except]) {
            Some(call) => call.run(timeout, mask),
            None => real::pselect(count, read, write, except, timeout, mask),
        }
    }
}
