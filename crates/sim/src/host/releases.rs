//! What tells of rings that the program has let go of: an instance of inotify for each host, so that
//! runs side by side do not take each other's events.
//!
//! A user has few instances, and to close one takes the kernel ten milliseconds, more than most runs.
//! So they are lent: a host gives its own back when its run is over, however that came, and the next
//! one goes on with it.

use crate::thread;
use ringfence_host::{Host, Os, calls};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Instances that nobody uses, each with the process that made it: a forked child has its parent's
/// descriptors, and would take its parent's events.
static IDLE: Mutex<Vec<(u32, i32)>> = Mutex::new(Vec::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An instance, as it was never used; none if the user has as many as may be.
fn borrow() -> Option<i32> {
    let mut idle = locked(&IDLE);
    let process = std::process::id();
    if let Some(index) = idle.iter().rposition(|(owner, _)| *owner == process) {
        return Some(idle.swap_remove(index).1);
    }
    drop(idle);
    let flags = libc::IN_NONBLOCK | libc::IN_CLOEXEC;
    let made = Os.syscall(libc::SYS_inotify_init1, [flags as u64, 0, 0, 0, 0, 0]);
    made.map(|fd| calls::make_private(&Os, fd as i32)).ok()
}

/// The watches of one host.
#[derive(Debug, Default)]
pub(super) struct Releases(Mutex<Lent>);

#[derive(Debug, Default)]
struct Lent {
    fd: Option<i32>,
    watches: Vec<i32>,
}

impl Releases {
    /// The descriptor that tells; borrowed with the first use.
    pub(super) fn fd(self: &Arc<Self>) -> Option<i32> {
        let mut lent = locked(&self.0);
        if lent.fd.is_none() {
            lent.fd = borrow();
            let lender = Arc::clone(self);
            thread::at_end(move || lender.give_back());
        }
        lent.fd
    }

    /// The same, if there is one already.
    pub(super) fn known_fd(&self) -> Option<i32> {
        locked(&self.0).fd
    }

    /// Watches for the release of a ring's memory by its last descriptor and mapping; -1 if that
    /// cannot be watched.
    pub(super) fn watch(self: &Arc<Self>, memory: i32) -> i32 {
        let Some(fd) = self.fd() else { return -1 };
        let path = format!("/proc/self/fd/{memory}\0");
        let args = [fd as u64, path.as_ptr() as u64, u64::from(libc::IN_CLOSE), 0, 0, 0];
        let Ok(watch) = Os.syscall(libc::SYS_inotify_add_watch, args) else { return -1 };
        locked(&self.0).watches.push(watch as i32);
        watch as i32
    }

    /// Takes the watches that fired.
    pub(super) fn take(&self, out: &mut Vec<i32>) {
        if let Some(fd) = self.known_fd() {
            drain(fd, out);
        }
    }

    /// Gives the instance back as it came.
    fn give_back(&self) {
        let Lent { fd: Some(fd), watches } = std::mem::take(&mut *locked(&self.0)) else { return };
        for watch in watches {
            // Those of memory that is gone are gone with it.
            let args = [fd as u64, watch as u64, 0, 0, 0, 0];
            let _ = Os.syscall(libc::SYS_inotify_rm_watch, args);
        }
        drain(fd, &mut Vec::new());
        locked(&IDLE).push((std::process::id(), fd));
    }
}

impl Drop for Releases {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Takes the watches that fired out of an instance.
fn drain(fd: i32, out: &mut Vec<i32>) {
    // Events of a watch without names are 16 bytes each.
    let mut buffer = [[0i32; 4]; 64];
    while let Ok(got) = calls::read(&Os, fd, calls::addr_mut(&mut buffer), size_of_val(&buffer)) {
        let events = &buffer[..got / 16];
        let closed = events.iter().filter(|event| event[1] as u32 & libc::IN_CLOSE != 0);
        out.extend(closed.map(|event| event[0]));
    }
}
