//! What crosses the boundary between a program and io_uring or Linux AIO: structures, numbers,
//! errors.
//!
//! The source of every figure is the kernel's UAPI header `linux/io_uring.h` (Linux 6.18, with the
//! opcodes NOP128 and URING_CMD128 that follow it). Structures are plain data in the kernel's
//! layout, proven by constant assertions here and by a test against `linux-raw-sys`.
//!
//! This crate does nothing: no system call, no allocation, no `unsafe`, no dependency.
//!
//! ```
//! use ringfence_abi::{Op, Sqe, IOSQE_IO_LINK};
//!
//! let sqe = Sqe { opcode: Op::Nop as u8, flags: IOSQE_IO_LINK, user_data: 7, ..Sqe::default() };
//! assert_eq!(Op::from_code(sqe.opcode), Some(Op::Nop));
//! assert_eq!(Op::Nop.name(), "NOP");
//! ```
#![no_std]

mod aio;
mod cqe;
mod errno;
mod flags;
mod op;
mod params;
mod register;
mod sqe;

pub use aio::*;
pub use cqe::*;
pub use errno::{Errno, Result};
pub use flags::*;
pub use op::Op;
pub use params::*;
pub use register::*;
pub use sqe::Sqe;
