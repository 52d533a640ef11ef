//! The operations, one file per family.

pub(crate) mod advise;
pub(crate) mod buffers;
pub(crate) mod cancel;
pub(crate) mod close;
pub(crate) mod command;
pub(crate) mod copies;
pub(crate) mod epoll;
pub(crate) mod files_update;
pub(crate) mod fs;
pub(crate) mod message;
pub(crate) mod msg_ring;
pub(crate) mod net;
pub(crate) mod nop;
pub(crate) mod open;
pub(crate) mod pipe;
pub(crate) mod poll;
pub(crate) mod read_multishot;
pub(crate) mod recv;
pub(crate) mod rw;
pub(crate) mod send;
pub(crate) mod splice;
pub(crate) mod sync;
pub(crate) mod timeout;
pub(crate) mod zero_copy;
