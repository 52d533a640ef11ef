//! Registered files: the table, its tags, and the range from which slots are allocated.

use super::tag_entry;
use crate::cq::Entry;
use crate::request::OwnedFile;
use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::sync::Arc;
use ringfence_host::{Host, plain};

/// Most registered files.
const FILES_MAX: u32 = 1 << 20;

/// A slot of the table.
struct Slot<H: Host> {
    file: Option<Arc<OwnedFile<H>>>,
    tag: u64,
}

/// The table of registered files.
pub(crate) struct Files<H: Host> {
    slots: Option<Vec<Slot<H>>>,
    /// Slots that allocation may choose, and where it looks first.
    range: (u32, u32),
    hint: u32,
    /// Files out of the table that requests still use, and the tags to be told then.
    leaving: Vec<(Arc<OwnedFile<H>>, u64)>,
}

impl<H: Host> Default for Files<H> {
    fn default() -> Self {
        Files { slots: None, range: (0, 0), hint: 0, leaving: Vec::new() }
    }
}

impl<H: Host> Files<H> {
    /// The file of a slot.
    ///
    /// # Errors
    /// `EBADF` if there is none.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Result<Arc<OwnedFile<H>>> {
        let slots = self.slots.as_ref().ok_or(Errno::EBADF)?;
        let slot = slots.get(slot as usize).ok_or(Errno::EBADF)?;
        slot.file.clone().ok_or(Errno::EBADF)
    }

    /// The table's own descriptors.
    pub(crate) fn fds(&self) -> Vec<i32> {
        let slots = self.slots.iter().flatten();
        slots.filter_map(|slot| slot.file.as_ref().map(|file| file.fd())).collect()
    }

    fn len(&self) -> u32 {
        self.slots.as_ref().map_or(0, |slots| slots.len() as u32)
    }

    fn allocate(&mut self) -> Result<u32> {
        let slots = self.slots.as_ref().ok_or(Errno::ENFILE)?;
        let (start, end) = self.range;
        if start >= end {
            return Err(Errno::ENFILE);
        }
        let hint = self.hint.clamp(start, end - 1);
        let free = |slot: &u32| slots[*slot as usize].file.is_none();
        let slot = (hint..end).chain(start..hint).find(free).ok_or(Errno::ENFILE)?;
        Ok(slot)
    }

    pub(crate) fn install(
        &mut self,
        file_index: u32,
        file: Arc<OwnedFile<H>>,
        tags: &mut Vec<Entry>,
    ) -> Result<u32> {
        if file_index == IORING_FILE_INDEX_ALLOC {
            let slot = self.allocate()?;
            self.set(slot, Some(file), 0, tags);
            return Ok(slot);
        }
        let slot = file_index - 1;
        if self.slots.is_none() {
            return Err(Errno::ENXIO);
        }
        if slot >= self.len() {
            return Err(Errno::EINVAL);
        }
        self.set(slot, Some(file), 0, tags);
        Ok(0)
    }

    pub(crate) fn close(&mut self, slot: u32, tags: &mut Vec<Entry>) -> Result<()> {
        if self.slots.is_none() {
            return Err(Errno::ENXIO);
        }
        if slot >= self.len() {
            return Err(Errno::EINVAL);
        }
        self.get(slot)?;
        self.set(slot, None, 0, tags);
        Ok(())
    }

    /// Replaces a slot; the old file's tag is told.
    fn set(&mut self, slot: u32, file: Option<Arc<OwnedFile<H>>>, tag: u64, tags: &mut Vec<Entry>) {
        let Some(slots) = &mut self.slots else { return };
        let place = &mut slots[slot as usize];
        let emptied = file.is_none();
        let old = std::mem::replace(place, Slot { file, tag });
        self.leave(old, tags);
        // The next search starts where something changed last.
        self.hint = if emptied { slot } else { slot + 1 };
    }

    /// Lets go of the table.
    pub(crate) fn clear(&mut self, tags: &mut Vec<Entry>) {
        for slot in self.slots.take().into_iter().flatten() {
            self.leave(slot, tags);
        }
    }

    /// A file has left the table: its tag is told once its last user is done.
    fn leave(&mut self, slot: Slot<H>, tags: &mut Vec<Entry>) {
        match slot.file {
            Some(_) if slot.tag == 0 => {}
            Some(file) if Arc::strong_count(&file) > 1 => self.leaving.push((file, slot.tag)),
            Some(_) => tags.push(tag_entry(slot.tag)),
            None => {}
        }
    }

    /// Whether files wait for their last user.
    #[inline]
    pub(crate) fn has_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// A user is done: tells the tags of files that nobody uses any more.
    pub(crate) fn let_go(&mut self, tags: &mut Vec<Entry>) {
        self.leaving.retain(|(file, tag)| {
            let is_used = Arc::strong_count(file) > 1;
            if !is_used {
                tags.push(tag_entry(*tag));
            }
            is_used
        });
    }
}

