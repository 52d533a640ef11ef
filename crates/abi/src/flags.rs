//! Flag bits, grouped by the field that carries them.

// sqe->flags

/// `fd` is an index of the registered files.
pub const IOSQE_FIXED_FILE: u8 = 1 << 0;
/// Start after everything submitted before, and hold back everything after.
pub const IOSQE_IO_DRAIN: u8 = 1 << 1;
/// The next entry starts when this one succeeds.
pub const IOSQE_IO_LINK: u8 = 1 << 2;
/// The next entry starts when this one is done, however it ends.
pub const IOSQE_IO_HARDLINK: u8 = 1 << 3;
/// Do not try inline first.
pub const IOSQE_ASYNC: u8 = 1 << 4;
/// Take a buffer from the group `buf_group`.
pub const IOSQE_BUFFER_SELECT: u8 = 1 << 5;
/// Post no completion on success.
pub const IOSQE_CQE_SKIP_SUCCESS: u8 = 1 << 6;

// io_uring_setup flags

/// Completions are polled for.
pub const IORING_SETUP_IOPOLL: u32 = 1 << 0;
/// A thread of the ring consumes the submission queue.
pub const IORING_SETUP_SQPOLL: u32 = 1 << 1;
/// `sq_thread_cpu` binds that thread.
pub const IORING_SETUP_SQ_AFF: u32 = 1 << 2;
/// The program chooses `cq_entries`.
pub const IORING_SETUP_CQSIZE: u32 = 1 << 3;
/// Sizes above the limit are cut to it.
pub const IORING_SETUP_CLAMP: u32 = 1 << 4;
/// Share the workers of the ring `wq_fd`.
pub const IORING_SETUP_ATTACH_WQ: u32 = 1 << 5;
/// The ring starts disabled.
pub const IORING_SETUP_R_DISABLED: u32 = 1 << 6;
/// A bad entry does not end the batch.
pub const IORING_SETUP_SUBMIT_ALL: u32 = 1 << 7;
/// Do not interrupt the task to run completions.
pub const IORING_SETUP_COOP_TASKRUN: u32 = 1 << 8;
/// Show pending task work as `IORING_SQ_TASKRUN`.
pub const IORING_SETUP_TASKRUN_FLAG: u32 = 1 << 9;
/// Submission entries are 128 bytes.
pub const IORING_SETUP_SQE128: u32 = 1 << 10;
/// Completion entries are 32 bytes.
pub const IORING_SETUP_CQE32: u32 = 1 << 11;
/// One task only submits.
pub const IORING_SETUP_SINGLE_ISSUER: u32 = 1 << 12;
/// Completions are run only when the owner waits for them.
pub const IORING_SETUP_DEFER_TASKRUN: u32 = 1 << 13;
/// The program brings the memory of the rings.
pub const IORING_SETUP_NO_MMAP: u32 = 1 << 14;
/// Return an index of the registered rings, no descriptor.
pub const IORING_SETUP_REGISTERED_FD_ONLY: u32 = 1 << 15;
/// No index array; entries are taken in order.
pub const IORING_SETUP_NO_SQARRAY: u32 = 1 << 16;
/// Sleep before polling.
pub const IORING_SETUP_HYBRID_IOPOLL: u32 = 1 << 17;
/// Completions of 16 and of 32 bytes.
pub const IORING_SETUP_CQE_MIXED: u32 = 1 << 18;
/// Submissions of 64 and of 128 bytes.
pub const IORING_SETUP_SQE_MIXED: u32 = 1 << 19;
/// Every submission starts at entry 0.
pub const IORING_SETUP_SQ_REWIND: u32 = 1 << 20;

// io_uring_params features

