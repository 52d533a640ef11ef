//! The operation table: one row per opcode, in the order of the ABI.
//!
//! A row holds the traits that the common checks read, how prep refuses and copies, how issue
//! tries, and what a worker does when issue would block. The probe, `ringfence ops` and the docs
//! are printed from these rows; an opcode without a row is answered as an unknown one.

use crate::issue::Cx;
use crate::ops;
use crate::request::{Outcome, Req, Request};
use crate::submit::Prep;
use ringfence_abi::{Op, Result};
use ringfence_host::Host;

/// Prep: checks the entry and copies what it points to.
pub(crate) type PrepFn<H> = fn(&mut Req<H>, &mut Prep<'_, H>) -> Result<()>;
/// Issue: tries without blocking.
pub(crate) type IssueFn<H> = fn(&mut Req<H>, &mut Cx<'_, H>) -> Outcome;
/// Work: the blocking call, on a worker, without the ring's lock.
pub(crate) type WorkFn<H> = fn(&mut Req<H>, &H) -> i32;
/// Done: what is left to do under the lock when a worker has made the call.
pub(crate) type DoneFn<H> = fn(&mut Req<H>, i32, &mut Cx<'_, H>) -> Outcome;
/// Whether a result is a short transfer, which breaks a link.
pub(crate) type ShortFn<H> = fn(&Request<H>, i32) -> bool;

/// Needs a file.
pub(crate) const NEEDS_FILE: u16 = 1 << 0;
/// Takes an I/O priority, or flags in its place.
pub(crate) const IOPRIO: u16 = 1 << 1;
/// Works on IOPOLL rings.
pub(crate) const IOPOLL: u16 = 1 << 2;
/// Takes provided buffers.
pub(crate) const BUFFER_SELECT: u16 = 1 << 3;
/// A worker can do it.
pub(crate) const CAN_WORK: u16 = 1 << 4;
/// Its work may take long: no bound on such workers.
pub(crate) const UNBOUNDED: u16 = 1 << 5;
/// It looks at its file before it goes to a worker: what waits for readiness blocks none.
pub(crate) const LOOKS_FIRST: u16 = 1 << 6;

/// It makes no system call, so no time passes that a timer would notice.
pub(crate) const QUICK: u16 = 1 << 7;
/// What its call fails with is its result and no more: the chain goes on, and one that is silent about
/// success is silent.
pub(crate) const FAILS_QUIETLY: u16 = 1 << 8;

/// One row.
pub(crate) struct OpDef<H: Host> {
    pub(crate) op: Op,
    traits: u16,
    pub(crate) prep: PrepFn<H>,
    pub(crate) issue: IssueFn<H>,
    pub(crate) work: WorkFn<H>,
    pub(crate) done: DoneFn<H>,
    pub(crate) is_short: ShortFn<H>,
    /// What differs from the kernel, for the reader of the support table.
    pub(crate) note: &'static str,
}

impl<H: Host> OpDef<H> {
    /// Whether it has a trait.
    #[inline]
    pub(crate) fn has(&self, traits: u16) -> bool {
        self.traits & traits != 0
    }

    const fn work(mut self, work: WorkFn<H>) -> Self {
        self.work = work;
        self.traits |= CAN_WORK;
        self
    }

    const fn done(mut self, done: DoneFn<H>) -> Self {
        self.done = done;
        self
    }

    const fn short(mut self, is_short: ShortFn<H>) -> Self {
        self.is_short = is_short;
        self
    }

    const fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }
}

fn no_work<H: Host>(_: &mut Req<H>, _: &H) -> i32 {
    ringfence_abi::Errno::EOPNOTSUPP.as_result()
}

fn as_is<H: Host>(_: &mut Req<H>, res: i32, _: &mut Cx<'_, H>) -> Outcome {
    Outcome::Done(res)
}

fn never_short<H: Host>(_: &Request<H>, _: i32) -> bool {
    false
}

const fn row<H: Host>(op: Op, traits: u16, prep: PrepFn<H>, issue: IssueFn<H>) -> Option<OpDef<H>> {
    Some(def(op, traits, prep, issue))
}

const fn def<H: Host>(op: Op, traits: u16, prep: PrepFn<H>, issue: IssueFn<H>) -> OpDef<H> {
    let (work, done, is_short) = (no_work, as_is, never_short);
    OpDef { op, traits, prep, issue, work, done, is_short, note: "" }
}

/// The rows for a host.
pub(crate) struct Table<H>(std::marker::PhantomData<H>);

impl<H: Host> Table<H> {
    /// The row of an opcode, if the operation is there.
    #[inline]
    pub(crate) fn get(opcode: u8) -> Option<&'static OpDef<H>> {
        Self::ROWS.get(opcode as usize)?.as_ref()
    }

    const FILE: u16 = NEEDS_FILE;
    const RW: u16 = NEEDS_FILE | IOPRIO | IOPOLL | LOOKS_FIRST;
    const NET: u16 = NEEDS_FILE | IOPRIO | UNBOUNDED;
    const CMD: u16 = NEEDS_FILE | IOPOLL | BUFFER_SELECT;

    const ROWS: &'static [Option<OpDef<H>>; Op::COUNT] = &[
        row(Op::Nop, IOPOLL, ops::nop::prep, ops::nop::issue),
        Some(
            def(Op::Readv, Self::RW | BUFFER_SELECT, ops::rw::prep_vectored, ops::rw::read)
                .work(ops::rw::work_read)
                .short(ops::rw::is_short),
        ),
        Some(
            def(Op::Writev, Self::RW, ops::rw::prep_vectored, ops::rw::write)
                .work(ops::rw::work_write)
                .short(ops::rw::is_short),
        ),
        Some(
            def(Op::Fsync, Self::FILE | FAILS_QUIETLY, ops::sync::prep_fsync, ops::sync::issue)
                .work(ops::sync::fsync),
        ),
        Some(
            def(Op::ReadFixed, Self::RW, ops::rw::prep_fixed, ops::rw::read)
                .work(ops::rw::work_read)
                .short(ops::rw::is_short),
        ),
        Some(
            def(Op::WriteFixed, Self::RW, ops::rw::prep_fixed, ops::rw::write)
                .work(ops::rw::work_write)
                .short(ops::rw::is_short),
        ),
        row(Op::PollAdd, Self::FILE | UNBOUNDED, ops::poll::prep_add, ops::poll::add),
        row(Op::PollRemove, 0, ops::poll::prep_remove, ops::poll::remove),
        Some(
            def(
                Op::SyncFileRange,
                Self::FILE | FAILS_QUIETLY,
                ops::sync::prep_range,
                ops::sync::issue,
            )
            .work(ops::sync::sync_file_range),
        ),
        Some(
            def(Op::Sendmsg, Self::NET, ops::message::prep_send, ops::message::send)
                .short(ops::message::is_short),
        ),
        Some(
            def(
                Op::Recvmsg,
                Self::NET | BUFFER_SELECT,
                ops::message::prep_recv,
                ops::message::recv,
            )
            .short(ops::message::is_short),
        ),
        row(Op::Timeout, QUICK, ops::timeout::prep, ops::timeout::issue),
        row(Op::TimeoutRemove, QUICK, ops::timeout::prep_remove, ops::timeout::remove),
        row(Op::Accept, Self::NET, ops::net::prep_accept, ops::net::accept),
        row(Op::AsyncCancel, QUICK, ops::cancel::prep, ops::cancel::issue),
        row(Op::LinkTimeout, 0, ops::timeout::prep_link, ops::timeout::issue_link),
        row(Op::Connect, Self::FILE | UNBOUNDED, ops::net::prep_connect, ops::net::connect),
        Some(
            def(
                Op::Fallocate,
                Self::FILE | FAILS_QUIETLY,
                ops::sync::prep_fallocate,
                ops::sync::issue,
            )
            .work(ops::sync::fallocate),
        ),
        Some(
            def(Op::Openat, 0, ops::open::prep_openat, ops::open::issue)
                .work(ops::open::work)
                .done(ops::open::done),
        ),
        row(Op::Close, 0, ops::close::prep, ops::close::issue),
        row(Op::FilesUpdate, IOPOLL, ops::files_update::prep, ops::files_update::issue),
        Some(
            def(Op::Statx, LOOKS_FIRST | FAILS_QUIETLY, ops::fs::prep_statx, ops::fs::issue_statx)
                .work(ops::fs::statx),
        ),
        Some(
            def(Op::Read, Self::RW | BUFFER_SELECT, ops::rw::prep_single, ops::rw::read)
                .work(ops::rw::work_read)
                .short(ops::rw::is_short),
        ),
        Some(
            def(Op::Write, Self::RW, ops::rw::prep_single, ops::rw::write)
                .work(ops::rw::work_write)
                .short(ops::rw::is_short),
        ),
        Some(
            def(Op::Fadvise, Self::FILE, ops::advise::prep_fadvise, ops::advise::issue)
                .work(ops::advise::fadvise),
        ),
        Some(
            def(Op::Madvise, FAILS_QUIETLY, ops::advise::prep_madvise, ops::advise::issue)
                .work(ops::advise::madvise),
        ),
        Some(
            def(Op::Send, Self::NET | BUFFER_SELECT, ops::send::prep, ops::send::issue)
                .short(ops::send::is_short),
        ),
        Some(
            def(Op::Recv, Self::NET | BUFFER_SELECT, ops::recv::prep, ops::recv::issue)
                .short(ops::recv::is_short),
        ),
        Some(
            def(Op::Openat2, 0, ops::open::prep_openat2, ops::open::issue)
                .work(ops::open::work)
                .done(ops::open::done),
        ),
        row(Op::EpollCtl, 0, ops::epoll::prep, ops::epoll::issue),
        Some(
            def(Op::Splice, Self::FILE | UNBOUNDED, ops::splice::prep, ops::splice::splice)
                .short(ops::splice::is_short),
        ),
        row(Op::ProvideBuffers, IOPOLL, ops::buffers::prep_provide, ops::buffers::provide),
        row(Op::RemoveBuffers, IOPOLL, ops::buffers::prep_remove, ops::buffers::remove),
        Some(
            def(Op::Tee, Self::FILE | UNBOUNDED, ops::splice::prep_tee, ops::splice::tee)
                .short(ops::splice::is_short),
        ),
        row(Op::Shutdown, Self::FILE, ops::net::prep_shutdown, ops::net::shutdown),
        Some(
            def(Op::Renameat, FAILS_QUIETLY, ops::fs::prep_renameat, ops::fs::issue)
                .work(ops::fs::renameat),
        ),
        Some(
            def(Op::Unlinkat, FAILS_QUIETLY, ops::fs::prep_unlinkat, ops::fs::issue)
                .work(ops::fs::unlinkat),
        ),
        Some(
            def(Op::Mkdirat, FAILS_QUIETLY, ops::fs::prep_mkdirat, ops::fs::issue)
                .work(ops::fs::mkdirat),
        ),
        Some(
            def(Op::Symlinkat, FAILS_QUIETLY, ops::fs::prep_symlinkat, ops::fs::issue)
                .work(ops::fs::symlinkat),
        ),
        Some(
            def(Op::Linkat, FAILS_QUIETLY, ops::fs::prep_linkat, ops::fs::issue)
                .work(ops::fs::linkat),
        ),
        Some(
            def(Op::MsgRing, Self::FILE | IOPOLL, ops::msg_ring::prep, ops::msg_ring::issue)
                .note("targets are rings of the same process"),
        ),
        Some(
            def(Op::Fsetxattr, Self::FILE | FAILS_QUIETLY, ops::xattr::prep_fset, ops::fs::issue)
                .work(ops::xattr::fset),
        ),
        Some(
            def(Op::Setxattr, FAILS_QUIETLY, ops::xattr::prep_set, ops::fs::issue)
                .work(ops::xattr::set),
        ),
        Some(
            def(Op::Fgetxattr, Self::FILE | FAILS_QUIETLY, ops::xattr::prep_fget, ops::fs::issue)
                .work(ops::xattr::fget),
        ),
        Some(
            def(Op::Getxattr, FAILS_QUIETLY, ops::xattr::prep_get, ops::fs::issue)
                .work(ops::xattr::get),
        ),
        row(Op::Socket, 0, ops::net::prep_socket, ops::net::socket),
        row(Op::UringCmd, Self::CMD, ops::command::prep, ops::command::issue),
        Some(
            def(Op::SendZc, Self::NET, ops::zero_copy::prep_send, ops::zero_copy::send)
                .short(ops::zero_copy::is_short)
                .note("data is copied"),
        ),
        Some(
            def(Op::SendmsgZc, Self::NET, ops::zero_copy::prep_sendmsg, ops::zero_copy::sendmsg)
                .short(ops::zero_copy::is_short)
                .note("data is copied"),
        ),
        row(
            Op::ReadMultishot,
            Self::NET | BUFFER_SELECT,
            ops::read_multishot::prep,
            ops::read_multishot::issue,
        ),
        row(Op::Waitid, UNBOUNDED, ops::waitid::prep, ops::waitid::issue),
        row(Op::FutexWait, UNBOUNDED, ops::futex::prep_wait, ops::futex::wait),
        Some(
            def(Op::FutexWake, UNBOUNDED | LOOKS_FIRST, ops::futex::prep_wake, ops::futex::wake)
                .work(ops::futex::work_wake),
        ),
        row(Op::FutexWaitv, UNBOUNDED, ops::futex::prep_waitv, ops::futex::wait),
        row(
            Op::FixedFdInstall,
            Self::FILE,
            ops::fixed_fd_install::prep,
            ops::fixed_fd_install::issue,
        ),
        Some(
            def(
                Op::Ftruncate,
                Self::FILE | FAILS_QUIETLY,
                ops::sync::prep_ftruncate,
                ops::sync::issue,
            )
            .work(ops::sync::ftruncate),
        ),
        row(Op::Bind, Self::FILE, ops::net::prep_bind, ops::net::bind),
        row(Op::Listen, Self::FILE, ops::net::prep_listen, ops::net::listen),
        row(Op::RecvZc, Self::NET, ops::zero_copy::prep_recv, ops::zero_copy::recv),
        row(Op::EpollWait, Self::FILE | UNBOUNDED, ops::epoll::prep_wait, ops::epoll::wait),
        Some(
            def(Op::ReadvFixed, Self::RW, ops::rw::prep_vectored_fixed, ops::rw::read)
                .work(ops::rw::work_read)
                .short(ops::rw::is_short),
        ),
        Some(
            def(Op::WritevFixed, Self::RW, ops::rw::prep_vectored_fixed, ops::rw::write)
                .work(ops::rw::work_write)
                .short(ops::rw::is_short),
        ),
        row(Op::Pipe, 0, ops::pipe::prep, ops::pipe::issue),
        row(Op::Nop128, IOPOLL, ops::nop::prep, ops::nop::issue),
        row(Op::UringCmd128, Self::CMD, ops::command::prep, ops::command::issue),
    ];

    /// Rows stand at the place of their opcode.
    pub(crate) const IN_ABI_ORDER: () = {
        let mut code = 0;
        while code < Op::COUNT {
            if let Some(row) = &Self::ROWS[code] {
                assert!(row.op as usize == code, "rows stand in ABI order");
            }
            code += 1;
        }
    };
}

/// What the engine says of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support {
    /// The operation.
    pub op: Op,
    /// Whether it is there.
    pub supported: bool,
    /// What differs from the kernel, empty for nothing.
    pub note: &'static str,
}

/// The support table, in the order of the ABI.
pub fn support() -> Vec<Support> {
    let of = |op: &Op| match Table::<ringfence_host::Os>::get(*op as u8) {
        Some(def) => Support { op: *op, supported: true, note: def.note },
        None => Support { op: *op, supported: false, note: "" },
    };
    Op::ALL.iter().map(of).collect()
}
