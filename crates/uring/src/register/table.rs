//! A table of registered resources, files or buffers: slots, tags, and what has left the table
//! but not its last user.

use super::tag_entry;
use crate::cq::Entry;
use ringfence_abi::*;
use ringfence_host::{Host, plain};

/// What a slot can hold.
pub(crate) trait Resource: Clone {
    /// Whether somebody besides the table uses it.
    fn is_used(&self) -> bool;
}

/// A slot.
#[derive(Clone)]
pub(super) struct Slot<T> {
    pub(super) value: Option<T>,
    /// Told once the value is out of the table and nobody uses it; 0 for none.
    pub(super) tag: u64,
}

impl<T> Slot<T> {
    /// An empty slot.
    pub(super) const EMPTY: Self = Slot { value: None, tag: 0 };
}

/// The table.
pub(crate) struct Table<T> {
    slots: Option<Vec<Slot<T>>>,
    /// Values out of the table that are still used, and the tags to be told then.
    leaving: Vec<(T, u64)>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { slots: None, leaving: Vec::new() }
    }
}

impl<T: Resource> Table<T> {
    /// Whether there is a table.
    pub(super) fn exists(&self) -> bool {
        self.slots.is_some()
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> u32 {
        self.slots.as_ref().map_or(0, |slots| slots.len() as u32)
    }

    /// The slots, none without a table.
    pub(super) fn slots(&self) -> &[Slot<T>] {
        self.slots.as_deref().unwrap_or_default()
    }

    /// What a slot holds.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<T> {
        self.slots.as_ref()?.get(slot as usize)?.value.clone()
    }

    /// Makes the table of `count` slots that `read` yields.
    ///
    /// # Errors
    /// `EBUSY` if there is one, else the first error of `read`, and then nothing is registered.
    pub(super) fn build(
        &mut self,
        count: u32,
        read: impl FnMut(u32) -> Result<Slot<T>>,
    ) -> Result<u32> {
        if self.exists() {
            return Err(Errno::EBUSY);
        }
        let slots: Result<Vec<Slot<T>>> = (0..count).map(read).collect();
        self.slots = Some(slots?);
        Ok(0)
    }

    /// Puts `new` slots in place of those from `first`, in a table that grows for them.
    pub(super) fn put(&mut self, first: usize, new: Vec<Slot<T>>, tags: &mut Vec<Entry>) {
        let slots = self.slots.get_or_insert_default();
        if slots.len() < first + new.len() {
            slots.resize(first + new.len(), Slot::EMPTY);
        }
        for (index, slot) in new.into_iter().enumerate() {
            self.set((first + index) as u32, slot, tags);
        }
    }

    /// Replaces `count` slots from `offset` by what `read` yields, `None` leaving one as it is; how
    /// many were done before an error.
    ///
    /// # Errors
    /// `ENXIO` without a table, `EOVERFLOW` and `EINVAL` beyond it; the first slot's own error.
    pub(super) fn update(
        &mut self,
        offset: u32,
        count: u32,
        tags: &mut Vec<Entry>,
        mut read: impl FnMut(u32) -> Result<Option<Slot<T>>>,
    ) -> Result<u32> {
        if !self.exists() {
            return Err(Errno::ENXIO);
        }
        let end = offset.checked_add(count).ok_or(Errno::EOVERFLOW)?;
        if end > self.len() {
            return Err(Errno::EINVAL);
        }
        for index in 0..count {
            match read(index) {
                Ok(Some(slot)) => self.set(offset + index, slot, tags),
                Ok(None) => {}
                Err(errno) => return if index > 0 { Ok(index) } else { Err(errno) },
            }
        }
        Ok(count)
    }

    /// Replaces a slot; the old value's tag is told.
    pub(super) fn set(&mut self, slot: u32, new: Slot<T>, tags: &mut Vec<Entry>) {
        let place = self.slots.as_mut().and_then(|slots| slots.get_mut(slot as usize));
        if let Some(place) = place {
            let old = std::mem::replace(place, new);
            self.leave(old, tags);
        }
    }

    /// Lets go of the table.
    pub(crate) fn clear(&mut self, tags: &mut Vec<Entry>) {
        for slot in self.slots.take().into_iter().flatten() {
            self.leave(slot, tags);
        }
    }

    /// The registration that takes the table back.
    ///
    /// # Errors
    /// `EINVAL` for arguments, `ENXIO` without a table.
    pub(super) fn unregister(&mut self, arg: u64, nr: u32, tags: &mut Vec<Entry>) -> Result<u32> {
        if arg != 0 || nr != 0 {
            return Err(Errno::EINVAL);
        }
        if !self.exists() {
            return Err(Errno::ENXIO);
        }
        self.clear(tags);
        Ok(0)
    }

    /// A value has left the table: its tag is told once its last user is done.
    fn leave(&mut self, slot: Slot<T>, tags: &mut Vec<Entry>) {
        match slot.value {
            Some(_) if slot.tag == 0 => {}
            Some(value) if value.is_used() => self.leaving.push((value, slot.tag)),
            Some(_) => tags.push(tag_entry(slot.tag)),
            None => {}
        }
    }

    /// Whether values wait for their last user.
    #[inline]
    pub(crate) fn has_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// A user is done: tells the tags of values that nobody uses any more.
    pub(crate) fn let_go(&mut self, tags: &mut Vec<Entry>) {
        self.leaving.retain(|(value, tag)| {
            let is_used = value.is_used();
            if !is_used {
                tags.push(tag_entry(*tag));
            }
            is_used
        });
    }
}

/// The tag of element `index`.
pub(super) fn read_tag<H: Host>(host: &H, tags: u64, index: u32) -> Result<u64> {
    if tags == 0 { Ok(0) } else { plain::read_at(host, tags, u64::from(index)) }
}

/// The argument of a registration with tags.
///
/// # Errors
/// `EINVAL`, `EFAULT`.
pub(super) fn read_register2<H: Host>(host: &H, arg: u64, nr: u32) -> Result<RsrcRegister> {
    if nr as usize != size_of::<RsrcRegister>() {
        return Err(Errno::EINVAL);
    }
    let what: RsrcRegister = plain::read(host, arg)?;
    let sparse = what.flags & IORING_RSRC_REGISTER_SPARSE != 0;
    if what.nr == 0 || what.resv2 != 0 || what.flags & !IORING_RSRC_REGISTER_SPARSE != 0 {
        return Err(Errno::EINVAL);
    }
    if sparse && what.data != 0 { Err(Errno::EINVAL) } else { Ok(what) }
}

/// The argument of an update with tags.
///
/// # Errors
/// `EINVAL`, `EFAULT`.
pub(super) fn read_update2<H: Host>(host: &H, arg: u64, nr: u32) -> Result<RsrcUpdate2> {
    if nr as usize != size_of::<RsrcUpdate2>() {
        return Err(Errno::EINVAL);
    }
    let what: RsrcUpdate2 = plain::read(host, arg)?;
    if what.resv != 0 || what.resv2 != 0 || what.nr == 0 { Err(Errno::EINVAL) } else { Ok(what) }
}
