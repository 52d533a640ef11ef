//! The operations, one file per family.

pub(crate) mod advise;
pub(crate) mod buffers;
pub(crate) mod cancel;
pub(crate) mod close;
pub(crate) mod copies;
pub(crate) mod epoll;
pub(crate) mod files_update;
pub(crate) mod fixed_fd_install;
pub(crate) mod fs;
pub(crate) mod futex;
pub(crate) mod message;
pub(crate) mod msg_ring;
pub(crate) mod net;
pub(crate) mod nop;
pub(crate) mod open;
pub(crate) mod pipe;
pub(crate) mod poll;
pub(crate) mod rw;
pub(crate) mod splice;
pub(crate) mod sync;
pub(crate) mod timeout;
pub(crate) mod waitid;
pub(crate) mod xattr;
