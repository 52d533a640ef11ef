//! `io_uring_setup`: its parameters and the layout of the shared rings.

/// `struct io_sqring_offsets`: where the submission ring's words lie, in bytes from the mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SqringOffsets {
    /// The engine's position.
    pub head: u32,
    /// The program's position.
    pub tail: u32,
    /// Entries minus one.
    pub ring_mask: u32,
    /// Entries.
    pub ring_entries: u32,
    /// `IORING_SQ_*`.
    pub flags: u32,
    /// Invalid indices so far.
    pub dropped: u32,
    /// The index array.
    pub array: u32,
    /// Zero.
    pub resv1: u32,
    /// In with `IORING_SETUP_NO_MMAP`: the program's memory.
    pub user_addr: u64,
}

/// `struct io_cqring_offsets`: where the completion ring's words lie, in bytes from the mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CqringOffsets {
    /// The program's position.
    pub head: u32,
    /// The engine's position.
    pub tail: u32,
    /// Entries minus one.
    pub ring_mask: u32,
    /// Entries.
    pub ring_entries: u32,
    /// Completions lost; stays 0 with `IORING_FEAT_NODROP` but for lack of memory.
    pub overflow: u32,
    /// The entries.
    pub cqes: u32,
    /// `IORING_CQ_*`.
    pub flags: u32,
    /// Zero.
    pub resv1: u32,
    /// In with `IORING_SETUP_NO_MMAP`: the program's memory.
    pub user_addr: u64,
}

/// `struct io_uring_params`, in and out of `io_uring_setup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Params {
    /// Out: submission entries.
    pub sq_entries: u32,
    /// In with `IORING_SETUP_CQSIZE`; out: completion entries.
    pub cq_entries: u32,
    /// `IORING_SETUP_*`.
    pub flags: u32,
    /// CPU of the SQPOLL thread, with `IORING_SETUP_SQ_AFF`.
    pub sq_thread_cpu: u32,
    /// Idle time of the SQPOLL thread, milliseconds.
    pub sq_thread_idle: u32,
    /// Out: `IORING_FEAT_*`.
    pub features: u32,
    /// Ring to share workers with, with `IORING_SETUP_ATTACH_WQ`.
    pub wq_fd: u32,
    /// Zero.
    pub resv: [u32; 3],
    /// Out: the submission ring.
    pub sq_off: SqringOffsets,
    /// Out: the completion ring.
    pub cq_off: CqringOffsets,
}

const _: () = assert!(size_of::<Params>() == 120);

/// Most entries of a submission ring.
pub const SQ_ENTRIES_MAX: u32 = 32_768;
/// Most entries of a completion ring.
pub const CQ_ENTRIES_MAX: u32 = 2 * SQ_ENTRIES_MAX;

/// Byte offsets of the words in the shared mapping, as Linux 6.18 lays them out (measured).
///
/// Programs take them from [`Params`]; the kernel keeps head and tail of both rings in the first
/// words, so ours stand there too.
pub mod layout {
    /// Submission head.
    pub const SQ_HEAD: u32 = 0;
    /// Submission tail.
    pub const SQ_TAIL: u32 = 4;
    /// Completion head.
    pub const CQ_HEAD: u32 = 8;
    /// Completion tail.
    pub const CQ_TAIL: u32 = 12;
    /// Submission mask.
    pub const SQ_MASK: u32 = 16;
    /// Completion mask.
    pub const CQ_MASK: u32 = 20;
    /// Submission entries.
    pub const SQ_ENTRIES: u32 = 24;
    /// Completion entries.
    pub const CQ_ENTRIES: u32 = 28;
    /// Invalid indices.
    pub const SQ_DROPPED: u32 = 32;
    /// Submission flags.
    pub const SQ_FLAGS: u32 = 36;
    /// Completion flags.
    pub const CQ_FLAGS: u32 = 40;
    /// Completions lost.
    pub const CQ_OVERFLOW: u32 = 44;
    /// The completion entries.
    pub const CQES: u32 = 64;
}
