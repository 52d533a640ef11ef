//! Registered files: the table, and the range from which slots are allocated.

use super::table::{Resource, Slot, Table, read_register2, read_tag, read_update2};
use crate::cq::Entry;
use crate::request::OwnedFile;
use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::sync::Arc;
use ringfence_host::{Host, plain};

/// Most registered files.
const FILES_MAX: u32 = 1 << 20;

type File<H> = Arc<OwnedFile<H>>;

impl<H: Host> Resource for File<H> {
    fn is_used(&self) -> bool {
        Arc::strong_count(self) > 1
    }
}

/// The registered files.
pub(crate) struct Files<H: Host> {
    table: Table<File<H>>,
    /// Slots that allocation may choose, and where it looks first.
    range: (u32, u32),
    hint: u32,
}

impl<H: Host> Default for Files<H> {
    fn default() -> Self {
        Files { table: Table::default(), range: (0, 0), hint: 0 }
    }
}

impl<H: Host> Files<H> {
    /// The file of a slot.
    ///
    /// # Errors
    /// `EBADF` if there is none.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Result<File<H>> {
        self.table.get(slot).ok_or(Errno::EBADF)
    }

    /// The table's own descriptors.
    pub(crate) fn fds(&self) -> Vec<i32> {
        let slots = self.table.slots().iter();
        slots.filter_map(|slot| slot.value.as_ref().map(|file| file.fd())).collect()
    }

    fn allocate(&mut self) -> Result<u32> {
        let (start, end) = self.range;
        if start >= end || !self.table.exists() {
            return Err(Errno::ENFILE);
        }
        let hint = self.hint.clamp(start, end - 1);
        let slots = self.table.slots();
        let free = |slot: &u32| slots[*slot as usize].value.is_none();
        (hint..end).chain(start..hint).find(free).ok_or(Errno::ENFILE)
    }

    pub(crate) fn install(
        &mut self,
        file_index: u32,
        file: File<H>,
        tags: &mut Vec<Entry>,
    ) -> Result<u32> {
        let new = Slot { value: Some(file), tag: 0 };
        if file_index == IORING_FILE_INDEX_ALLOC {
            let slot = self.allocate()?;
            self.set(slot, new, tags);
            return Ok(slot);
        }
        self.check(file_index - 1)?;
        self.set(file_index - 1, new, tags);
        Ok(0)
    }

    /// Whether there is such a slot.
    fn check(&self, slot: u32) -> Result<()> {
        match self.table.exists() {
            false => Err(Errno::ENXIO),
            true if slot >= self.table.len() => Err(Errno::EINVAL),
            true => Ok(()),
        }
    }

    pub(crate) fn close(&mut self, slot: u32, tags: &mut Vec<Entry>) -> Result<()> {
        self.check(slot)?;
        self.get(slot)?;
        self.set(slot, Slot::EMPTY, tags);
        Ok(())
    }

    fn set(&mut self, slot: u32, new: Slot<File<H>>, tags: &mut Vec<Entry>) {
        // The next search starts where something changed last.
        self.hint = if new.value.is_none() { slot } else { slot + 1 };
        self.table.set(slot, new, tags);
    }

    /// Whether files wait for their last user.
    #[inline]
    pub(crate) fn has_leaving(&self) -> bool {
        self.table.has_leaving()
    }

    /// A user is done: tells the tags of files that nobody uses any more.
    pub(crate) fn let_go(&mut self, tags: &mut Vec<Entry>) {
        self.table.let_go(tags);
    }
}

/// A reference of the table's own to a descriptor of the program's; a ring cannot be registered.
fn take<H: Host>(ring: &Ring<H>, fd: i32) -> Result<File<H>> {
    if fd < 0 || ring.shared.is_ring(fd) {
        return Err(Errno::EBADF);
    }
    OwnedFile::dup(&ring.host, fd)
}

/// A slot for a descriptor, -1 for none, which has no tag.
fn slot_of<H: Host>(ring: &Ring<H>, fd: i32, tag: u64) -> Result<Slot<File<H>>> {
    match (fd, tag) {
        (-1, 0) => Ok(Slot::EMPTY),
        (-1, _) => Err(Errno::EINVAL),
        _ => Ok(Slot { value: Some(take(ring, fd)?), tag }),
    }
}

