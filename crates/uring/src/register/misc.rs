//! Eventfd, probe, restrictions, enabling, worker settings, the clock of waits.

use crate::homes::Cpus;
use crate::opdef::Table as Ops;
use crate::ring::{EventFd, Ring};
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Clock, Host, calls, plain};

/// Most rows of a probe, and most restrictions.
const ROWS_MAX: u32 = 256;

/// What a restricted ring may do.
#[derive(Clone, Debug)]
pub(super) struct Restrictions {
    register: [bool; 64],
    ops: [bool; 256],
    flags_allowed: u8,
    flags_required: u8,
    /// Only what is listed of each kind is allowed, if any of the kind is.
    sqe_listed: bool,
    register_listed: bool,
}

impl Restrictions {
    pub(super) fn check_sqe(&self, sqe: &Sqe) -> Result<()> {
        if !self.sqe_listed {
            return Ok(());
        }
        let required = self.flags_required;
        let allowed = self.ops[usize::from(sqe.opcode)]
            && sqe.flags & required == required
            && sqe.flags & !(self.flags_allowed | required) == 0;
        if allowed { Ok(()) } else { Err(Errno::EACCES) }
    }

    pub(super) fn check_register(&self, op: RegisterOp) -> Result<()> {
        if !self.register_listed || self.register[op as usize % 64] {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }
}

pub(super) fn restrictions<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if !ring.disabled.load(Ordering::Acquire) {
        return Err(Errno::EBADFD);
    }
    if sub.registered.restrictions.is_some() {
        return Err(Errno::EBUSY);
    }
    if arg == 0 || nr > ROWS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut new = Restrictions {
        register: [false; 64],
        ops: [false; 256],
        flags_allowed: 0,
        flags_required: 0,
        sqe_listed: false,
        register_listed: false,
    };
    for index in 0..nr {
        let row: Restriction = plain::read_at(&ring.host, arg, u64::from(index))?;
        add_restriction(&mut new, &row)?;
    }
    if nr == 0 {
        // An empty list forbids everything.
        (new.sqe_listed, new.register_listed) = (true, true);
    }
    sub.registered.restrictions = Some(new);
    Ok(0)
}

fn add_restriction(new: &mut Restrictions, row: &Restriction) -> Result<()> {
    match row.opcode {
        IORING_RESTRICTION_REGISTER_OP => {
            let op = RegisterOp::from_code(u32::from(row.value)).ok_or(Errno::EINVAL)?;
            new.register[op as usize % 64] = true;
        }
        IORING_RESTRICTION_SQE_OP => {
            Op::from_code(row.value).ok_or(Errno::EINVAL)?;
            new.ops[usize::from(row.value)] = true;
        }
        IORING_RESTRICTION_SQE_FLAGS_ALLOWED => new.flags_allowed = row.value,
        IORING_RESTRICTION_SQE_FLAGS_REQUIRED => new.flags_required = row.value,
        _ => return Err(Errno::EINVAL),
    }
    // One kind listed restricts the other too.
    (new.sqe_listed, new.register_listed) = (true, true);
    Ok(())
}

pub(super) fn enable_rings<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg != 0 || nr != 0 {
        return Err(Errno::EINVAL);
    }
    if !ring.disabled.load(Ordering::Acquire) {
        return Err(Errno::EBADFD);
    }
    if ring.has(IORING_SETUP_SINGLE_ISSUER) && ring.owner.load(Ordering::Acquire) == 0 {
        ring.owner.store(ring.host.thread_id(), Ordering::Release);
    }
    sub.registered.restricted = sub.registered.restrictions.is_some();
    ring.disabled.store(false, Ordering::Release);
    Ok(0)
}

fn set_eventfd<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    (arg, nr): (u64, u32),
    only_async: bool,
) -> Result<u32> {
    if nr != 1 {
        return Err(Errno::EINVAL);
    }
    let fd: i32 = plain::read(&ring.host, arg)?;
    let mut eventfd = ring.eventfd.lock();
    if eventfd.is_some() {
        return Err(Errno::EBUSY);
    }
    let kept = calls::dup_private(&ring.host, fd)?;
    if !is_eventfd(&ring.host, kept) {
        let _ = calls::close(&ring.host, kept);
        return Err(Errno::EINVAL);
    }
    *eventfd = Some(EventFd { fd: kept, only_async });
    drop(eventfd);
    crate::ops::poll::note_bells(&ring.host, sub, kept);
    ring.announces.store(true, Ordering::Release);
    Ok(0)
}