/// One mapping holds both rings.
pub const IORING_FEAT_SINGLE_MMAP: u32 = 1 << 0;
/// Completions that do not fit are kept.
pub const IORING_FEAT_NODROP: u32 = 1 << 1;
/// What an entry points to may be reused after the submission.
pub const IORING_FEAT_SUBMIT_STABLE: u32 = 1 << 2;
/// Offset -1 is the current file position.
pub const IORING_FEAT_RW_CUR_POS: u32 = 1 << 3;
/// Requests run with the credentials of who submits.
pub const IORING_FEAT_CUR_PERSONALITY: u32 = 1 << 4;
/// Pollable files are waited for without a thread.
pub const IORING_FEAT_FAST_POLL: u32 = 1 << 5;
/// Poll takes 32 bits of events.
pub const IORING_FEAT_POLL_32BITS: u32 = 1 << 6;
/// SQPOLL works on unregistered files.
pub const IORING_FEAT_SQPOLL_NONFIXED: u32 = 1 << 7;
/// `io_uring_enter` takes the extended argument.
pub const IORING_FEAT_EXT_ARG: u32 = 1 << 8;
/// Workers are threads of the process.
pub const IORING_FEAT_NATIVE_WORKERS: u32 = 1 << 9;
/// Registered resources carry tags.
pub const IORING_FEAT_RSRC_TAGS: u32 = 1 << 10;
/// `IOSQE_CQE_SKIP_SUCCESS` is known.
pub const IORING_FEAT_CQE_SKIP: u32 = 1 << 11;
/// Files of linked requests are looked up when they start.
pub const IORING_FEAT_LINKED_FILE: u32 = 1 << 12;
/// `io_uring_register` takes a registered ring.
pub const IORING_FEAT_REG_REG_RING: u32 = 1 << 13;
/// Send and receive take bundles.
pub const IORING_FEAT_RECVSEND_BUNDLE: u32 = 1 << 14;
/// Waits take a minimum time.
pub const IORING_FEAT_MIN_TIMEOUT: u32 = 1 << 15;
/// Reads and writes take attributes.
pub const IORING_FEAT_RW_ATTR: u32 = 1 << 16;
/// `IORING_ENTER_NO_IOWAIT` is known.
pub const IORING_FEAT_NO_IOWAIT: u32 = 1 << 17;

// io_uring_enter flags

/// Wait for completions.
pub const IORING_ENTER_GETEVENTS: u32 = 1 << 0;
/// Wake the SQPOLL thread.
pub const IORING_ENTER_SQ_WAKEUP: u32 = 1 << 1;
/// Wait for room in the submission queue.
pub const IORING_ENTER_SQ_WAIT: u32 = 1 << 2;
/// The argument is a `GeteventsArg`.
pub const IORING_ENTER_EXT_ARG: u32 = 1 << 3;
/// The descriptor is an index of the registered rings.
pub const IORING_ENTER_REGISTERED_RING: u32 = 1 << 4;
/// The timeout is absolute.
pub const IORING_ENTER_ABS_TIMER: u32 = 1 << 5;
/// The argument is an offset in the registered wait region.
pub const IORING_ENTER_EXT_ARG_REG: u32 = 1 << 6;
/// Do not account the wait as I/O wait.
pub const IORING_ENTER_NO_IOWAIT: u32 = 1 << 7;

// Flags in the shared rings

/// The SQPOLL thread sleeps.
pub const IORING_SQ_NEED_WAKEUP: u32 = 1 << 0;
/// Completions wait outside the ring.
pub const IORING_SQ_CQ_OVERFLOW: u32 = 1 << 1;
/// Task work waits for an enter.
pub const IORING_SQ_TASKRUN: u32 = 1 << 2;
/// The program wants no eventfd signals now.
pub const IORING_CQ_EVENTFD_DISABLED: u32 = 1 << 0;

// Flags of operations

