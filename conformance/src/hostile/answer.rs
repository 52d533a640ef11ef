//! What one entry, or one registration, is answered with: the same, whoever answers.
//!
//! A world is made for each, with files and buffers registered and provided, and all that is seen
//! is kept: what the call returned, the completions, what was written to the program's memory.

use super::program::Register;
use super::run::{end, register_one};
use super::{Addr, Entry, Fd, World};
use crate::{Ring, Target, sys};
use arbitrary::{Arbitrary, Unstructured};
use ringfence_abi::*;
use std::time::Duration;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// An entry.
    Entry(Entry),
    /// A registration.
    Register(Register),
}

/// What is sensible for an operation to act on.
const SENSIBLE: &[(std::ops::RangeInclusive<u8>, &[Fd])] = &[
    (Op::Readv as u8..=Op::Writev as u8, FILES),
    (Op::Fsync as u8..=Op::Fsync as u8, &[Fd::File]),
    (Op::ReadFixed as u8..=Op::WriteFixed as u8, FILES),
    (Op::PollAdd as u8..=Op::PollAdd as u8, FILES),
    (Op::SyncFileRange as u8..=Op::SyncFileRange as u8, &[Fd::File]),
    (Op::Sendmsg as u8..=Op::Recvmsg as u8, SOCKETS),
    (Op::Accept as u8..=Op::Accept as u8, &[Fd::Listener]),
    (Op::Connect as u8..=Op::Connect as u8, SOCKETS),
    (Op::Fallocate as u8..=Op::Fallocate as u8, &[Fd::File]),
    (Op::Openat as u8..=Op::Openat as u8, PLACES),
    (Op::Statx as u8..=Op::Statx as u8, PLACES),
    (Op::Read as u8..=Op::Fadvise as u8, FILES),
    (Op::Send as u8..=Op::Recv as u8, SOCKETS),
    (Op::Openat2 as u8..=Op::Openat2 as u8, PLACES),
    (Op::EpollCtl as u8..=Op::EpollCtl as u8, &[Fd::Epoll]),
    (Op::Splice as u8..=Op::Splice as u8, FILES),
    (Op::Tee as u8..=Op::Shutdown as u8, &[Fd::Writer, Fd::Left, Fd::Datagram]),
    (Op::Renameat as u8..=Op::Linkat as u8, PLACES),
    (Op::MsgRing as u8..=Op::MsgRing as u8, &[Fd::OtherRing, Fd::Ring]),
    (Op::Fsetxattr as u8..=Op::Fgetxattr as u8, &[Fd::File]),
    (Op::UringCmd as u8..=Op::SendmsgZc as u8, SOCKETS),
    (Op::ReadMultishot as u8..=Op::ReadMultishot as u8, &[Fd::Reader, Fd::Left]),
    (Op::FixedFdInstall as u8..=Op::FixedFdInstall as u8, &[Fd::Slot(0), Fd::Slot(1)]),
    (Op::Ftruncate as u8..=Op::Ftruncate as u8, &[Fd::File]),
    (Op::Bind as u8..=Op::RecvZc as u8, SOCKETS),
    (Op::EpollWait as u8..=Op::EpollWait as u8, &[Fd::Epoll]),
    (Op::ReadvFixed as u8..=Op::WritevFixed as u8, FILES),
];
const FILES: &[Fd] = &[Fd::File, Fd::Reader, Fd::Writer, Fd::Left, Fd::Eventfd, Fd::Null];
const SOCKETS: &[Fd] = &[Fd::Left, Fd::Right, Fd::Datagram, Fd::Listener];
const PLACES: &[Fd] = &[Fd::Cwd, Fd::Dir];

