//! Linux AIO: requests, events, and the ring that a context is.
//!
//! The source is the kernel's UAPI header `linux/aio_abi.h`; the ring's header, which user space
//! reads too, stands in `fs/aio.c` and in libaio.

/// `struct iocb`: a request, as the program hands it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Iocb {
    /// Comes back in the event.
    pub data: u64,
    /// Written at submission; 0.
    pub key: u32,
    /// `RWF_*`.
    pub rw_flags: u32,
    /// `IOCB_CMD_*`.
    pub opcode: u16,
    /// An I/O priority, if `flags` has [`IOCB_FLAG_IOPRIO`].
    pub reqprio: u16,
    /// The file.
    pub fd: i32,
    /// The buffer, the iovecs, or the events of a poll.
    pub buf: u64,
    /// Bytes, or the number of iovecs.
    pub nbytes: u64,
    /// Where in the file, bytes.
    pub offset: i64,
    /// Must be 0.
    pub reserved2: u64,
    /// `IOCB_FLAG_*`; the kernel ignores others.
    pub flags: u32,
    /// The eventfd to signal, if `flags` has [`IOCB_FLAG_RESFD`].
    pub resfd: i32,
}

/// `struct io_event`: a completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct IoEvent {
    /// Of the request.
    pub data: u64,
    /// The address of the request.
    pub obj: u64,
    /// The result, or a negated errno.
    pub res: i64,
    /// 0.
    pub res2: i64,
}

/// `struct aio_ring`: what stands before the events at the address that a context's id is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AioRing {
    /// The kernel's index of the context.
    pub id: u32,
    /// Events that there is room for, one of which stays free.
    pub nr: u32,
    /// Where the next event is taken, below `nr`.
    pub head: u32,
    /// Where the next event is put, below `nr`.
    pub tail: u32,
    /// [`AIO_RING_MAGIC`].
    pub magic: u32,
    /// [`AIO_RING_COMPAT_FEATURES`].
    pub compat_features: u32,
    /// [`AIO_RING_INCOMPAT_FEATURES`]; a reader that does not know a bit leaves the ring alone.
    pub incompat_features: u32,
    /// Where the events begin, bytes.
    pub header_length: u32,
}

/// `struct __aio_sigset`, the last argument of `io_pgetevents`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AioSigset {
    /// The address of a mask, or 0.
    pub sigmask: u64,
    /// Its size, 8 bytes.
    pub size: u64,
}

const _: () = assert!(size_of::<Iocb>() == 64);
const _: () = assert!(size_of::<IoEvent>() == 32);
const _: () = assert!(size_of::<AioRing>() == 32);
const _: () = assert!(size_of::<AioSigset>() == 16);

/// [`AioRing::magic`].
pub const AIO_RING_MAGIC: u32 = 0xa10a_10a1;
/// [`AioRing::compat_features`].
pub const AIO_RING_COMPAT_FEATURES: u32 = 1;
/// [`AioRing::incompat_features`].
pub const AIO_RING_INCOMPAT_FEATURES: u32 = 0;

/// Read at an offset.
pub const IOCB_CMD_PREAD: u16 = 0;
/// Write at an offset.
pub const IOCB_CMD_PWRITE: u16 = 1;
/// `fsync`.
pub const IOCB_CMD_FSYNC: u16 = 2;
/// `fdatasync`.
pub const IOCB_CMD_FDSYNC: u16 = 3;
/// Wait for readiness, once.
pub const IOCB_CMD_POLL: u16 = 5;
/// Declared, and refused by every kernel.
pub const IOCB_CMD_NOOP: u16 = 6;
/// Read into iovecs at an offset.
pub const IOCB_CMD_PREADV: u16 = 7;
/// Write from iovecs at an offset.
pub const IOCB_CMD_PWRITEV: u16 = 8;

/// [`Iocb::resfd`] is an eventfd to signal.
pub const IOCB_FLAG_RESFD: u32 = 1;
/// [`Iocb::reqprio`] is an I/O priority.
pub const IOCB_FLAG_IOPRIO: u32 = 2;