/// A reference of the table's own to a descriptor of the program's; a ring cannot be registered.
fn take<H: Host>(ring: &Ring<H>, fd: i32) -> Result<Arc<OwnedFile<H>>> {
    if fd < 0 || ring.shared.is_ring(fd) {
        return Err(Errno::EBADF);
    }
    OwnedFile::dup(&ring.host, fd)
}

fn read_tag<H: Host>(host: &H, tags: u64, index: u32) -> Result<u64> {
    if tags == 0 { Ok(0) } else { plain::read_at(host, tags, u64::from(index)) }
}

/// Builds a table of `count` slots from the descriptors at `fds`, 0 for none.
fn build<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    fds: u64,
    tags: u64,
    count: u32,
) -> Result<u32> {
    if sub.registered.files.slots.is_some() {
        return Err(Errno::EBUSY);
    }
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    if count > FILES_MAX || u64::from(count) > crate::engine::nofile_limit(&ring.host) {
        return Err(Errno::EMFILE);
    }
    let mut slots = Vec::with_capacity(count as usize);
    for index in 0..count {
        let fd: i32 =
            if fds == 0 { -1 } else { plain::read_at(&ring.host, fds, u64::from(index))? };
        let tag = read_tag(&ring.host, tags, index)?;
        if fd == -1 {
            if tag != 0 {
                return Err(Errno::EINVAL);
            }
            slots.push(Slot { file: None, tag: 0 });
        } else {
            slots.push(Slot { file: Some(take(ring, fd)?), tag });
        }
    }
    let files = &mut sub.registered.files;
    files.slots = Some(slots);
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
    if sub.registered.files.slots.is_none() {
        return Err(Errno::ENXIO);
    }
    sub.registered.files.clear(&mut sub.batch);
    Ok(0)
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
    if sub.registered.files.slots.is_none() {
        return Err(Errno::ENXIO);
    }
    let end = offset.checked_add(count).ok_or(Errno::EOVERFLOW)?;
    if end > sub.registered.files.len() {
        return Err(Errno::EINVAL);
    }
    for index in 0..count {
        if let Err(errno) = update_one(ring, sub, offset, fds, tags, index) {
            return if index > 0 { Ok(index) } else { Err(errno) };
        }
    }
    Ok(count)
}

fn update_one<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    offset: u32,
    fds: u64,
    tags: u64,
    index: u32,
) -> Result<()> {
    let fd: i32 = plain::read_at(&ring.host, fds, u64::from(index))?;
    let tag = read_tag(&ring.host, tags, index)?;
    if (fd == -1 || fd == IORING_REGISTER_FILES_SKIP) && tag != 0 {
        return Err(Errno::EINVAL);
    }
    if fd == IORING_REGISTER_FILES_SKIP {
        return Ok(());
    }
    let file = if fd == -1 { None } else { Some(take(ring, fd)?) };
    let tag = if file.is_some() { tag } else { 0 };
    sub.registered.files.set(offset + index, file, tag, &mut sub.batch);
    Ok(())
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
    if sub.registered.files.slots.is_none() {
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
    if nr as usize != size_of::<RsrcUpdate2>() {
        return Err(Errno::EINVAL);
    }
    let what: RsrcUpdate2 = plain::read(&ring.host, arg)?;
    if what.resv != 0 || what.resv2 != 0 || what.nr == 0 {
        return Err(Errno::EINVAL);
    }
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
    if range.resv != 0 || end > sub.registered.files.len() {
        return Err(Errno::EINVAL);
    }
    let files = &mut sub.registered.files;
    (files.range, files.hint) = ((range.off, end), range.off);
    Ok(0)
}