impl<'a> Arbitrary<'a> for Question {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Question> {
        if u.ratio(1, 6)? {
            return Ok(Question::Register(u.arbitrary()?));
        }
        let mut entry: Entry = u.arbitrary()?;
        let row = SENSIBLE.iter().find(|(ops, _)| ops.contains(&entry.op));
        if let Some((_, fds)) = row
            && u.ratio(3, 4)?
        {
            entry.fd = *u.choose(fds)?;
        }
        // A chain that the end of a submission closes is run by the kernel's workers, which block and
        // are interrupted. And a transfer of what knows none waits in the kernel, if it can be polled.
        entry.flags &= !(IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
        if matches!(entry.fd, Fd::Epoll | Fd::Ring | Fd::OtherRing)
            && (is_transfer(entry.op) || entry.op == Op::Fsync as u8)
        {
            entry.fd = Fd::Null;
        }
        // To read nothing is an error there for some, which the system call does not come to.
        if entry.fd == Fd::Eventfd && is_transfer(entry.op) && entry.op != Op::Read as u8 {
            entry.fd = Fd::Reader;
        }
        // A number that may be any file of the test's; and the kernel never starts what is sent without a
        // copy behind a drain, for its notification counts as a request before it.
        if matches!(entry.fd, Fd::Slot(_)) && entry.flags & IOSQE_FIXED_FILE == 0 {
            entry.fd = Fd::Closed;
        }
        if [Op::SendZc as u8, Op::SendmsgZc as u8].contains(&entry.op) {
            entry.flags &= !IOSQE_IO_DRAIN;
        }
        Ok(Question::Entry(entry))
    }
}

fn is_transfer(op: u8) -> bool {
    const TRANSFERS: [Op; 9] = [
        Op::Readv,
        Op::Writev,
        Op::ReadFixed,
        Op::WriteFixed,
        Op::Read,
        Op::Write,
        Op::ReadMultishot,
        Op::ReadvFixed,
        Op::WritevFixed,
    ];
    TRANSFERS.iter().any(|transfer| *transfer as u8 == op)
}

/// Operations whose results are numbers of new descriptors, unless they go to a slot.
const OPENS: [Op; 5] = [Op::Openat, Op::Openat2, Op::Accept, Op::Socket, Op::FixedFdInstall];

/// Asks `target`, and waits for `time` for what may come; all that was seen, line by line.
pub fn ask(target: &dyn Target, question: &Question, time: Duration) -> Vec<String> {
    let before = sys::open_fds();
    let ring = Ring::new(target, 8, Params::default()).expect("a ring");
    let other = Ring::new(target, 4, Params::default()).expect("a ring");
    let mut world = World::new();
    world.rings = (ring.fd, other.fd);
    let mut ring = ring;
    furnish(&ring, &world);
    world.feed(40);
    let mut lines = Vec::new();
    match question {
        Question::Register(register) => {
            lines.push(format!("{:?}", register_one(target, &ring, &world, register)));
        }
        Question::Entry(entry) => {
            let sqe = entry.sqe(&world);
            ring.push(sqe);
            lines.push(format!("submitted {:?}", ring.submit()));
            lines.extend(ring.settle(time).into_iter().map(|cqe| shown(&sqe, cqe)));
            let cancel = crate::sqe::cancel(0, IORING_ASYNC_CANCEL_ANY);
            ring.push(Sqe { user_data: 99, ..cancel });
            lines.push(format!("cancelled {:?}", ring.submit()));
            lines.extend(ring.settle(time / 4).into_iter().map(|cqe| shown(&sqe, cqe)));
            // Times and inodes differ.
            if sqe.opcode != Op::Statx as u8 {
                lines.push(format!("memory {:x}", world.digest()));
            }
        }
    }
    end(ring, Some(other));
    drop(world);
    super::run::settle(target, &before);
    lines
}

fn shown(sqe: &Sqe, cqe: Cqe) -> String {
    let opens = OPENS.iter().any(|op| *op as u8 == sqe.opcode) && sqe.file_index == 0;
    let res = match cqe.res {
        fd if opens && fd > 0 && cqe.user_data == sqe.user_data => "a descriptor".to_owned(),
        res => res.to_string(),
    };
    format!("{}: {res}, flags {:#x}", cqe.user_data, cqe.flags)
}

/// Registers files and buffers, and provides some.
fn furnish(ring: &Ring<'_>, world: &World) {
    let slots = [Fd::File, Fd::Reader, Fd::Left].map(|fd| world.fd(fd));
    let slots = [slots[0], slots[1], slots[2], -1];
    assert_eq!(ring.register(RegisterOp::Files, &slots), Ok(0));
    let at = |offset| world.addr(Addr::Arena(offset));
    let vectors = [[at(0), 4096], [at(0x4000), 64]];
    assert_eq!(ring.register(RegisterOp::Buffers, &vectors), Ok(0));
}
