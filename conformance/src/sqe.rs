//! Submission entries, one constructor per operation, as liburing's `io_uring_prep_*`.
//!
//! An entry holds addresses: what it points to must live until its completion.

use ringfence_abi::*;
use std::ffi::CStr;

/// Builds an entry up, field by field.
pub trait SqeExt: Sized {
    /// Sets `user_data`.
    fn data(self, user_data: u64) -> Self;
    /// Adds `IOSQE_*` flags.
    fn with(self, flags: u8) -> Self;
    /// Links the next entry to this one.
    fn link(self) -> Self {
        self.with(IOSQE_IO_LINK)
    }
    /// Links the next entry to this one, whatever comes of it.
    fn hardlink(self) -> Self {
        self.with(IOSQE_IO_HARDLINK)
    }
    /// Posts no completion on success.
    fn skip(self) -> Self {
        self.with(IOSQE_CQE_SKIP_SUCCESS)
    }
    /// Takes a buffer from `group`.
    fn select(self, group: u16) -> Self;
    /// Sets `ioprio`, the flags of accept, send and receive.
    fn ioprio(self, flags: u16) -> Self;
    /// Sets the operation's own flags.
    fn op_flags(self, flags: u32) -> Self;
    /// Sets `file_index` to a slot of the file table.
    fn slot(self, slot: u32) -> Self;
    /// Uses registered file `index` as the descriptor.
    fn fixed(self, index: u32) -> Self;
}

impl SqeExt for Sqe {
    fn data(self, user_data: u64) -> Self {
        Sqe { user_data, ..self }
    }
    fn with(self, flags: u8) -> Self {
        Sqe { flags: self.flags | flags, ..self }
    }
    fn select(self, group: u16) -> Self {
        Sqe { buf_index: group, ..self }.with(IOSQE_BUFFER_SELECT)
    }
    fn ioprio(self, flags: u16) -> Self {
        Sqe { ioprio: flags, ..self }
    }
    fn op_flags(self, flags: u32) -> Self {
        Sqe { op_flags: flags, ..self }
    }
    fn slot(self, slot: u32) -> Self {
        Sqe { file_index: slot.wrapping_add(1), ..self }
    }
    fn fixed(self, index: u32) -> Self {
        Sqe { fd: index as i32, ..self }.with(IOSQE_FIXED_FILE)
    }
}

/// Lets the ring choose the slot.
pub const SLOT_ALLOC: u32 = IORING_FILE_INDEX_ALLOC - 1;

/// An entry of `op` on `fd` with the three common fields.
pub fn raw(op: Op, fd: i32, addr: u64, len: u32, off: u64) -> Sqe {
    Sqe { opcode: op as u8, fd, addr, len, off, ..Sqe::default() }
}

/// The address of anything.
pub fn address<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>() as u64
}

/// The address of anything, to be written to.
pub fn address_mut<T: ?Sized>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).cast::<u8>() as u64
}

/// Does nothing.
pub fn nop() -> Sqe {
    raw(Op::Nop, -1, 0, 0, 0)
}

/// A nop that yields `result`, and counts as failed if that is negative.
pub fn nop_result(result: i32) -> Sqe {
    raw(Op::Nop, -1, 0, result as u32, 0).op_flags(IORING_NOP_INJECT_RESULT)
}

/// Reads at `off`, or at the file's position if that is -1.
pub fn read(fd: i32, buf: &mut [u8], off: u64) -> Sqe {
    raw(Op::Read, fd, buf.as_mut_ptr() as u64, buf.len() as u32, off)
}

/// Reads from a pipe, a socket, or what else has no offset.
pub fn read_stream(fd: i32, buf: &mut [u8]) -> Sqe {
    read(fd, buf, u64::MAX)
}

/// Writes at `off`, or at the file's position if that is -1.
pub fn write(fd: i32, buf: &[u8], off: u64) -> Sqe {
    raw(Op::Write, fd, buf.as_ptr() as u64, buf.len() as u32, off)
}