/// Use a registered buffer.
pub const IORING_URING_CMD_FIXED: u32 = 1 << 0;
/// Sync data only.
pub const IORING_FSYNC_DATASYNC: u32 = 1 << 0;
/// The time is absolute.
pub const IORING_TIMEOUT_ABS: u32 = 1 << 0;
/// Change a timeout.
pub const IORING_TIMEOUT_UPDATE: u32 = 1 << 1;
/// Use CLOCK_BOOTTIME.
pub const IORING_TIMEOUT_BOOTTIME: u32 = 1 << 2;
/// Use CLOCK_REALTIME.
pub const IORING_TIMEOUT_REALTIME: u32 = 1 << 3;
/// Change a linked timeout.
pub const IORING_LINK_TIMEOUT_UPDATE: u32 = 1 << 4;
/// Expiry does not break a link.
pub const IORING_TIMEOUT_ETIME_SUCCESS: u32 = 1 << 5;
/// Fire again and again.
pub const IORING_TIMEOUT_MULTISHOT: u32 = 1 << 6;
/// `addr` is the time in nanoseconds.
pub const IORING_TIMEOUT_IMMEDIATE_ARG: u32 = 1 << 7;
/// `splice_fd_in` is a registered file.
pub const SPLICE_F_FD_IN_FIXED: u32 = 1 << 31;
/// Multishot poll.
pub const IORING_POLL_ADD_MULTI: u32 = 1 << 0;
/// Change the events of a poll.
pub const IORING_POLL_UPDATE_EVENTS: u32 = 1 << 1;
/// Change the user_data of a poll.
pub const IORING_POLL_UPDATE_USER_DATA: u32 = 1 << 2;
/// Level-triggered poll.
pub const IORING_POLL_ADD_LEVEL: u32 = 1 << 3;
/// Cancel every match.
pub const IORING_ASYNC_CANCEL_ALL: u32 = 1 << 0;
/// Match on the file.
pub const IORING_ASYNC_CANCEL_FD: u32 = 1 << 1;
/// Match everything.
pub const IORING_ASYNC_CANCEL_ANY: u32 = 1 << 2;
/// The file is a registered one.
pub const IORING_ASYNC_CANCEL_FD_FIXED: u32 = 1 << 3;
/// Match on user_data too.
pub const IORING_ASYNC_CANCEL_USERDATA: u32 = 1 << 4;
/// Match on the opcode.
pub const IORING_ASYNC_CANCEL_OP: u32 = 1 << 5;
/// Arm poll before the first try.
pub const IORING_RECVSEND_POLL_FIRST: u16 = 1 << 0;
/// Multishot receive.
pub const IORING_RECV_MULTISHOT: u16 = 1 << 1;
/// Use a registered buffer.
pub const IORING_RECVSEND_FIXED_BUF: u16 = 1 << 2;
/// Report whether data was copied.
pub const IORING_SEND_ZC_REPORT_USAGE: u16 = 1 << 3;
/// Use several buffers of the group.
pub const IORING_RECVSEND_BUNDLE: u16 = 1 << 4;
/// The buffer is an iovec array.
pub const IORING_SEND_VECTORIZED: u16 = 1 << 5;
/// The data was copied.
pub const IORING_NOTIF_USAGE_ZC_COPIED: u32 = 1 << 31;
/// Multishot accept.
pub const IORING_ACCEPT_MULTISHOT: u16 = 1 << 0;
/// Do not wait for a connection.
pub const IORING_ACCEPT_DONTWAIT: u16 = 1 << 1;
/// Arm poll before the first try.
pub const IORING_ACCEPT_POLL_FIRST: u16 = 1 << 2;
/// No completion on the target.
pub const IORING_MSG_RING_CQE_SKIP: u32 = 1 << 0;
/// Pass completion flags.
pub const IORING_MSG_RING_FLAGS_PASS: u32 = 1 << 1;
/// Leave close-on-exec off.
pub const IORING_FIXED_FD_NO_CLOEXEC: u32 = 1 << 0;
/// Complete with `len` as the result.
pub const IORING_NOP_INJECT_RESULT: u32 = 1 << 0;
/// Complete with a 32-byte entry.
pub const IORING_NOP_CQE32: u32 = 1 << 5;
/// Register empty slots.
pub const IORING_RSRC_REGISTER_SPARSE: u32 = 1 << 0;
/// The operation is known.
pub const IO_URING_OP_SUPPORTED: u32 = 1 << 0;
/// The descriptor is an index of the registered rings.
pub const IORING_REGISTER_USE_REGISTERED_RING: u32 = 1 << 31;
/// The wait region holds a timeout.
pub const IORING_REG_WAIT_TS: u32 = 1 << 0;
/// Message: post a completion to the target.
pub const IORING_MSG_DATA: u64 = 0;
/// Message: give the target a registered file.
pub const IORING_MSG_SEND_FD: u64 = 1;
/// Let the ring choose the slot.
pub const IORING_FILE_INDEX_ALLOC: u32 = u32::MAX;
/// Leave this slot as it is.
pub const IORING_REGISTER_FILES_SKIP: i32 = -2;

// mmap offsets

/// The rings.
pub const IORING_OFF_SQ_RING: u64 = 0;
/// The rings again, for programs that map the completion ring apart.
pub const IORING_OFF_CQ_RING: u64 = 0x800_0000;
/// The submission entries.
pub const IORING_OFF_SQES: u64 = 0x1000_0000;
/// Provided-buffer rings, the group above [`IORING_OFF_PBUF_SHIFT`].
pub const IORING_OFF_PBUF_RING: u64 = 0x8000_0000;
/// Where the group starts in such an offset, in bits.
pub const IORING_OFF_PBUF_SHIFT: u32 = 16;
/// The bits that choose the area.
pub const IORING_OFF_MMAP_MASK: u64 = 0xf800_0000;
