//! Registered buffers: ranges of the program's memory that fixed reads and writes may use.

use super::tag_entry;
use crate::cq::Entry;
use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::sync::Arc;
use ringfence_host::{Host, plain};

/// Most registered buffers.
const BUFFERS_MAX: u32 = 1 << 14;
/// Longest registered buffer, bytes.
const BUFFER_LEN_MAX: u64 = 1 << 30;

/// One registered buffer; an empty slot has no length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Buffer {
    addr: u64,
    len: u64,
    /// Its tag, if it has one; requests that use the buffer share it.
    pub(crate) tag: Option<Arc<u64>>,
}

impl Buffer {
    /// Whether a range lies inside.
    ///
    /// # Errors
    /// `EFAULT` if not.
    pub(crate) fn check(&self, addr: u64, len: u64) -> Result<()> {
        let end = addr.checked_add(len).ok_or(Errno::EFAULT)?;
        if self.len == 0 || addr < self.addr || end > self.addr + self.len {
            return Err(Errno::EFAULT);
        }
        Ok(())
    }
}

/// The table of registered buffers.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    slots: Option<Vec<Buffer>>,
    /// Tags of buffers out of the table that requests still use.
    leaving: Vec<Arc<u64>>,
}

impl Buffers {
    /// The buffer of a slot.
    ///
    /// # Errors
    /// `EFAULT` if there is none.
    pub(crate) fn get(&self, index: u16) -> Result<Buffer> {
        let slots = self.slots.as_ref().ok_or(Errno::EFAULT)?;
        slots.get(usize::from(index)).cloned().ok_or(Errno::EFAULT)
    }

    /// Lets go of the table.
    pub(crate) fn clear(&mut self, tags: &mut Vec<Entry>) {
        for slot in self.slots.take().into_iter().flatten() {
            self.leave(slot, tags);
        }
    }

    /// A buffer has left the table: its tag is told once its last user is done.
    fn leave(&mut self, buffer: Buffer, tags: &mut Vec<Entry>) {
        match buffer.tag {
            Some(tag) if Arc::strong_count(&tag) > 1 => self.leaving.push(tag),
            Some(tag) => tags.push(tag_entry(*tag)),
            None => {}
        }
    }

    /// Whether buffers wait for their last user.
    #[inline]
    pub(crate) fn has_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// A user is done: tells the tags of buffers that nobody uses any more.
    pub(crate) fn let_go(&mut self, tags: &mut Vec<Entry>) {
        self.leaving.retain(|tag| {
            let is_used = Arc::strong_count(tag) > 1;
            if !is_used {
                tags.push(tag_entry(**tag));
            }
            is_used
        });
    }
}

/// Reads one iovec and checks that its memory is there.
fn read_buffer<H: Host>(host: &H, iovecs: u64, tags: u64, index: u32) -> Result<Buffer> {
    let iovec: Iovec = if iovecs == 0 {
        Iovec::default()
    } else {
        plain::read_at(host, iovecs, u64::from(index))?
    };
    let tag: u64 = if tags == 0 { 0 } else { plain::read_at(host, tags, u64::from(index))? };
    if iovec.base == 0 {
        return match (iovec.len, tag) {
            (0, 0) => Ok(Buffer::default()),
            (0, _) => Err(Errno::EINVAL),
            _ => Err(Errno::EFAULT),
        };
    }
    if iovec.len == 0 || iovec.len > BUFFER_LEN_MAX {
        return Err(Errno::EFAULT);
    }
    check_mapped(host, iovec.base, iovec.len)?;
    let tag = (tag != 0).then(|| Arc::new(tag));
    Ok(Buffer { addr: iovec.base, len: iovec.len, tag })
}

/// The memory must be mapped and writable, as the kernel finds out by pinning it.
fn check_mapped<H: Host>(host: &H, addr: u64, len: u64) -> Result<()> {
    let page = addr & !4095;
    let end = addr.checked_add(len).ok_or(Errno::EOVERFLOW)?.next_multiple_of(4096);
    let populate_write = 23;
    let args = [page, end - page, populate_write, 0, 0, 0];
    match host.syscall(libc::SYS_madvise, args) {
        Ok(_) | Err(Errno::ENOSYS) => Ok(()),
        // An old kernel cannot say; a bad buffer shows at its first use. A new one takes the
        // advice for no memory at all, and refuses it for what cannot be written.
        Err(Errno::EINVAL) => {
            match host.syscall(libc::SYS_madvise, [page, 0, populate_write, 0, 0, 0]) {
                Ok(_) => Err(Errno::EFAULT),
                Err(_) => Ok(()),
            }
        }
        Err(_) => Err(Errno::EFAULT),
    }
}

fn build<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    iovecs: u64,
    tags: u64,
    count: u32,
) -> Result<u32> {
    if sub.registered.buffers.slots.is_some() {
        return Err(Errno::EBUSY);
    }
    if count == 0 || count > BUFFERS_MAX {
        return Err(Errno::EINVAL);
    }
    let slots: Result<Vec<Buffer>> =
        (0..count).map(|index| read_buffer(&ring.host, iovecs, tags, index)).collect();
    sub.registered.buffers.slots = Some(slots?);
    Ok(0)
}

pub(super) fn register<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 {
        return Err(Errno::EFAULT);
    }
    build(ring, sub, arg, 0, nr)
}

pub(super) fn register2<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if nr as usize != size_of::<RsrcRegister>() {
        return Err(Errno::EINVAL);
    }
    let what: RsrcRegister = plain::read(&ring.host, arg)?;
    let sparse = what.flags & IORING_RSRC_REGISTER_SPARSE != 0;
    if what.nr == 0 || what.resv2 != 0 || what.flags & !IORING_RSRC_REGISTER_SPARSE != 0 {
        return Err(Errno::EINVAL);
    }
    if sparse && what.data != 0 {
        return Err(Errno::EINVAL);
    }
    build(ring, sub, what.data, what.tags, what.nr)
}

pub(super) fn unregister<H: Host>(
    _: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg != 0 || nr != 0 {
        return Err(Errno::EINVAL);
    }
    if sub.registered.buffers.slots.is_none() {
        return Err(Errno::ENXIO);
    }
    sub.registered.buffers.clear(&mut sub.batch);
    Ok(0)
}

pub(super) fn update2<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if nr as usize != size_of::<RsrcUpdate2>() {
        return Err(Errno::EINVAL);
    }
    let what: RsrcUpdate2 = plain::read(&ring.host, arg)?;
    if what.resv != 0 || what.resv2 != 0 || what.nr == 0 {
        return Err(Errno::EINVAL);
    }
    let have = sub.registered.buffers.slots.as_ref().ok_or(Errno::ENXIO)?.len();
    let end = what.offset.checked_add(what.nr).ok_or(Errno::EOVERFLOW)?;
    if end as usize > have {
        return Err(Errno::EINVAL);
    }
    for index in 0..what.nr {
        let buffer = match read_buffer(&ring.host, what.data, what.tags, index) {
            Ok(buffer) => buffer,
            Err(errno) => return if index > 0 { Ok(index) } else { Err(errno) },
        };
        let buffers = &mut sub.registered.buffers;
        if let Some(slots) = &mut buffers.slots {
            let old = std::mem::replace(&mut slots[(what.offset + index) as usize], buffer);
            buffers.leave(old, &mut sub.batch);
        }
    }
    Ok(what.nr)
}
