//! The completion queue entry.

/// One completion queue entry, 16 bytes, as `struct io_uring_cqe` without its optional tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Cqe {
    /// The `user_data` of the request, or the tag of a released resource.
    pub user_data: u64,
    /// Result: a count or a descriptor, or an errno negated.
    pub res: i32,
    /// `IORING_CQE_F_*` bits; the buffer id stands above [`IORING_CQE_BUFFER_SHIFT`].
    pub flags: u32,
}

const _: () = assert!(size_of::<Cqe>() == 16);

/// The upper 16 bits of the flags are the id of the buffer used.
pub const IORING_CQE_F_BUFFER: u32 = 1 << 0;
/// The request will post more entries.
pub const IORING_CQE_F_MORE: u32 = 1 << 1;
/// The socket holds more data after this receive, or more connections after this accept.
pub const IORING_CQE_F_SOCK_NONEMPTY: u32 = 1 << 2;
/// A notification of zero-copy send.
pub const IORING_CQE_F_NOTIF: u32 = 1 << 3;
/// The buffer is partly consumed and will be used again.
pub const IORING_CQE_F_BUF_MORE: u32 = 1 << 4;
/// A filler before the wrap of a mixed ring; to be ignored.
pub const IORING_CQE_F_SKIP: u32 = 1 << 5;
/// A 32-byte entry in a mixed ring.
pub const IORING_CQE_F_32: u32 = 1 << 15;
/// Where the buffer id starts in the flags, in bits.
pub const IORING_CQE_BUFFER_SHIFT: u32 = 16;
