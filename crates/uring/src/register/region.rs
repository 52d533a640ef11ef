//! `IORING_REGISTER_MEM_REGION`: memory for the arguments of waits, the program's own or mapped
//! from the ring.

use super::buffers::check_mapped;
use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::shm::Shm;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Host, plain};

/// Where a region that is not the program's is mapped from, and the room there, bytes.
const OFFSET: u64 = 0x2000_0000;
const ROOM: u64 = IORING_OFF_PBUF_RING - OFFSET;

/// A registered region.
#[derive(Debug)]
pub(super) struct Region {
    memory: Memory,
    /// It holds the arguments of waits.
    for_waits: bool,
}

#[derive(Debug)]
enum Memory {
    /// The program's: its address and length, bytes.
    Program(u64, u64),
    /// The ring's.
    Ring(Shm),
}

impl Region {
    /// The argument of a wait at `offset`.
    ///
    /// # Errors
    /// `EFAULT` if it does not lie inside.
    pub(super) fn wait_argument<H: Host>(&self, host: &H, offset: u64) -> Result<RegWait> {
        let len = match &self.memory {
            Memory::Program(_, len) => *len,
            Memory::Ring(shm) => shm.len() as u64,
        };
        let end = offset.checked_add(size_of::<RegWait>() as u64).ok_or(Errno::EFAULT)?;
        if !self.for_waits || end > len || !offset.is_multiple_of(8) {
            return Err(Errno::EFAULT);
        }
        match &self.memory {
            Memory::Program(addr, _) => plain::read(host, addr + offset),
            Memory::Ring(shm) => Ok(shm.read(offset as usize)),
        }
    }
}

/// Checks a description, and makes or takes the memory.
fn memory<H: Host>(ring: &Ring<H>, what: &mut RegionDesc) -> Result<Memory> {
    if what.resv != [0; 4] || what.flags & !IORING_MEM_REGION_TYPE_USER != 0 {
        return Err(Errno::EINVAL);
    }
    let is_program = what.flags & IORING_MEM_REGION_TYPE_USER != 0;
    if is_program != (what.user_addr != 0) {
        return Err(Errno::EFAULT);
    }
    if what.size == 0 || what.mmap_offset != 0 || what.id != 0 {
        return Err(Errno::EINVAL);
    }
    if what.size >> 12 > i32::MAX as u64 {
        return Err(Errno::from_raw(libc::E2BIG));
    }
    if !(what.user_addr | what.size).is_multiple_of(4096) {
        return Err(Errno::EINVAL);
    }
    what.user_addr.checked_add(what.size).ok_or(Errno::EOVERFLOW)?;
    if is_program {
        check_mapped(&ring.host, what.user_addr, what.size)?;
        return Ok(Memory::Program(what.user_addr, what.size));
    }
    if what.size > ROOM {
        return Err(Errno::ENOMEM);
    }
    what.mmap_offset = OFFSET;
    ring.map_more(OFFSET, what.size as usize).map(Memory::Ring)
}

pub(super) fn register<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr != 1 {
        return Err(Errno::EINVAL);
    }
    if sub.registered.region.is_some() {
        return Err(Errno::EBUSY);
    }
    let outer: MemRegionReg = plain::read(&ring.host, arg)?;
    let mut what: RegionDesc = plain::read(&ring.host, outer.region_uptr)?;
    if outer.resv != [0; 2] || outer.flags & !IORING_MEM_REGION_REG_WAIT_ARG != 0 {
        return Err(Errno::EINVAL);
    }
    let for_waits = outer.flags & IORING_MEM_REGION_REG_WAIT_ARG != 0;
    if for_waits && !ring.disabled.load(Ordering::Acquire) {
        return Err(Errno::EINVAL);
    }
    let memory = memory(ring, &mut what)?;
    plain::write(&ring.host, outer.region_uptr, &what)?;
    sub.registered.region = Some(Region { memory, for_waits });
    Ok(0)
}