/// Builds a table of `count` slots from the descriptors at `fds`, 0 for none.
fn build<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    fds: u64,
    tags: u64,
    count: u32,
) -> Result<u32> {
    let files = &mut sub.registered.files;
    if files.table.exists() {
        return Err(Errno::EBUSY);
    }
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    if count > FILES_MAX || u64::from(count) > crate::engine::nofile_limit(&ring.host) {
        return Err(Errno::EMFILE);
    }
    files.table.build(count, |index| {
        let at = u64::from(index);
        let fd = if fds == 0 { -1 } else { plain::read_at(&ring.host, fds, at)? };
        slot_of(ring, fd, read_tag(&ring.host, tags, index)?)
    })?;
    (files.range, files.hint) = ((0, count), 0);
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
    let what = read_register2(&ring.host, arg, nr)?;
    build(ring, sub, what.data, what.tags, what.nr)
}

pub(super) fn unregister<H: Host>(
    _: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    sub.registered.files.table.unregister(arg, nr, &mut sub.batch)
}

/// Replaces `count` slots from `offset`; how many were done before an error.
///
/// # Errors
/// The first one's, if it is the first that fails.
pub(crate) fn update<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    offset: u32,
    fds: u64,
    tags: u64,
    count: u32,
) -> Result<u32> {
    let files = &mut sub.registered.files;
    let hint = &mut files.hint;
    files.table.update(offset, count, &mut sub.batch, |index| {
        let fd: i32 = plain::read_at(&ring.host, fds, u64::from(index))?;
        let tag = read_tag(&ring.host, tags, index)?;
        if fd == IORING_REGISTER_FILES_SKIP {
            return if tag == 0 { Ok(None) } else { Err(Errno::EINVAL) };
        }
        let slot = slot_of(ring, fd, tag)?;
        *hint = offset + index + u32::from(slot.value.is_some());
        Ok(Some(slot))
    })
}

/// Puts the descriptors at `fds` into slots of the ring's choice, and the slots in their place.
///
/// # Errors
/// As [`update`].
pub(crate) fn allocate<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    fds: u64,
    count: u32,
) -> Result<u32> {
    if !sub.registered.files.table.exists() {
        return Err(Errno::ENXIO);
    }
    for index in 0..count {
        let done = allocate_one(ring, sub, fds.wrapping_add(u64::from(index) * 4));
        if let Err(errno) = done {
            return if index > 0 { Ok(index) } else { Err(errno) };
        }
    }
    Ok(count)
}

fn allocate_one<H: Host>(ring: &Arc<Ring<H>>, sub: &mut Submit<H>, at: u64) -> Result<()> {
    let fd: i32 = plain::read(&ring.host, at)?;
    let file = take(ring, fd)?;
    let slot = sub.registered.files.install(IORING_FILE_INDEX_ALLOC, file, &mut sub.batch)?;
    if let Err(errno) = plain::write(&ring.host, at, &slot) {
        let _ = sub.registered.files.close(slot, &mut sub.batch);
        return Err(errno);
    }
    Ok(())
}

pub(super) fn register_update<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if nr == 0 {
        return Err(Errno::EINVAL);
    }
    let what: FilesUpdate = plain::read(&ring.host, arg)?;
    if what.resv != 0 {
        return Err(Errno::EINVAL);
    }
    update(ring, sub, what.offset, what.fds, 0, nr)
}

pub(super) fn update2<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    let what = read_update2(&ring.host, arg, nr)?;
    update(ring, sub, what.offset, what.data, what.tags, what.nr)
}

pub(super) fn alloc_range<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr != 0 {
        return Err(Errno::EINVAL);
    }
    let range: FileIndexRange = plain::read(&ring.host, arg)?;
    let end = range.off.checked_add(range.len).ok_or(Errno::EOVERFLOW)?;
    if range.resv != 0 || end > sub.registered.files.table.len() {
        return Err(Errno::EINVAL);
    }
    let files = &mut sub.registered.files;
    (files.range, files.hint) = ((range.off, end), range.off);
    Ok(0)
}