/// Reads into several buffers.
pub fn readv(fd: i32, iovecs: &[Iovec], off: u64) -> Sqe {
    raw(Op::Readv, fd, iovecs.as_ptr() as u64, iovecs.len() as u32, off)
}

/// Writes from several buffers.
pub fn writev(fd: i32, iovecs: &[Iovec], off: u64) -> Sqe {
    raw(Op::Writev, fd, iovecs.as_ptr() as u64, iovecs.len() as u32, off)
}

/// One iovec.
pub fn iovec(buf: &[u8]) -> Iovec {
    Iovec { base: buf.as_ptr() as u64, len: buf.len() as u64 }
}

/// One iovec to be written to.
pub fn iovec_mut(buf: &mut [u8]) -> Iovec {
    Iovec { base: buf.as_mut_ptr() as u64, len: buf.len() as u64 }
}

/// Reads into registered buffer `index`.
pub fn read_fixed(fd: i32, addr: u64, len: u32, off: u64, index: u16) -> Sqe {
    Sqe { buf_index: index, ..raw(Op::ReadFixed, fd, addr, len, off) }
}

/// Writes from registered buffer `index`.
pub fn write_fixed(fd: i32, addr: u64, len: u32, off: u64, index: u16) -> Sqe {
    Sqe { buf_index: index, ..raw(Op::WriteFixed, fd, addr, len, off) }
}

/// Waits for poll events, once.
pub fn poll_add(fd: i32, events: i16) -> Sqe {
    raw(Op::PollAdd, fd, 0, 0, 0).op_flags(events as u16 as u32)
}

/// Waits for poll events, again and again.
pub fn poll_multishot(fd: i32, events: i16) -> Sqe {
    Sqe { len: IORING_POLL_ADD_MULTI, ..poll_add(fd, events) }
}

/// Removes the poll with `target`.
pub fn poll_remove(target: u64) -> Sqe {
    raw(Op::PollRemove, -1, target, 0, 0)
}

/// Changes the poll with `target`: `flags` are `IORING_POLL_*`.
pub fn poll_update(target: u64, data: u64, events: i16, flags: u32) -> Sqe {
    raw(Op::PollRemove, -1, target, flags, data).op_flags(events as u16 as u32)
}

/// Expires after `ts`, or after `count` completions if that is not 0.
pub fn timeout(ts: &Timespec, count: u64, flags: u32) -> Sqe {
    raw(Op::Timeout, -1, address(ts), 1, count).op_flags(flags)
}

/// Removes the timeout with `target`.
pub fn timeout_remove(target: u64) -> Sqe {
    raw(Op::TimeoutRemove, -1, target, 0, 0)
}

/// Changes the timeout with `target`.
pub fn timeout_update(target: u64, ts: &Timespec, flags: u32) -> Sqe {
    raw(Op::TimeoutRemove, -1, target, 0, address(ts)).op_flags(flags | IORING_TIMEOUT_UPDATE)
}

/// Bounds the entry before it.
pub fn link_timeout(ts: &Timespec, flags: u32) -> Sqe {
    raw(Op::LinkTimeout, -1, address(ts), 1, 0).op_flags(flags)
}

/// Cancels by `target`.
pub fn cancel(target: u64, flags: u32) -> Sqe {
    raw(Op::AsyncCancel, -1, target, 0, 0).op_flags(flags)
}

/// Cancels by descriptor.
pub fn cancel_fd(fd: i32, flags: u32) -> Sqe {
    raw(Op::AsyncCancel, fd, 0, 0, 0).op_flags(flags | IORING_ASYNC_CANCEL_FD)
}

/// Sends on a socket.
pub fn send(fd: i32, buf: &[u8], msg_flags: i32) -> Sqe {
    raw(Op::Send, fd, buf.as_ptr() as u64, buf.len() as u32, 0).op_flags(msg_flags as u32)
}

