//! `io_uring_register`: its opcodes and the structures they take.

/// Declares the register opcodes once.
macro_rules! register_ops {
    ($($variant:ident $name:literal,)*) => {
        /// An opcode of `io_uring_register`; the discriminant is the number of the ABI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum RegisterOp {
            $(
                #[doc = concat!("`IORING_", $name, "`.")]
                $variant,
            )*
        }

        impl RegisterOp {
            /// Every opcode, in the order of the ABI.
            pub const ALL: &'static [RegisterOp] = &[$(RegisterOp::$variant),*];

            /// The name in the header, without `IORING_`.
            pub const fn name(self) -> &'static str {
                match self { $(RegisterOp::$variant => $name),* }
            }

            /// The opcode of a number, if there is one.
            pub const fn from_code(code: u32) -> Option<RegisterOp> {
                if (code as usize) < Self::ALL.len() {
                    Some(Self::ALL[code as usize])
                } else {
                    None
                }
            }
        }
    };
}

register_ops! {
    Buffers "REGISTER_BUFFERS",
    UnregisterBuffers "UNREGISTER_BUFFERS",
    Files "REGISTER_FILES",
    UnregisterFiles "UNREGISTER_FILES",
    Eventfd "REGISTER_EVENTFD",
    UnregisterEventfd "UNREGISTER_EVENTFD",
    FilesUpdate "REGISTER_FILES_UPDATE",
    EventfdAsync "REGISTER_EVENTFD_ASYNC",
    Probe "REGISTER_PROBE",
    Personality "REGISTER_PERSONALITY",
    UnregisterPersonality "UNREGISTER_PERSONALITY",
    Restrictions "REGISTER_RESTRICTIONS",
    EnableRings "REGISTER_ENABLE_RINGS",
    Files2 "REGISTER_FILES2",
    FilesUpdate2 "REGISTER_FILES_UPDATE2",
    Buffers2 "REGISTER_BUFFERS2",
    BuffersUpdate "REGISTER_BUFFERS_UPDATE",
    IowqAff "REGISTER_IOWQ_AFF",
    UnregisterIowqAff "UNREGISTER_IOWQ_AFF",
    IowqMaxWorkers "REGISTER_IOWQ_MAX_WORKERS",
    RingFds "REGISTER_RING_FDS",
    UnregisterRingFds "UNREGISTER_RING_FDS",
    PbufRing "REGISTER_PBUF_RING",
    UnregisterPbufRing "UNREGISTER_PBUF_RING",
    SyncCancel "REGISTER_SYNC_CANCEL",
    FileAllocRange "REGISTER_FILE_ALLOC_RANGE",
    PbufStatus "REGISTER_PBUF_STATUS",
    Napi "REGISTER_NAPI",
    UnregisterNapi "UNREGISTER_NAPI",
    Clock "REGISTER_CLOCK",
    CloneBuffers "REGISTER_CLONE_BUFFERS",
    SendMsgRing "REGISTER_SEND_MSG_RING",
    ZcrxIfq "REGISTER_ZCRX_IFQ",
    ResizeRings "REGISTER_RESIZE_RINGS",
    MemRegion "REGISTER_MEM_REGION",
    Query "REGISTER_QUERY",
    ZcrxCtrl "REGISTER_ZCRX_CTRL",
    BpfFilter "REGISTER_BPF_FILTER",
}

