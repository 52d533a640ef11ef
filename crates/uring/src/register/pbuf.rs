//! Rings of provided buffers.

use crate::kbuf::BufRing;
use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::shm::Shm;
use ringfence_host::sync::Arc;
use ringfence_host::{Host, plain};

const ENTRIES_MAX: u32 = 1 << 15;

pub(super) fn register<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if nr != 1 {
        return Err(Errno::EINVAL);
    }
    let reg: BufReg = plain::read(&ring.host, arg)?;
    let mapped = reg.flags & IOU_PBUF_RING_MMAP != 0;
    let known = IOU_PBUF_RING_MMAP | IOU_PBUF_RING_INC;
    if !reg.ring_entries.is_power_of_two() || reg.ring_entries > ENTRIES_MAX {
        return Err(Errno::EINVAL);
    }
    if reg.resv != [0; 5] || reg.flags & !known != 0 || mapped == (reg.ring_addr != 0) {
        return Err(if !mapped && reg.ring_addr == 0 { Errno::EFAULT } else { Errno::EINVAL });
    }
    if !mapped && !reg.ring_addr.is_multiple_of(4096) {
        return Err(Errno::EINVAL);
    }
    sub.registered.groups.check_free(reg.bgid)?;
    let len = reg.ring_entries as usize * size_of::<Buf>();
    let shm = if mapped {
        let offset = IORING_OFF_PBUF_RING + (u64::from(reg.bgid) << IORING_OFF_PBUF_SHIFT);
        ring.map_more(offset, len.next_multiple_of(4096))?
    } else {
        check_program_ring(&ring.host, reg.ring_addr, len)?;
        Shm::of_program(reg.ring_addr, len)
    };
    let incremental = reg.flags & IOU_PBUF_RING_INC != 0;
    let buffers = BufRing::new(shm, reg.ring_entries, incremental, reg.min_left);
    sub.registered.groups.insert_ring(reg.bgid, buffers);
    Ok(0)
}

/// The program's ring must be there in full: its first and last bytes are read and written.
fn check_program_ring<H: Host>(host: &H, addr: u64, len: usize) -> Result<()> {
    let args = [addr, (len as u64).next_multiple_of(4096), 23, 0, 0, 0];
    match host.syscall(libc::SYS_madvise, args) {
        Ok(_) | Err(Errno::EINVAL | Errno::ENOSYS) => Ok(()),
        Err(_) => Err(Errno::EFAULT),
    }
}

pub(super) fn unregister<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if nr != 1 {
        return Err(Errno::EINVAL);
    }
    let reg: BufReg = plain::read(&ring.host, arg)?;
    if reg.resv != [0; 5] || reg.flags != 0 {
        return Err(Errno::EINVAL);
    }
    sub.registered.groups.remove_ring(reg.bgid)?;
    Ok(0)
}

pub(super) fn status<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if nr != 1 {
        return Err(Errno::EINVAL);
    }
    let mut status: BufStatus = plain::read(&ring.host, arg)?;
    if status.resv != [0; 8] {
        return Err(Errno::EINVAL);
    }
    status.head = u32::from(sub.registered.groups.ring(status.buf_group as u16)?.head());
    plain::write(&ring.host, arg, &status)?;
    Ok(0)
}