/// Receives on a socket.
pub fn recv(fd: i32, buf: &mut [u8], msg_flags: i32) -> Sqe {
    raw(Op::Recv, fd, buf.as_mut_ptr() as u64, buf.len() as u32, 0).op_flags(msg_flags as u32)
}

/// Receives into provided buffers of `group`, again and again.
pub fn recv_multishot(fd: i32, group: u16) -> Sqe {
    raw(Op::Recv, fd, 0, 0, 0).ioprio(IORING_RECV_MULTISHOT).select(group)
}

/// Reads into provided buffers of `group`, again and again.
pub fn read_multishot(fd: i32, group: u16) -> Sqe {
    raw(Op::ReadMultishot, fd, 0, 0, u64::MAX).select(group)
}

/// Sends a message.
pub fn sendmsg(fd: i32, msg: &Msghdr, msg_flags: i32) -> Sqe {
    raw(Op::Sendmsg, fd, address(msg), 1, 0).op_flags(msg_flags as u32)
}

/// Receives a message.
pub fn recvmsg(fd: i32, msg: &mut Msghdr, msg_flags: i32) -> Sqe {
    raw(Op::Recvmsg, fd, address_mut(msg), 1, 0).op_flags(msg_flags as u32)
}

/// Accepts a connection; `flags` are those of accept4.
pub fn accept(fd: i32, flags: i32) -> Sqe {
    raw(Op::Accept, fd, 0, 0, 0).op_flags(flags as u32)
}

/// Connects to the address of `len` bytes at `addr`.
pub fn connect(fd: i32, addr: u64, len: u32) -> Sqe {
    raw(Op::Connect, fd, addr, 0, u64::from(len))
}

/// Makes a socket.
pub fn socket(domain: i32, kind: i32, protocol: i32) -> Sqe {
    raw(Op::Socket, domain, 0, protocol as u32, kind as u64)
}

/// Opens a file.
pub fn openat(dir: i32, path: &CStr, flags: i32, mode: u32) -> Sqe {
    raw(Op::Openat, dir, path.as_ptr() as u64, mode, 0).op_flags(flags as u32)
}

/// Opens a file, by `open_how`.
pub fn openat2(dir: i32, path: &CStr, how: &OpenHow) -> Sqe {
    raw(Op::Openat2, dir, path.as_ptr() as u64, size_of::<OpenHow>() as u32, address(how))
}

/// Closes a descriptor.
pub fn close(fd: i32) -> Sqe {
    raw(Op::Close, fd, 0, 0, 0)
}

/// Empties a slot of the file table.
pub fn close_slot(slot: u32) -> Sqe {
    raw(Op::Close, 0, 0, 0, 0).slot(slot)
}

/// Lends `count` buffers of `len` bytes at `addr` to `group`, the first with id `bid`.
pub fn provide_buffers(addr: u64, len: u32, count: i32, group: u16, bid: u16) -> Sqe {
    Sqe { buf_index: group, ..raw(Op::ProvideBuffers, count, addr, len, u64::from(bid)) }
}

/// Takes `count` buffers of `group` back.
pub fn remove_buffers(count: i32, group: u16) -> Sqe {
    Sqe { buf_index: group, ..raw(Op::RemoveBuffers, count, 0, 0, 0) }
}

/// Posts a completion to the ring `fd`: result `len`, user data `data`.
pub fn msg_ring(fd: i32, len: u32, data: u64, flags: u32) -> Sqe {
    raw(Op::MsgRing, fd, IORING_MSG_DATA, len, data).op_flags(flags)
}

/// Changes slots of the file table from `offset` on.
pub fn files_update(fds: &[i32], offset: u64) -> Sqe {
    raw(Op::FilesUpdate, -1, fds.as_ptr() as u64, fds.len() as u32, offset)
}

/// Moves `len` bytes between files of which one is a pipe; offsets of -1 for none.
pub fn splice(from: i32, off_in: u64, to: i32, off_out: u64, len: u32) -> Sqe {
    Sqe { file_index: from as u32, ..raw(Op::Splice, to, off_in, len, off_out) }
}
