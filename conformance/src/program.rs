//! Small programs of requests, drawn from a seed, to be run on two targets and compared.
//!
//! Only what the kernel promises is drawn, so that two runs agree: each pipe has one reader, what
//! is cancelled waits for ever, and times are either over or far away.

use crate::sqe::{self, SqeExt};
use ringfence_abi::*;

/// Pipes that a program may use, each for one reader.
pub const PIPES: usize = 6;
/// Slots of the file table: the first holds the file, the others are empty.
pub const SLOTS: u32 = 3;

/// What one request does. Numbers choose among the resources of the [`crate::differ::World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A nop with this result.
    Nop(i32),
    /// Reads `.0` bytes of the file at `.1`.
    Read(u32, u64),
    /// Writes two bytes of the file at an offset.
    Write(u64),
    /// Reads up to eight bytes from a pipe.
    ReadPipe(usize),
    /// Reads from a pipe into a provided buffer.
    ReadPipeSelect(usize),
    /// Writes some bytes to a pipe.
    WritePipe(usize, u32),
    /// Polls a pipe for input, once or again and again.
    Poll(usize, bool),
    /// A timeout: over at once or far away, after so many completions.
    Timeout(bool, u64),
    /// A linked timeout: soon or far away.
    LinkTimeout(bool),
    /// Cancels by the number of a request; all of them or one.
    Cancel(u64, bool),
    /// Removes the poll of a request.
    PollRemove(u64),
    /// Removes the timeout of a request.
    TimeoutRemove(u64),
    /// Reads from a slot of the file table.
    ReadSlot(u32),
    /// Opens into a slot.
    OpenSlot(u32),
    /// Closes a slot.
    CloseSlot(u32),
    /// Lends a provided buffer.
    Provide(u16),
    /// Takes provided buffers back.
    Remove(i32),
    /// Uses a descriptor that is not there.
    BadFile,
    /// Is refused when prepared.
    Refused,
}

/// A request: what it does, under which entry flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it does.
    pub action: Action,
    /// `IOSQE_*`.
    pub flags: u8,
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Submits requests in one call.
    Submit(Vec<Request>),
    /// The program itself writes bytes to a pipe.
    Feed(usize, u32),
}

/// Numbers from a seed (xorshift).
#[derive(Clone, Debug)]
pub struct Source(u64);