/// Declares plain structures of the ABI with their size in bytes.
macro_rules! structs {
    ($($(#[$doc:meta])* $name:ident = $size:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            #[repr(C)]
            pub struct $name {
                $($(#[$fdoc])* pub $field: $ty,)*
            }
            const _: () = assert!(size_of::<$name>() == $size);
        )*
    };
}

structs! {
    /// `struct futex_waitv`: one word of a wait on several.
    FutexWaitv = 24 {
        /// The value it must have.
        value: u64,
        /// Its address.
        addr: u64,
        /// `FUTEX2_*`.
        flags: u32,
        /// Zero.
        reserved: u32,
    }
    /// `struct io_uring_clone_buffers`.
    CloneBuffers = 32 {
        /// The ring to clone from.
        src_fd: u32,
        /// `IORING_REGISTER_SRC_REGISTERED` and `IORING_REGISTER_DST_REPLACE`.
        flags: u32,
        /// First slot to clone.
        src_off: u32,
        /// Where it goes.
        dst_off: u32,
        /// How many slots, 0 for all.
        nr: u32,
        /// Zero.
        pad: [u32; 3],
    }
    /// `struct io_uring_napi`.
    Napi = 16 {
        /// How long to poll, microseconds.
        busy_poll_to: u32,
        /// Whether to prefer polling to interrupts.
        prefer_busy_poll: u8,
        /// `IO_URING_NAPI_*`, what to do.
        opcode: u8,
        /// Zero.
        pad: [u8; 2],
        /// Strategy, or a NAPI id.
        op_param: u32,
        /// Zero.
        resv: u32,
    }
    /// `struct io_uring_mem_region_reg`.
    MemRegionReg = 32 {
        /// Address of the [`RegionDesc`].
        region_uptr: u64,
        /// `IORING_MEM_REGION_REG_WAIT_ARG`.
        flags: u64,
        /// Zero.
        resv: [u64; 2],
    }
    /// `struct io_uring_region_desc`.
    RegionDesc = 64 {
        /// Address of the memory, if it is the program's.
        user_addr: u64,
        /// Its length, bytes.
        size: u64,
        /// `IORING_MEM_REGION_TYPE_USER`.
        flags: u32,
        /// Zero.
        id: u32,
        /// Where to map it, if it is not the program's.
        mmap_offset: u64,
        /// Zero.
        resv: [u64; 4],
    }
    /// `struct io_uring_reg_wait`: the argument of a wait, in a registered region.
    RegWait = 64 {
        /// How long to wait.
        ts: crate::Timespec,
        /// For how long to wait for the full count, microseconds.
        min_wait_usec: u32,
        /// `IORING_REG_WAIT_TS`.
        flags: u32,
        /// Address of a signal mask.
        sigmask: u64,
        /// Its size, bytes.
        sigmask_sz: u32,
        /// Zero.
        pad: [u32; 3],
        /// Zero.
        pad2: [u64; 2],
    }
    /// `struct io_uring_query_hdr`: one question of a list.
    QueryHeader = 40 {
        /// Address of the next question, 0 for none.
        next_entry: u64,
        /// Address of the answer.
        query_data: u64,
        /// `IO_URING_QUERY_*`.
        query_op: u32,
        /// Room for the answer, and what was filled, bytes.
        size: u32,
        /// Zero, or minus an errno.
        result: i32,
        /// Zero.
        resv: [u32; 3],
    }
    /// `struct io_uring_query_opcode`.
    QueryOpcode = 48 {
        /// How many operations.
        nr_request_opcodes: u32,
        /// How many registrations.
        nr_register_opcodes: u32,
        /// Features of setup.
        feature_flags: u64,
        /// Flags of setup.
        ring_setup_flags: u64,
        /// Flags of enter.
        enter_flags: u64,
        /// Flags of entries.
        sqe_flags: u64,
        /// How many kinds of questions.
        nr_query_opcodes: u32,
        /// Zero.
        pad: u32,
    }
    /// `struct io_uring_files_update`, also of `rsrc_update`.
    FilesUpdate = 16 {
        /// First slot.
        offset: u32,
        /// Zero.
        resv: u32,
        /// Address of the descriptors.
        fds: u64,
    }
    /// `struct io_uring_rsrc_register`.
    RsrcRegister = 32 {
        /// How many slots.
        nr: u32,
        /// `IORING_RSRC_REGISTER_SPARSE`.
        flags: u32,
        /// Zero.
        resv2: u64,
        /// Address of the descriptors or iovecs.
        data: u64,
        /// Address of the tags, 0 for none.
        tags: u64,
    }
    /// `struct io_uring_rsrc_update2`.
    RsrcUpdate2 = 32 {
        /// First slot.
        offset: u32,
        /// Zero.
        resv: u32,
        /// Address of the descriptors or iovecs.
        data: u64,
        /// Address of the tags, 0 for none.
        tags: u64,
        /// How many slots.
        nr: u32,
        /// Zero.
        resv2: u32,
    }
    /// `struct io_uring_probe` without its rows.
    Probe = 16 {
        /// The last opcode known.
        last_op: u8,
        /// How many rows follow.
        ops_len: u8,
        /// Zero.
        resv: u16,
        /// Zero.
        resv2: [u32; 3],
    }
    /// `struct io_uring_probe_op`.
    ProbeOp = 8 {
        /// The opcode.
        op: u8,
        /// Zero.
        resv: u8,
        /// `IO_URING_OP_SUPPORTED`.
        flags: u16,
        /// Zero.
        resv2: u32,
    }
    /// `struct io_uring_restriction`.
    Restriction = 16 {
        /// `IORING_RESTRICTION_*`.
        opcode: u16,
        /// Register opcode, operation or entry flags.
        value: u8,
        /// Zero.
        resv: u8,
        /// Zero.
        resv2: [u32; 3],
    }
    /// `struct io_uring_clock_register`.
    ClockRegister = 16 {
        /// `CLOCK_MONOTONIC` or `CLOCK_BOOTTIME`.
        clockid: u32,
        /// Zero.
        resv: [u32; 3],
    }
    /// `struct io_uring_buf`: one provided buffer.
    Buf = 16 {
        /// Its address.
        addr: u64,
        /// Its length, bytes.
        len: u32,
        /// Its id.
        bid: u16,
        /// In the first entry of a ring: the tail.
        resv: u16,
    }
    /// `struct io_uring_buf_reg`.
    BufReg = 40 {
        /// Address of the ring, 0 with `IOU_PBUF_RING_MMAP`.
        ring_addr: u64,
        /// How many entries, a power of two.
        ring_entries: u32,
        /// The group.
        bgid: u16,
        /// `IOU_PBUF_RING_*`.
        flags: u16,
        /// Retire a buffer with less than this left, bytes.
        min_left: u32,
        /// Zero.
        resv: [u32; 5],
    }
    /// `struct io_uring_buf_status`.
    BufStatus = 40 {
        /// The group.
        buf_group: u32,
        /// Out: the engine's head.
        head: u32,
        /// Zero.
        resv: [u32; 8],
    }
    /// `struct io_uring_getevents_arg`.
    GeteventsArg = 24 {
        /// Address of the signal mask, 0 for none.
        sigmask: u64,
        /// Its size, bytes; 8.
        sigmask_sz: u32,
        /// Wait at least this long for a full batch, microseconds.
        min_wait_usec: u32,
        /// Address of the timeout, 0 for none.
        ts: u64,
    }
    /// `struct io_uring_sync_cancel_reg`.
    SyncCancelReg = 64 {
        /// The user_data to match.
        addr: u64,
        /// The file to match.
        fd: i32,
        /// `IORING_ASYNC_CANCEL_*`.
        flags: u32,
        /// How long to wait; -1 and -1 for ever.
        timeout: Timespec,
        /// The operation to match.
        opcode: u8,
        /// Zero.
        pad: [u8; 7],
        /// Zero.
        pad2: [u64; 3],
    }
    /// `struct io_uring_file_index_range`.
    FileIndexRange = 16 {
        /// First slot.
        off: u32,
        /// How many.
        len: u32,
        /// Zero.
        resv: u64,
    }
    /// `struct io_uring_recvmsg_out`: the head of a multishot recvmsg's buffer.
    RecvmsgOut = 16 {
        /// Length of the address, bytes.
        namelen: u32,
        /// Length of the control data, bytes.
        controllen: u32,
        /// Length of the payload, bytes.
        payloadlen: u32,
        /// `MSG_*`.
        flags: u32,
    }
    /// `struct __kernel_timespec`.
    Timespec = 16 {
        /// Seconds.
        tv_sec: i64,
        /// Nanoseconds.
        tv_nsec: i64,
    }
    /// `struct open_how`.
    OpenHow = 24 {
        /// `O_*`.
        flags: u64,
        /// Mode of a created file.
        mode: u64,
        /// `RESOLVE_*`.
        resolve: u64,
    }
    /// `struct iovec`.
    Iovec = 16 {
        /// Address.
        base: u64,
        /// Length, bytes.
        len: u64,
    }
    /// `struct user_msghdr`.
    Msghdr = 56 {
        /// Address of the peer's address.
        name: u64,
        /// Its length, bytes.
        namelen: u32,
        /// Padding.
        pad: u32,
        /// Address of the iovecs.
        iov: u64,
        /// How many.
        iovlen: u64,
        /// Address of the control data.
        control: u64,
        /// Its length, bytes.
        controllen: u64,
        /// `MSG_*`, out.
        flags: u32,
        /// Padding.
        pad2: u32,
    }
}

/// Allow a register opcode.
pub const IORING_RESTRICTION_REGISTER_OP: u16 = 0;
/// Allow an operation.
pub const IORING_RESTRICTION_SQE_OP: u16 = 1;
/// Allow entry flags.
pub const IORING_RESTRICTION_SQE_FLAGS_ALLOWED: u16 = 2;
/// Demand entry flags.
pub const IORING_RESTRICTION_SQE_FLAGS_REQUIRED: u16 = 3;
/// The engine allocates the ring; the program maps it.
pub const IOU_PBUF_RING_MMAP: u16 = 1;
/// Buffers are consumed bit by bit.
pub const IOU_PBUF_RING_INC: u16 = 2;

/// Clone: the source is an index of the registered rings.
pub const IORING_REGISTER_SRC_REGISTERED: u32 = 1;
/// Clone: what the slots hold is replaced.
pub const IORING_REGISTER_DST_REPLACE: u32 = 2;
/// A region whose memory is the program's.
pub const IORING_MEM_REGION_TYPE_USER: u32 = 1;
/// A region that holds the arguments of waits.
pub const IORING_MEM_REGION_REG_WAIT_ARG: u64 = 1;
