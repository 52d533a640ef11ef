//! What a memory checker of the program's is told: which memory the engine's calls have touched.
//!
//! AddressSanitizer checks the program's own accesses, and those of the libc functions that it stands
//! before. The engine makes its calls by the instruction, so it says itself what they touch: before a
//! call, where each piece of memory begins, for memory that was freed must not be written to before
//! that is noticed; and after it, how much was read or written, as those functions do.

use crate::{Os, plain};
use ringfence_abi::{Iovec, Msghdr, Result};
use std::sync::OnceLock;

/// Is told of `len` bytes at `addr` that were read, or written.
pub type Watch = fn(addr: u64, len: u64, writes: bool);

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Sets who is told, once per process; later calls change nothing.
pub fn set(watch: Watch) {
    let _ = WATCH.set(watch);
}

/// How a call names memory, in its second and third argument.
#[derive(Clone, Copy)]
enum Named {
    /// An address and a length.
    Buffer,
    /// Addresses and lengths in an array.
    Iovecs,
    /// An array in a message.
    Message,
}

/// Calls that move data, and whether they write to the program's memory.
const CALLS: &[(i64, Named, bool)] = &[
    (libc::SYS_read, Named::Buffer, true),
    (libc::SYS_pread64, Named::Buffer, true),
    (libc::SYS_recvfrom, Named::Buffer, true),
    (libc::SYS_readv, Named::Iovecs, true),
    (libc::SYS_preadv, Named::Iovecs, true),
    (libc::SYS_preadv2, Named::Iovecs, true),
    (libc::SYS_recvmsg, Named::Message, true),
    (libc::SYS_write, Named::Buffer, false),
    (libc::SYS_pwrite64, Named::Buffer, false),
    (libc::SYS_sendto, Named::Buffer, false),
    (libc::SYS_writev, Named::Iovecs, false),
    (libc::SYS_pwritev, Named::Iovecs, false),
    (libc::SYS_pwritev2, Named::Iovecs, false),
    (libc::SYS_sendmsg, Named::Message, false),
];

/// Tells where the memory of a call begins that is about to be made.
#[inline]
pub(crate) fn before(number: i64, args: &[u64; 6]) {
    if let Some(watch) = WATCH.get() {
        tell(*watch, number, args, None);
    }
}

/// Tells of a call that was made.
#[inline]
pub(crate) fn after(number: i64, args: &[u64; 6], result: &Result<u64>) {
    if let Some(watch) = WATCH.get()
        && let Ok(moved) = result
    {
        tell(*watch, number, args, Some(*moved));
    }
}

/// Tells of `moved` bytes, or of the first of each piece.
#[cold]
fn tell(watch: Watch, number: i64, args: &[u64; 6], moved: Option<u64>) {
    let Some((_, named, writes)) = CALLS.iter().find(|(call, ..)| *call == number) else { return };
    let (list, count) = match named {
        Named::Buffer => {
            let len = moved.unwrap_or(1).min(args[2]);
            return if len > 0 {
                watch(args[1], len, *writes)
            };
        }
        Named::Iovecs => (args[1], args[2]),
        Named::Message => match plain::read::<Os, Msghdr>(&Os, args[1]) {
            Ok(message) => (message.iov, message.iovlen),
            Err(_) => return,
        },
    };
    let mut left = moved;
    // The kernel takes no more.
    for index in 0..count.min(libc::UIO_MAXIOV as u64) {
        let Ok(part) = plain::read_at::<Os, Iovec>(&Os, list, index) else { return };
        let len = part.len.min(left.unwrap_or(1));
        if len > 0 {
            watch(part.base, len, *writes);
        }
        left = left.map(|left| left - len);
    }
}