impl Source {
    /// A source; seeds that differ give streams that differ.
    pub fn new(seed: u64) -> Source {
        let mut source = Source(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..4).for_each(|_| _ = source.below(2));
        source
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Draws the program of a seed.
pub fn draw(seed: u64) -> Vec<Step> {
    let mut source = Source::new(seed);
    let mut drawn = Drawn { read: [false; PIPES], waiting: Vec::new() };
    let mut count = 0;
    let mut steps = Vec::new();
    // A ring that has seen CQE_SKIP refuses drains: a program has one or the other.
    let drains = source.one_in(2);
    for _ in 0..1 + source.below(4) {
        if source.one_in(3) {
            let pipe = source.below(PIPES as u64) as usize;
            steps.push(Step::Feed(pipe, 1 + source.below(8) as u32));
        }
        let mut batch = Vec::new();
        for _ in 0..1 + source.below(6) {
            let action = action(&mut source, &mut drawn);
            batch.push(Request { action, flags: flags(&mut source, drains, action) });
            count += 1;
        }
        promised_only(&mut batch, drains);
        // Whoever is cancelled waits since an earlier submission.
        let first = count + 1 - batch.len() as u64;
        let waits = |action: &Action| {
            matches!(
                action,
                Action::ReadPipe(_)
                    | Action::ReadPipeSelect(_)
                    | Action::Poll(..)
                    | Action::Timeout(false, _)
            )
        };
        let new = (first..).zip(&batch).filter(|(_, request)| waits(&request.action));
        drawn.waiting.extend(new.map(|(number, _)| number));
        steps.push(Step::Submit(batch));
    }
    steps
}

/// Takes out of a batch what the kernel does in one way or another.
fn promised_only(batch: &mut [Request], drains: bool) {
    const LINKS: u8 = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;
    // A chain that the end of a submission closes is run by the kernel's workers, which blocks
    // them, and a worker may be interrupted in place of cancelled.
    if let Some(last) = batch.last_mut() {
        last.flags &= !LINKS;
    }
    let writes = batch.iter().any(|request| matches!(request.action, Action::WritePipe(..)));
    let stores = batch.iter().any(|request| matches!(request.action, Action::Write(_)));
    let expires = batch.iter().any(|request| matches!(request.action, Action::Timeout(true, _)));
    let (mut follows_link, mut on_worker) = (false, false);
    for request in batch {
        on_worker &= follows_link;
        match &mut request.action {
            // Who has been woken may or may not be found any more.
            Action::Cancel(..) | Action::PollRemove(_) if writes => request.action = Action::Nop(3),
            // A worker goes on with the chain of what it has done.
            Action::ReadPipe(_) | Action::ReadPipeSelect(_) | Action::Poll(..) if on_worker => {
                request.action = Action::Nop(4);
            }
            // Workers run what was drained: they hold buffers while they wait, and are
            // interrupted in place of cancelled.
            Action::ReadPipeSelect(pipe) | Action::ReadPipe(pipe) if drains => {
                request.action = Action::Poll(*pipe, false);
            }
            // What a drain holds back starts at once when it ends, in any order.
            Action::Write(place) if drains => request.action = Action::Read(4, *place),
            Action::OpenSlot(slot) | Action::CloseSlot(slot) if drains => {
                request.action = Action::ReadSlot(*slot);
            }
            // Events that come while a poll is armed may be one or two.
            Action::Poll(pipe, true) if writes => request.action = Action::Poll(*pipe, false),
            // A worker may write before or after a read.
            Action::Read(..) | Action::ReadSlot(_) if stores => request.action = Action::Nop(5),
            // What has been posted when a linked or drained timeout starts is a matter of when
            // the kernel's task work runs.
            Action::Timeout(_, count) if follows_link || drains || stores || expires => *count = 0,
            _ => {}
        }
        on_worker |= matches!(request.action, Action::Write(_) | Action::OpenSlot(_));
        follows_link = request.flags & LINKS != 0;
    }
}

fn flags(source: &mut Source, drains: bool, action: Action) -> u8 {
    let mut flags = match source.below(10) {
        0..=2 => IOSQE_IO_LINK,
        3 => IOSQE_IO_HARDLINK,
        _ => 0,
    };
    if drains && source.one_in(12) {
        flags |= IOSQE_IO_DRAIN;
    }
    if !drains && source.one_in(10) && !matches!(action, Action::Poll(_, true)) {
        flags |= IOSQE_CQE_SKIP_SUCCESS;
    }
    flags
}

/// What was drawn so far.
struct Drawn {
    /// Pipes that have a reader.
    read: [bool; PIPES],
    /// Requests that wait, which alone may be cancelled.
    waiting: Vec<u64>,
}

impl Drawn {
    /// A pipe that nobody reads yet.
    fn unread(&mut self, source: &mut Source) -> Option<usize> {
        let pipe = source.below(PIPES as u64) as usize;
        if std::mem::replace(&mut self.read[pipe], true) {
            return None;
        }
        Some(pipe)
    }

    /// A request that waits, or a number that no request has.
    fn waiting(&self, source: &mut Source) -> u64 {
        let count = self.waiting.len() as u64;
        self.waiting.get(source.below(count + 1) as usize).copied().unwrap_or(1000)
    }
}

fn action(source: &mut Source, drawn: &mut Drawn) -> Action {
    let slot = source.below(u64::from(SLOTS)) as u32;
    let place = [0, 3, 12, 100][source.below(4) as usize];
    match source.below(24) {
        0..=2 => Action::Nop([0, 0, 7, -5][source.below(4) as usize]),
        3 | 4 => Action::Read([4, 32][source.below(2) as usize], place),
        5 => Action::Write(place),
        6 | 7 => drawn.unread(source).map_or(Action::Nop(0), Action::ReadPipe),
        8 => drawn.unread(source).map_or(Action::Nop(1), Action::ReadPipeSelect),
        9 | 10 => {
            let pipe = source.below(PIPES as u64) as usize;
            Action::WritePipe(pipe, 1 + source.below(8) as u32)
        }
        11 | 12 => match drawn.unread(source) {
            Some(pipe) => Action::Poll(pipe, source.one_in(2)),
            None => Action::Nop(2),
        },
        13 => {
            let over = source.one_in(2);
            Action::Timeout(over, if over { 0 } else { source.below(3) })
        }
        14 | 15 => Action::LinkTimeout(source.one_in(2)),
        16 => Action::Cancel(drawn.waiting(source), source.one_in(2)),
        17 => Action::PollRemove(drawn.waiting(source)),
        18 => Action::TimeoutRemove(drawn.waiting(source)),
        19 => Action::ReadSlot(slot),
        20 => [Action::OpenSlot(slot), Action::CloseSlot(slot)][source.below(2) as usize],
        21 => match source.below(3) {
            0 => Action::Remove(1 + source.below(2) as i32),
            _ => Action::Provide(source.below(4) as u16),
        },
        22 => Action::BadFile,
        _ => Action::Refused,
    }
}

/// Descriptors and memory that entries are made of.
pub struct Resources {
    /// The file.
    pub file: i32,
    /// Readers and writers of the pipes.
    pub pipes: [(i32, i32); PIPES],
    /// Eight bytes for each request.
    pub buffers: u64,
    /// Times: one that is over, one that is far away, one that is soon.
    pub times: u64,
    /// Memory of provided buffers, eight bytes each.
    pub provided: u64,
}

/// The group that is a ring of buffers, from which requests select.
pub const GROUP: u16 = 7;
/// The group of the older form, which is only filled and emptied: the kernel lets a waiting read
/// hold a buffer of it, and other releases do not.
pub const LENT: u16 = 8;

/// The entry of request `number` (from 1 on).
pub fn entry(request: &Request, number: u64, r: &Resources) -> Sqe {
    let buffer = r.buffers + number * 32;
    let at = |over: bool| if over { r.times } else { r.times + 16 };
    let soon = |soon: bool| if soon { r.times + 32 } else { r.times + 16 };
    let plain = match request.action {
        Action::Nop(result) => sqe::nop_result(result),
        Action::Read(len, off) => sqe::raw(Op::Read, r.file, buffer, len, off),
        Action::Write(off) => sqe::raw(Op::Write, r.file, r.buffers, 2, off),
        Action::ReadPipe(pipe) => sqe::raw(Op::Read, r.pipes[pipe].0, buffer, 8, u64::MAX),
        Action::ReadPipeSelect(pipe) => {
            sqe::raw(Op::Read, r.pipes[pipe].0, 0, 8, u64::MAX).select(GROUP)
        }
        Action::WritePipe(pipe, len) => {
            sqe::raw(Op::Write, r.pipes[pipe].1, r.buffers, len, u64::MAX)
        }
        Action::Poll(pipe, false) => sqe::poll_add(r.pipes[pipe].0, libc::POLLIN),
        Action::Poll(pipe, true) => sqe::poll_multishot(r.pipes[pipe].0, libc::POLLIN),
        Action::Timeout(over, count) => sqe::raw(Op::Timeout, -1, at(over), 1, count),
        Action::LinkTimeout(is_soon) => sqe::raw(Op::LinkTimeout, -1, soon(is_soon), 1, 0),
        Action::Cancel(target, false) => sqe::cancel(target, 0),
        Action::Cancel(target, true) => sqe::cancel(target, IORING_ASYNC_CANCEL_ALL),
        Action::PollRemove(target) => sqe::poll_remove(target),
        Action::TimeoutRemove(target) => sqe::timeout_remove(target),
        Action::ReadSlot(slot) => sqe::raw(Op::Read, 0, buffer, 4, 0).fixed(slot),
        Action::OpenSlot(slot) => sqe::openat(libc::AT_FDCWD, c"/dev/null", 0, 0).slot(slot),
        Action::CloseSlot(slot) => sqe::close_slot(slot),
        Action::Provide(bid) => {
            sqe::provide_buffers(r.provided + u64::from(bid) * 8, 8, 1, LENT, bid)
        }
        Action::Remove(count) => sqe::remove_buffers(count, LENT),
        Action::BadFile => sqe::raw(Op::Read, 1 << 20, buffer, 4, 0),
        Action::Refused => Sqe { opcode: 0xfe, ..Sqe::default() },
    };
    plain.with(request.flags).data(number)
}