/// Whether a descriptor is an eventfd: by its name in /proc, and without that by a write of 0,
/// which an eventfd takes and which changes nothing there.
pub(crate) fn is_eventfd<H: Host>(host: &H, fd: i32) -> bool {
    let path = format!("/proc/self/fd/{fd}\0");
    let mut name = [0u8; 32];
    let args = [path.as_ptr() as u64, name.as_mut_ptr() as u64, name.len() as u64, 0, 0, 0];
    match host.syscall(libc::SYS_readlink, args) {
        Ok(len) => name[..len as usize].starts_with(b"anon_inode:[eventfd"),
        Err(_) => {
            let zero = 0u64;
            calls::write(host, fd, std::ptr::from_ref(&zero) as u64, 8) == Ok(8)
        }
    }
}

pub(super) fn eventfd<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    set_eventfd(ring, sub, (arg, nr), false)
}

pub(super) fn eventfd_async<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    set_eventfd(ring, sub, (arg, nr), true)
}

pub(super) fn unregister_eventfd<H: Host>(
    ring: &Arc<Ring<H>>,
    _: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg != 0 || nr != 0 {
        return Err(Errno::EINVAL);
    }
    let old = ring.eventfd.lock().take().ok_or(Errno::ENXIO)?;
    let _ = calls::close(&ring.host, old.fd);
    Ok(0)
}

pub(super) fn probe<H: Host>(
    ring: &Arc<Ring<H>>,
    _: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr > ROWS_MAX {
        return Err(Errno::EINVAL);
    }
    let rows = nr.min(Op::COUNT as u32);
    let asked: Probe = plain::read(&ring.host, arg)?;
    if asked != Probe::default() {
        return Err(Errno::EINVAL);
    }
    let head_len = size_of::<Probe>() as u64;
    for index in 0..nr {
        let row: ProbeOp =
            plain::read_at(&ring.host, arg.wrapping_add(head_len), u64::from(index))?;
        if row != ProbeOp::default() {
            return Err(Errno::EINVAL);
        }
    }
    let head = Probe { last_op: (Op::COUNT - 1) as u8, ops_len: rows as u8, ..Probe::default() };
    plain::write(&ring.host, arg, &head)?;
    for op in 0..rows as u8 {
        let flags = if Ops::<H>::get(op).is_some() { IO_URING_OP_SUPPORTED as u16 } else { 0 };
        let at = arg + head_len + u64::from(op) * size_of::<ProbeOp>() as u64;
        plain::write(&ring.host, at, &ProbeOp { op, flags, ..ProbeOp::default() })?;
    }
    Ok(0)
}

pub(super) fn iowq_affinity<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr == 0 {
        return Err(Errno::EINVAL);
    }
    // Processors that are not there are no error.
    let mut bytes = [0u8; size_of::<Cpus>()];
    let len = bytes.len().min(nr as usize);
    ring.host.copy_in(arg, &mut bytes[..len])?;
    let mut cpus: Cpus = [0; 16];
    for (word, bytes) in cpus.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
    }
    sub.registered.worker_cpus = Some(Arc::new(cpus));
    Ok(0)
}

pub(super) fn unregister_iowq_affinity<H: Host>(
    _: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg != 0 || nr != 0 {
        return Err(Errno::EINVAL);
    }
    sub.registered.worker_cpus = None;
    Ok(0)
}

pub(super) fn iowq_max_workers<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr != 2 {
        return Err(Errno::EINVAL);
    }
    let wanted: [u32; 2] = plain::read(&ring.host, arg)?;
    if wanted.iter().any(|limit| *limit > i32::MAX as u32) {
        return Err(Errno::EINVAL);
    }
    let before = ring.shared.pools.set_limits(wanted);
    sub.registered.iowq_limits = wanted;
    plain::write(&ring.host, arg, &before)?;
    Ok(0)
}

pub(super) fn clock<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr != 0 {
        return Err(Errno::EINVAL);
    }
    let what: ClockRegister = plain::read(&ring.host, arg)?;
    if what.resv != [0; 3] {
        return Err(Errno::EINVAL);
    }
    sub.registered.clock = match what.clockid as i32 {
        libc::CLOCK_MONOTONIC => Clock::Monotonic,
        libc::CLOCK_BOOTTIME => Clock::Boottime,
        _ => return Err(Errno::EINVAL),
    };
    Ok(0)
}
