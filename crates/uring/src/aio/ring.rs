//! The memory of a context: a header and events, as the kernel lays them out.

use crate::cq::Entry;
use ringfence_abi::*;
use ringfence_host::shm::Shm;
use ringfence_host::words::Words;
use std::mem::offset_of;

const PAGE: u64 = 4096;
const HEADER: u64 = size_of::<AioRing>() as u64;
const EVENT: u64 = size_of::<IoEvent>() as u64;

/// The kernel's bound on events.
const EVENTS_MAX: u32 = 0x1000_0000 / EVENT as u32;

// Head and tail stand where those of io_uring's completion queue do, so that the queue need not
// know which of both it is.
const _: () = assert!(offset_of!(AioRing, head) == layout::CQ_HEAD as usize);
const _: () = assert!(offset_of!(AioRing, tail) == layout::CQ_TAIL as usize);

/// How many events a ring for `asked` requests has, and its length in bytes.
///
/// Twice as many as asked for, for the kernel counts places out to CPUs in batches, and then as
/// many as fit into the pages that takes.
///
/// # Errors
/// `EINVAL` for more than there may be; `EAGAIN` where twice as many are 0 again.
pub(super) fn size(asked: u32, cpus: u32) -> Result<(u32, usize)> {
    let events = asked.max(cpus.saturating_mul(4)).wrapping_mul(2);
    if events > EVENTS_MAX {
        return Err(Errno::EINVAL);
    }
    if events == 0 {
        return Err(Errno::EAGAIN);
    }
    let len = (HEADER + EVENT * (u64::from(events) + 2)).next_multiple_of(PAGE);
    Ok((((len - HEADER) / EVENT) as u32, len as usize))
}

/// Writes the header of an empty ring.
pub(super) fn write_header(shm: &Shm, id: u32, nr: u32) {
    let header = AioRing {
        id,
        nr,
        head: 0,
        tail: 0,
        magic: AIO_RING_MAGIC,
        compat_features: AIO_RING_COMPAT_FEATURES,
        incompat_features: AIO_RING_INCOMPAT_FEATURES,
        header_length: HEADER as u32,
    };
    shm.write(0, header);
}

fn event_at(index: u32) -> usize {
    (HEADER + EVENT * u64::from(index)) as usize
}

/// Writes a completion as an event. The request's address was its user_data, and its data stands
/// where 32-byte completions have more.
pub(crate) fn write(shm: &impl Words, index: u32, entry: &Entry) {
    let event = IoEvent {
        data: entry.big[0],
        obj: entry.cqe.user_data,
        res: i64::from(entry.cqe.res),
        res2: 0,
    };
    shm.write(event_at(index), event);
}

/// Copies an event out.
pub(super) fn read(shm: &Shm, index: u32) -> IoEvent {
    shm.read(event_at(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_kernels() {
        // Measured on Linux 6.18 with two CPUs.
        let measured = [(1, 127), (45, 127), (135, 383), (405, 895), (1215, 2559), (32805, 65663)];
        for (asked, nr) in measured {
            assert_eq!(size(asked, 2).map(|(nr, _)| nr), Ok(nr), "{asked}");
        }
        assert_eq!(size(u32::MAX, 2), Err(Errno::EINVAL));
        assert_eq!(size(1 << 31, 2), Err(Errno::EAGAIN));
        assert_eq!(size(EVENTS_MAX, 2), Err(Errno::EINVAL));
    }
}
