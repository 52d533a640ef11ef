//! Rings cannot be sent over a socket: since Linux 6.8 `SCM_RIGHTS` with one of them is `EINVAL`.

use crate::engine::Shared;
use ringfence_host::Host;

/// The head of a control message, `struct cmsghdr`, bytes.
const HEAD: u64 = 16;

/// Most descriptors of one message, and so the most that is worth looking at.
const RIGHTS_MAX: u64 = 253;

fn number(bytes: &[u8]) -> i32 {
    i32::from_le_bytes(bytes.try_into().unwrap_or_default())
}

impl<H: Host> Shared<H> {
    /// Whether the control messages at `control`, of `len` bytes, hold a ring. What cannot be read
    /// is for the kernel to refuse.
    pub(crate) fn sends_ring(&self, host: &H, control: u64, len: u64) -> bool {
        let mut at = 0;
        while control != 0 && len.saturating_sub(at) >= HEAD {
            let mut head = [0; HEAD as usize];
            if host.copy_in(control.wrapping_add(at), &mut head).is_err() {
                return false;
            }
            let size = u64::from_le_bytes(head[..8].try_into().unwrap_or_default());
            if size < HEAD || size > len - at {
                return false;
            }
            let kind = (number(&head[8..12]), number(&head[12..16]));
            if kind == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let count = ((size - HEAD) / 4).min(RIGHTS_MAX);
                let first = control.wrapping_add(at + HEAD);
                if (0..count).any(|index| self.is_ring_at(host, first.wrapping_add(index * 4))) {
                    return true;
                }
            }
            at += size.next_multiple_of(8);
        }
        false
    }

    fn is_ring_at(&self, host: &H, at: u64) -> bool {
        let mut fd = [0; 4];
        host.copy_in(at, &mut fd).is_ok() && self.is_ring(number(&fd))
    }
}
