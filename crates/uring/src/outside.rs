//! What a ring's descriptor is to calls that are not io_uring's: where it is mapped, and what `poll`
//! sees of it. Interception asks before it makes such a call of the program's.

use crate::engine::Engine;
use ringfence_abi::*;
use ringfence_host::Host;

impl<H: Host> Engine<H> {
    /// Where a mapping of `fd` at `offset` is to be made; the same place, unless it is a ring.
    ///
    /// # Errors
    /// `EINVAL` for an offset at which a ring has nothing.
    pub fn map_offset(&self, fd: i32, offset: u64) -> Result<u64> {
        // Where a ring's memory begins, and above its buffer rings, there is nothing to be told.
        if offset == IORING_OFF_SQ_RING || offset >= IORING_OFF_PBUF_RING || self.ring(fd).is_none()
        {
            return Ok(offset);
        }
        match offset & IORING_OFF_MMAP_MASK {
            // The CQ ring is in one piece of memory with the SQ ring.
            IORING_OFF_CQ_RING => Ok(offset - IORING_OFF_CQ_RING),
            IORING_OFF_SQ_RING | IORING_OFF_SQES | REGION | ZERO_COPY_REGION => Ok(offset),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Those of the `POLL*` bits that a ring's poll descriptor can tell of now: a ring is not writable
    /// while its submission queue is full, which an eventfd cannot say.
    pub fn pollable(&self, fd: i32, events: i16) -> i16 {
        match self.ring(fd) {
            Some(ring) if ring.sq_is_full() => events & !(libc::POLLOUT | libc::POLLWRNORM),
            _ => events,
        }
    }
}

/// Where registered regions are mapped, and those of zero-copy receive.
const REGION: u64 = 0x2000_0000;
const ZERO_COPY_REGION: u64 = 0x3000_0000;
