//! The submission queue entry.

/// One submission queue entry, 64 bytes, as `struct io_uring_sqe`.
///
/// Fields that the header gives several names in a union stand here under the name of their most
/// common use; each says which others it serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Sqe {
    /// Which operation; see [`crate::Op`].
    pub opcode: u8,
    /// `IOSQE_*` bits.
    pub flags: u8,
    /// I/O priority, or the flags of accept, send and receive.
    pub ioprio: u16,
    /// File descriptor, or index of a registered file under `IOSQE_FIXED_FILE`.
    pub fd: i32,
    /// File offset in bytes; also `addr2`, and `cmd_op` in its low half.
    pub off: u64,
    /// Address of the buffer or of a structure; also `splice_off_in`, `level` and `optname`.
    pub addr: u64,
    /// Length in bytes, or a count.
    pub len: u32,
    /// The operation's own flags: `rw_flags`, `msg_flags`, `timeout_flags` and so on.
    pub op_flags: u32,
    /// Returned in the completion, untouched.
    pub user_data: u64,
    /// Index of a registered buffer, or the buffer group under `IOSQE_BUFFER_SELECT`.
    pub buf_index: u16,
    /// Registered credentials to use, 0 for the caller's own.
    pub personality: u16,
    /// Slot of a direct descriptor, plus one; also `splice_fd_in`, `optlen`, `addr_len`.
    pub file_index: u32,
    /// A third address; also `optval` and the first word of `cmd`.
    pub addr3: u64,
    /// Padding that must be zero; the second word of `cmd`.
    pub pad2: u64,
}

impl Sqe {
    /// The low half of `off`, where `URING_CMD` keeps its command.
    pub const fn cmd_op(&self) -> u32 {
        self.off as u32
    }

    /// The low 16 bits of `file_index`, where `send` keeps the length of its address, in bytes.
    pub const fn addr_len(&self) -> u16 {
        self.file_index as u16
    }
}

const _: () = assert!(size_of::<Sqe>() == 64 && align_of::<Sqe>() == 8);
