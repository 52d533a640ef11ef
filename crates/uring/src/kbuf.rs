//! Provided buffers: groups of them, in their older and their ring form.
//!
//! A request takes a buffer when it tries, and gives it back when it would block, so that an
//! armed request holds none. The head of a ring moves only when a buffer is used. A bundle takes
//! several consecutive buffers of a ring at once; its completion names the first.

use crate::request::{Req, Selected};
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_host::shm::Shm;
use ringfence_host::sync::Ordering;
use std::collections::{HashMap, VecDeque};

/// Where the tail stands in a ring of buffers: over the unused field of its first entry, bytes.
const TAIL: usize = 14;

/// Most buffers of a bundle when its length is known, and when it is not.
const BUNDLE_MAX: [usize; 2] = [256, 1024];

/// A ring of buffers in memory shared with the program.
#[derive(Debug)]
pub(crate) struct BufRing {
    shm: Shm,
    mask: u16,
    head: u16,
    incremental: bool,
    /// A tail of a buffer smaller than this is retired, bytes.
    min_left: u32,
}

/// Several buffers of a ring.
struct Bundle {
    first: Selected,
    /// The last buffer is used in part, though it will be used up.
    partial: bool,
    /// The ring has no more.
    empties: bool,
}

impl BufRing {
    pub(crate) fn new(shm: Shm, entries: u32, incremental: bool, min_left: u32) -> Self {
        BufRing { shm, mask: (entries - 1) as u16, head: 0, incremental, min_left }
    }

    /// The engine's position.
    pub(crate) fn head(&self) -> u16 {
        self.head
    }

    /// How many buffers the program has provided.
    fn available(&self) -> u16 {
        // Pairs with the program's release store: the entries before the tail are written.
        let tail = self.shm.load16(TAIL, Ordering::Acquire);
        tail.map_or(0, |tail| tail.wrapping_sub(self.head))
    }

    fn place(&self, position: u16) -> usize {
        usize::from(position & self.mask) * size_of::<Buf>()
    }

    /// The buffer at the head, if the program has provided one.
    fn peek(&self) -> Option<Buf> {
        (self.available() > 0).then(|| self.shm.read(self.place(self.head)))
    }

    /// The buffers for a bundle of at most `max` bytes, 0 for no limit, into `spans`.
    fn gather(&self, group: u16, max: u32, spans: &mut Vec<Iovec>) -> Option<Bundle> {
        let available = usize::from(self.available());
        let head: Buf = self.peek()?;
        let mut count = available.min(BUNDLE_MAX[1]);
        if max > 0 {
            if head.len == 0 {
                return None;
            }
            count = count.min((max.div_ceil(head.len) as usize).min(BUNDLE_MAX[0]));
        }
        let mut left = if max > 0 { max } else { i32::MAX as u32 };
        let (mut total, mut partial) = (0u32, false);
        spans.clear();
        for index in 0..count {
            let at = self.place(self.head.wrapping_add(index as u16));
            let mut buf: Buf = self.shm.read(at);
            if buf.len > left {
                if !self.incremental {
                    partial = true;
                    if index > 0 {
                        break;
                    }
                }
                buf.len = left;
            }
            spans.push(Iovec { base: buf.addr, len: u64::from(buf.len) });
            total += buf.len;
            left -= buf.len;
            if left == 0 {
                break;
            }
        }
        let empties = spans.len() == available;
        let Buf { addr, bid, len, .. } = head;
        let first = Selected { group, bid, addr, len: total, whole: len, taken: false };
        Some(Bundle { first, partial, empties })
    }

