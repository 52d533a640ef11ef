//! Registered buffers: ranges of the program's memory that fixed reads and writes may use.

use super::table::{Resource, Slot, Table, read_register2, read_tag, read_update2};
use crate::cq::Entry;
use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::sync::Arc;
use ringfence_host::{Host, plain};

/// Most registered buffers.
pub(super) const BUFFERS_MAX: u32 = 1 << 14;
/// Longest registered buffer, bytes.
const BUFFER_LEN_MAX: u64 = 1 << 30;

/// One registered buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    addr: u64,
    len: u64,
    /// Its tag, if it has one; requests that use the buffer share it.
    pub(crate) tag: Option<Arc<u64>>,
}

impl Buffer {
    /// The same memory, registered without a tag.
    pub(super) fn untagged(&self) -> Buffer {
        Buffer { tag: None, ..self.clone() }
    }

    /// Whether a range lies inside.
    ///
    /// # Errors
    /// `EFAULT` if not.
    pub(crate) fn check(&self, addr: u64, len: u64) -> Result<()> {
        let end = addr.checked_add(len).ok_or(Errno::EFAULT)?;
        if addr < self.addr || end > self.addr + self.len { Err(Errno::EFAULT) } else { Ok(()) }
    }
}

impl Resource for Buffer {
    fn is_used(&self) -> bool {
        self.tag.as_ref().is_some_and(|tag| Arc::strong_count(tag) > 1)
    }
}

/// The table of registered buffers.
#[derive(Default)]
pub(crate) struct Buffers(Table<Buffer>);

impl Buffers {
    pub(super) fn table(&self) -> &Table<Buffer> {
        &self.0
    }

    pub(super) fn table_mut(&mut self) -> &mut Table<Buffer> {
        &mut self.0
    }

    /// The buffer of a slot.
    ///
    /// # Errors
    /// `EFAULT` if there is none.
    pub(crate) fn get(&self, index: u16) -> Result<Buffer> {
        self.0.get(u32::from(index)).ok_or(Errno::EFAULT)
    }

    /// Lets go of the table.
    pub(crate) fn clear(&mut self, tags: &mut Vec<Entry>) {
        self.0.clear(tags);
    }

    /// Whether buffers wait for their last user.
    #[inline]
    pub(crate) fn has_leaving(&self) -> bool {
        self.0.has_leaving()
    }

    /// A user is done: tells the tags of buffers that nobody uses any more.
    pub(crate) fn let_go(&mut self, tags: &mut Vec<Entry>) {
        self.0.let_go(tags);
    }
}

/// Reads one iovec and checks that its memory is there.
fn read_buffer<H: Host>(host: &H, iovecs: u64, tags: u64, index: u32) -> Result<Slot<Buffer>> {
    let iovec: Iovec = if iovecs == 0 {
        Iovec::default()
    } else {
        plain::read_at(host, iovecs, u64::from(index))?
    };
    if (iovec.len as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    let tag = read_tag(host, tags, index)?;
    if iovec.base == 0 {
        return match (iovec.len, tag) {
            (0, 0) => Ok(Slot::EMPTY),
            (0, _) => Err(Errno::EINVAL),
            _ => Err(Errno::EFAULT),
        };
    }
    if iovec.len == 0 || iovec.len > BUFFER_LEN_MAX {
        return Err(Errno::EFAULT);
    }
    check_mapped(host, iovec.base, iovec.len)?;
    let shared = (tag != 0).then(|| Arc::new(tag));
    Ok(Slot { value: Some(Buffer { addr: iovec.base, len: iovec.len, tag: shared }), tag })
}

/// The memory must be mapped and writable, as the kernel finds out by pinning it.
pub(super) fn check_mapped<H: Host>(host: &H, addr: u64, len: u64) -> Result<()> {
    let page = addr & !4095;
    let end = addr.checked_add(len).ok_or(Errno::EOVERFLOW)?.next_multiple_of(4096);
    let populate_write = 23;
    let args = [page, end - page, populate_write, 0, 0, 0];
    match host.syscall(libc::SYS_madvise, args) {
        Ok(_) => super::backing::check(host, page, end),
        Err(Errno::ENOSYS) => Ok(()),
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
    let table = &mut sub.registered.buffers.0;
    if table.exists() {
        return Err(Errno::EBUSY);
    }
    if count == 0 || count > BUFFERS_MAX {
        return Err(Errno::EINVAL);
    }
    table.build(count, |index| read_buffer(&ring.host, iovecs, tags, index))
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
    let what = read_register2(&ring.host, arg, nr)?;
    build(ring, sub, what.data, what.tags, what.nr)
}

pub(super) fn unregister<H: Host>(
    _: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    sub.registered.buffers.0.unregister(arg, nr, &mut sub.batch)
}

pub(super) fn update2<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    let what = read_update2(&ring.host, arg, nr)?;
    let table = &mut sub.registered.buffers.0;
    table.update(what.offset, what.nr, &mut sub.batch, |index| {
        read_buffer(&ring.host, what.data, what.tags, index).map(Some)
    })
}
