//! Provided buffers: groups of them, in their older and their ring form.
//!
//! A request takes a buffer when it tries, and gives it back when it would block, so that an
//! armed request holds none. The head of a ring moves only when a buffer is used.

use crate::request::{Req, Selected};
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_host::shm::Shm;
use ringfence_host::sync::Ordering;
use std::collections::{HashMap, VecDeque};

/// Where the tail stands in a ring of buffers: over the unused field of its first entry, bytes.
const TAIL: usize = 14;

/// A ring of buffers in memory shared with the program.
#[derive(Debug)]
pub(crate) struct BufRing {
    shm: Shm,
    mask: u16,
    head: u16,
    incremental: bool,
    /// How much of the buffer at the head is used up, bytes, when consumption is incremental.
    used: u32,
    /// A tail of a buffer smaller than this is retired, bytes.
    min_left: u32,
}

impl BufRing {
    pub(crate) fn new(shm: Shm, entries: u32, incremental: bool, min_left: u32) -> Self {
        BufRing { shm, mask: (entries - 1) as u16, head: 0, incremental, used: 0, min_left }
    }

    /// The engine's position.
    pub(crate) fn head(&self) -> u16 {
        self.head
    }

    /// The buffer at the head, if the program has provided one.
    fn peek(&self) -> Option<Buf> {
        // Pairs with the program's release store: the entries before the tail are written.
        let tail = self.shm.load16(TAIL, Ordering::Acquire);
        if tail == self.head {
            return None;
        }
        let at = usize::from(self.head & self.mask) * size_of::<Buf>();
        Some(self.shm.read(at))
    }

    /// Uses up `len` bytes of the buffer at the head; whether more of it is left.
    fn consume(&mut self, buffer_len: u32, len: u32) -> bool {
        if self.incremental {
            self.used = self.used.saturating_add(len);
            let left = buffer_len.saturating_sub(self.used);
            if left > 0 && left >= self.min_left {
                return true;
            }
            self.used = 0;
        }
        self.head = self.head.wrapping_add(1);
        false
    }
}

/// A group of buffers.
#[derive(Debug)]
pub(crate) enum Group {
    Legacy(VecDeque<Buf>),
    Ring(BufRing),
}

/// The groups of a ring.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<u16, Group>,
}

impl Groups {
    /// The group of the older form, made if there is none.
    ///
    /// # Errors
    /// `EINVAL` if it is a ring.
    pub(crate) fn legacy(&mut self, group: u16) -> Result<&mut VecDeque<Buf>> {
        match self.groups.entry(group).or_insert_with(|| Group::Legacy(VecDeque::new())) {
            Group::Legacy(buffers) => Ok(buffers),
            Group::Ring(_) => Err(Errno::EINVAL),
        }
    }

    /// Removes up to `count` buffers of the older form; how many there were.
    ///
    /// # Errors
    /// `ENOENT` without the group, `EINVAL` if it is a ring.
    pub(crate) fn remove(&mut self, group: u16, count: usize) -> Result<usize> {
        match self.groups.get_mut(&group) {
            None => Err(Errno::ENOENT),
            Some(Group::Ring(_)) => Err(Errno::EINVAL),
            Some(Group::Legacy(buffers)) => {
                let count = count.min(buffers.len());
                buffers.drain(..count);
                Ok(count)
            }
        }
    }

    /// Whether a ring may be registered for a group.
    ///
    /// # Errors
    /// `EEXIST` if there is a ring, or buffers of the older form.
    pub(crate) fn check_free(&self, group: u16) -> Result<()> {
        match self.groups.get(&group) {
            None => Ok(()),
            Some(Group::Legacy(buffers)) if buffers.is_empty() => Ok(()),
            Some(_) => Err(Errno::EEXIST),
        }
    }

    pub(crate) fn insert_ring(&mut self, group: u16, ring: BufRing) {
        self.groups.insert(group, Group::Ring(ring));
    }

