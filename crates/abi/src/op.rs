//! The opcodes, in the order of the header.

/// Declares the opcodes once: variant, name in the header, kernel release that added it.
macro_rules! opcodes {
    ($($variant:ident $name:literal $since:literal,)*) => {
        /// An io_uring operation; the discriminant is the opcode of the ABI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Op {
            $(
                #[doc = concat!("`IORING_OP_", $name, "`, since Linux ", $since, ".")]
                $variant,
            )*
        }

        impl Op {
            /// Every operation, in the order of the ABI.
            pub const ALL: &'static [Op] = &[$(Op::$variant),*];

            /// The name in the header, without `IORING_OP_`.
            pub const fn name(self) -> &'static str {
                match self { $(Op::$variant => $name),* }
            }

            /// The first kernel release that has it.
            pub const fn since(self) -> &'static str {
                match self { $(Op::$variant => $since),* }
            }
        }
    };
}

opcodes! {
    Nop "NOP" "5.1",
    Readv "READV" "5.1",
    Writev "WRITEV" "5.1",
    Fsync "FSYNC" "5.1",
    ReadFixed "READ_FIXED" "5.1",
    WriteFixed "WRITE_FIXED" "5.1",
    PollAdd "POLL_ADD" "5.1",
    PollRemove "POLL_REMOVE" "5.1",
    SyncFileRange "SYNC_FILE_RANGE" "5.2",
    Sendmsg "SENDMSG" "5.3",
    Recvmsg "RECVMSG" "5.3",
    Timeout "TIMEOUT" "5.4",
    TimeoutRemove "TIMEOUT_REMOVE" "5.5",
    Accept "ACCEPT" "5.5",
    AsyncCancel "ASYNC_CANCEL" "5.5",
    LinkTimeout "LINK_TIMEOUT" "5.5",
    Connect "CONNECT" "5.5",
    Fallocate "FALLOCATE" "5.6",
    Openat "OPENAT" "5.6",
    Close "CLOSE" "5.6",
    FilesUpdate "FILES_UPDATE" "5.6",
    Statx "STATX" "5.6",
    Read "READ" "5.6",
    Write "WRITE" "5.6",
    Fadvise "FADVISE" "5.6",
    Madvise "MADVISE" "5.6",
    Send "SEND" "5.6",
    Recv "RECV" "5.6",
    Openat2 "OPENAT2" "5.6",
    EpollCtl "EPOLL_CTL" "5.6",
    Splice "SPLICE" "5.7",
    ProvideBuffers "PROVIDE_BUFFERS" "5.7",
    RemoveBuffers "REMOVE_BUFFERS" "5.7",
    Tee "TEE" "5.8",
    Shutdown "SHUTDOWN" "5.11",
    Renameat "RENAMEAT" "5.11",
    Unlinkat "UNLINKAT" "5.11",
    Mkdirat "MKDIRAT" "5.15",
    Symlinkat "SYMLINKAT" "5.15",
    Linkat "LINKAT" "5.15",
    MsgRing "MSG_RING" "5.18",
    Fsetxattr "FSETXATTR" "5.19",
    Setxattr "SETXATTR" "5.19",
    Fgetxattr "FGETXATTR" "5.19",
    Getxattr "GETXATTR" "5.19",
    Socket "SOCKET" "5.19",
    UringCmd "URING_CMD" "5.19",
    SendZc "SEND_ZC" "6.0",
    SendmsgZc "SENDMSG_ZC" "6.1",
    ReadMultishot "READ_MULTISHOT" "6.7",
    Waitid "WAITID" "6.7",
    FutexWait "FUTEX_WAIT" "6.7",
    FutexWake "FUTEX_WAKE" "6.7",
    FutexWaitv "FUTEX_WAITV" "6.7",
    FixedFdInstall "FIXED_FD_INSTALL" "6.8",
    Ftruncate "FTRUNCATE" "6.9",
    Bind "BIND" "6.11",
    Listen "LISTEN" "6.11",
    RecvZc "RECV_ZC" "6.15",
    EpollWait "EPOLL_WAIT" "6.15",
    ReadvFixed "READV_FIXED" "6.15",
    WritevFixed "WRITEV_FIXED" "6.15",
    Pipe "PIPE" "6.16",
    Nop128 "NOP128" "6.19",
    UringCmd128 "URING_CMD128" "6.19",
}

impl Op {
    /// Whether an opcode's entries are of 128 bytes.
    pub const fn is_wide(code: u8) -> bool {
        code == Op::Nop128 as u8 || code == Op::UringCmd128 as u8
    }

    /// How many opcodes there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The operation of an opcode, if there is one.
    pub const fn from_code(code: u8) -> Option<Op> {
        if (code as usize) < Self::COUNT { Some(Self::ALL[code as usize]) } else { None }
    }
}