    /// Uses up `count` buffers from the head on, or, consumed incrementally, `len` bytes of them;
    /// whether there is more of the buffer that is now at the head.
    fn consume(&mut self, count: u16, len: u32) -> bool {
        if !self.incremental {
            self.head = self.head.wrapping_add(count);
            return false;
        }
        let mut len = len;
        loop {
            let at = self.place(self.head);
            let buf: Buf = self.shm.read(at);
            let used = len.min(buf.len);
            let left = buf.len - used;
            let stays = left > 0 && left >= self.min_left || used == 0;
            // What is left is written back, for the program to see and for the next to take.
            if stays {
                self.shm.write(at, buf.addr.wrapping_add(u64::from(used)));
                self.shm.write(at + std::mem::offset_of!(Buf, len), left);
                return true;
            }
            self.shm.write(at + std::mem::offset_of!(Buf, len), 0u32);
            self.head = self.head.wrapping_add(1);
            len -= used;
            if len == 0 {
                return false;
            }
        }
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
    /// Whether there is a group of this number.
    pub(crate) fn is_there(&self, group: u16) -> bool {
        self.groups.contains_key(&group)
    }

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
    let (buf, taken) = match sub.registered.groups.groups.get_mut(&group) {
        None => return Err(Errno::ENOBUFS),
        Some(Group::Legacy(buffers)) => (buffers.pop_front().ok_or(Errno::ENOBUFS)?, true),
        Some(Group::Ring(ring)) => (ring.peek().ok_or(Errno::ENOBUFS)?, false),
    };
    let Buf { addr, bid, len: whole, .. } = buf;
    req.buffer = Some(Selected { group, bid, addr, len: cut(whole), whole, taken });
    Ok(())
}

/// What a bundle is like besides its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Its last buffer is cut, so nothing can follow in the same completion.
    pub(crate) partial: bool,
    /// Its group has no more buffers.
    pub(crate) empties: bool,
}

/// Takes as many buffers of the request's group as `len` bytes need, 0 for as many as there are;
/// their memory is in the request's spans then. A group of the older form gives one.
///
/// # Errors
/// `ENOBUFS` if the group has none.
pub(crate) fn select_bundle<H: Host>(
    sub: &mut Submit<H>,
    host: &H,
    req: &mut Req<H>,
    len: u32,
) -> Result<Shape> {
    let group = req.sqe.buf_index;
    let Some(Group::Ring(ring)) = sub.registered.groups.groups.get(&group) else {
        select(sub, host, req, len)?;
        let buffer = req.buffer.ok_or(Errno::ENOBUFS)?;
        req.spans.clear();
        req.spans.push(Iovec { base: buffer.addr, len: u64::from(buffer.len) });
        return Ok(Shape::default());
    };
    let bundle = ring.gather(group, len, &mut req.spans).ok_or(Errno::ENOBUFS)?;
    req.buffer = Some(bundle.first);
    Ok(Shape { partial: bundle.partial, empties: bundle.empties })
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

/// How many of the request's buffers `len` bytes fill.
fn filled<H: Host>(req: &Req<H>, len: u32) -> u16 {
    let mut left = u64::from(len);
    let mut count = 0;
    for span in &req.spans {
        count += 1;
        if left <= span.len {
            break;
        }
        left -= span.len;
    }
    count.max(1)
}

/// Uses up what `len` bytes take of the buffers that a request has.
fn consume<H: Host>(sub: &mut Submit<H>, req: &mut Req<H>, len: u32) {
    let count = filled(req, len);
    if let Some(selected) = req.buffer
        && !selected.taken
        && let Some(Group::Ring(ring)) = sub.registered.groups.groups.get_mut(&selected.group)
        && ring.consume(count, len)
    {
        req.cqe_flags |= IORING_CQE_F_BUF_MORE;
    }
}

/// Moves the ring's head past the buffers of a request that keeps them, used or not.
pub(crate) fn commit<H: Host>(sub: &mut Submit<H>, req: &mut Req<H>) {
    let Some(selected) = req.buffer else { return };
    consume(sub, req, selected.len);
    req.buffer = Some(Selected { taken: true, ..selected });
}

/// A request with a buffer ends or posts: used if `res` says so, given back if not.
pub(crate) fn settle<H: Host>(sub: &mut Submit<H>, req: &mut Req<H>, res: i32) {
    let Some(selected) = req.buffer else { return };
    // A read reports its buffer even at the end of the file, a receive does not.
    let is_read = req.sqe.opcode == Op::Read as u8 || req.sqe.opcode == Op::Readv as u8;
    // A send has used its buffer up whatever comes of it.
    let is_send = req.sqe.opcode == Op::Send as u8;
    if !is_send && (res < 0 || res == 0 && !is_read) {
        return put_back(sub, req);
    }
    consume(sub, req, res as u32);
    req.buffer = None;
    req.cqe_flags |= IORING_CQE_F_BUFFER | u32::from(selected.bid) << IORING_CQE_BUFFER_SHIFT;
}