    /// The ring of a group.
    ///
    /// # Errors
    /// `ENOENT` without the group, `EINVAL` if it is of the older form.
    pub(crate) fn ring(&self, group: u16) -> Result<&BufRing> {
        match self.groups.get(&group) {
            None => Err(Errno::ENOENT),
            Some(Group::Legacy(_)) => Err(Errno::EINVAL),
            Some(Group::Ring(ring)) => Ok(ring),
        }
    }

    /// Unregisters a ring.
    ///
    /// # Errors
    /// As [`Groups::ring`].
    pub(crate) fn remove_ring(&mut self, group: u16) -> Result<()> {
        self.ring(group)?;
        self.groups.remove(&group);
        Ok(())
    }
}

/// Takes a buffer of the request's group, of at most `len` bytes, 0 for all of it.
///
/// # Errors
/// `ENOBUFS` if the group has none.
pub(crate) fn select<H: Host>(
    sub: &mut Submit<H>,
    _: &H,
    req: &mut Req<H>,
    len: u32,
) -> Result<()> {
    let group = req.sqe.buf_index;
    let cut = |have: u32| if len == 0 { have } else { len.min(have) };
    let selected = match sub.registered.groups.groups.get_mut(&group) {
        None => return Err(Errno::ENOBUFS),
        Some(Group::Legacy(buffers)) => {
            let buf = buffers.pop_front().ok_or(Errno::ENOBUFS)?;
            Selected {
                group,
                bid: buf.bid,
                addr: buf.addr,
                len: cut(buf.len),
                whole: buf.len,
                taken: true,
            }
        }
        Some(Group::Ring(ring)) => {
            let buf = ring.peek().ok_or(Errno::ENOBUFS)?;
            let left = buf.len.saturating_sub(ring.used);
            let addr = buf.addr.wrapping_add(u64::from(ring.used));
            Selected { group, bid: buf.bid, addr, len: cut(left), whole: buf.len, taken: false }
        }
    };
    req.buffer = Some(selected);
    Ok(())
}

/// Gives a buffer back that was not used.
pub(crate) fn put_back<H: Host>(sub: &mut Submit<H>, req: &mut Req<H>) {
    let Some(selected) = req.buffer.take() else { return };
    if selected.taken
        && let Some(Group::Legacy(buffers)) = sub.registered.groups.groups.get_mut(&selected.group)
    {
        let Selected { bid, addr, whole, .. } = selected;
        buffers.push_front(Buf { addr, len: whole, bid, resv: 0 });
    }
}

/// Moves the ring's head past a buffer that leaves the submission lock with its request.
pub(crate) fn commit<H: Host>(sub: &mut Submit<H>, req: &mut Req<H>) {
    let Some(selected) = &mut req.buffer else { return };
    if !selected.taken
        && let Some(Group::Ring(ring)) = sub.registered.groups.groups.get_mut(&selected.group)
    {
        if ring.consume(selected.whole, selected.len) {
            req.cqe_flags |= IORING_CQE_F_BUF_MORE;
        }
        selected.taken = true;
    }
}

/// A request with a buffer ends or posts: used if `res` says so, given back if not.
pub(crate) fn settle<H: Host>(sub: &mut Submit<H>, req: &mut Req<H>, res: i32) {
    let Some(selected) = req.buffer else { return };
    // A read reports its buffer even at the end of the file, a receive does not.
    let is_read = req.sqe.opcode == Op::Read as u8 || req.sqe.opcode == Op::Readv as u8;
    if res < 0 || res == 0 && !is_read {
        return put_back(sub, req);
    }
    req.buffer = None;
    req.cqe_flags |= IORING_CQE_F_BUFFER | u32::from(selected.bid) << IORING_CQE_BUFFER_SHIFT;
    if !selected.taken
        && let Some(Group::Ring(ring)) = sub.registered.groups.groups.get_mut(&selected.group)
        && ring.consume(selected.whole, res as u32)
    {
        req.cqe_flags |= IORING_CQE_F_BUF_MORE;
    }
}
