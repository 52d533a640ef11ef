//! `IORING_REGISTER_CLONE_BUFFERS`: registered buffers of another ring, or part of them.

use super::buffers::{BUFFERS_MAX, Buffer};
use super::table::Slot;
use crate::ring::Ring;
use ringfence_abi::*;
use ringfence_host::sync::{Arc, Ordering};
use ringfence_host::{Host, plain};
use std::ops::Range;

const KNOWN: u32 = IORING_REGISTER_SRC_REGISTERED | IORING_REGISTER_DST_REPLACE;

/// The slots meant, of a table that has `have`.
///
/// # Errors
/// `EINVAL`, `EOVERFLOW`, and `ENXIO` without buffers.
fn span(what: &CloneBuffers, have: u32) -> Result<Range<usize>> {
    if what.nr == 0 && (what.src_off != 0 || what.dst_off != 0) {
        return Err(Errno::EINVAL);
    }
    let count = if what.nr == 0 { have } else { what.nr };
    if count > have {
        return Err(Errno::EINVAL);
    }
    let from_end = count.checked_add(what.src_off).ok_or(Errno::EOVERFLOW)?;
    if from_end > have {
        return Err(Errno::EOVERFLOW);
    }
    let to_end = count.checked_add(what.dst_off).ok_or(Errno::EOVERFLOW)?;
    if to_end > BUFFERS_MAX {
        return Err(Errno::EINVAL);
    }
    if have == 0 {
        return Err(Errno::ENXIO);
    }
    Ok(what.src_off as usize..from_end as usize)
}

/// A clone has no tag: it is not what was registered with one.
fn untagged(slot: &Slot<Buffer>) -> Slot<Buffer> {
    Slot { value: slot.value.as_ref().map(Buffer::untagged), tag: 0 }
}

pub(super) fn clone_buffers<H: Host>(ring: &Arc<Ring<H>>, arg: u64, nr: u32) -> Result<u32> {
    if arg == 0 || nr != 1 {
        return Err(Errno::EINVAL);
    }
    let what: CloneBuffers = plain::read(&ring.host, arg)?;
    let replace = what.flags & IORING_REGISTER_DST_REPLACE != 0;
    if what.flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let has_table = || ring.submit.lock().registered.buffers.table().exists();
    if !replace && has_table() {
        return Err(Errno::EBUSY);
    }
    if what.pad != [0; 3] {
        return Err(Errno::EINVAL);
    }
    let registered = what.flags & IORING_REGISTER_SRC_REGISTERED != 0;
    let source = ring.shared.named(&ring.host, what.src_fd as i32, registered)?;
    let owner = source.owner.load(Ordering::Acquire);
    if owner != 0 && owner != ring.host.thread_id() {
        return Err(Errno::EEXIST);
    }
    // Two rings' submission locks are never held together: the slots are copied out first.
    let copies: Vec<Slot<Buffer>> = {
        let sub = source.submit.lock();
        let slots = sub.registered.buffers.table().slots();
        slots[span(&what, slots.len() as u32)?].iter().map(untagged).collect()
    };
    ring.with_submit(|_, sub| {
        let table = sub.registered.buffers.table_mut();
        table.put(what.dst_off as usize, copies, &mut sub.batch);
        Ok(0)
    })
}
