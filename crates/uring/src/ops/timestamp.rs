//! The socket command that yields the times at which data was sent, one wide completion each.
//!
//! The kernel takes just the times out of a socket's error queue. Here the queue is read as any
//! program reads it, and what is taken cannot be put back: so a socket that asked for other
//! errors there (`IP_RECVERR`, `SO_ZEROCOPY`) is refused, as on a kernel without the command.

use crate::cq::Entry;
use crate::issue::Cx;
use crate::ops::net::{DONTWAIT, socket_option};
use crate::request::{Outcome, Req};
use ringfence_abi::*;
use ringfence_host::{Host, calls};

/// Above these bits of a completion's flags stands what kind of time it is.
const TYPE_SHIFT: u32 = 17;
/// The time is the device's.
const FROM_DEVICE: u32 = 1 << 16;

/// `SO_EE_ORIGIN_TIMESTAMPING`.
const ORIGIN_TIMESTAMPING: u8 = 4;

/// Room for the control data of one message, bytes: three times and an error with an address.
const CONTROL: usize = 256;

/// Posts the times that are there, and waits for more.
pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let fd = req.file.fd();
    if !req.polled
        && let Err(errno) = check(cx, fd)
    {
        return Outcome::Done(errno.as_result());
    }
    while let Some(sent) = next(cx, fd) {
        let flags = IORING_CQE_F_MORE | sent.kind << TYPE_SHIFT | sent.device;
        let cqe = Cqe { user_data: req.sqe.user_data, res: sent.id as i32, flags };
        cx.sub.batch.push(Entry { cqe, big: sent.time, wide: true });
    }
    Outcome::Wait(libc::EPOLLERR as u32)
}

fn check<H: Host>(cx: &Cx<'_, H>, fd: i32) -> Result<()> {
    if !cx.ring.has(IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED) {
        return Err(Errno::EINVAL);
    }
    let asks = |level: i32, name: i32| {
        let (mut value, mut len) = (0i32, 4u32);
        let (at, len_at) = (calls::addr_mut(&mut value), calls::addr_mut(&mut len));
        let args = [fd as u64, level as u64, name as u64, at, len_at, 0];
        cx.call(libc::SYS_getsockopt, args).is_ok() && value != 0
    };
    let others = asks(libc::SOL_IP, libc::IP_RECVERR)
        || asks(libc::SOL_IPV6, libc::IPV6_RECVERR)
        || socket_option(&cx.ring.host, fd, libc::SO_ZEROCOPY) == Ok(1);
    if others { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
}

/// When something was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    /// Seconds and nanoseconds.
    time: [u64; 2],
    /// Which data it was.
    id: u32,
    /// `SCM_TSTAMP_*`.
    kind: u32,
    /// [`FROM_DEVICE`] or nothing.
    device: u32,
}

/// Takes the next time out of the error queue.
fn next<H: Host>(cx: &Cx<'_, H>, fd: i32) -> Option<Sent> {
    loop {
        let mut control = [0u64; CONTROL / 8];
        let mut header = Msghdr {
            control: calls::addr_mut(&mut control),
            controllen: CONTROL as u64,
            ..Msghdr::default()
        };
        let flags = u64::from(libc::MSG_ERRQUEUE as u32 | DONTWAIT);
        let at = calls::addr_mut(&mut header);
        cx.call(libc::SYS_recvmsg, [fd as u64, at, flags, 0, 0, 0]).ok()?;
        let len = (header.controllen as usize).min(CONTROL);
        let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
        if let Some(sent) = parse(&bytes[..len]) {
            return Some(sent);
        }
    }
}

/// The time in a message's control data, if it holds one.
fn parse(mut rest: &[u8]) -> Option<Sent> {
    let (mut times, mut error) = (None, None);
    while rest.len() >= 16 {
        let word = |at: usize| u64::from_ne_bytes(rest[at..at + 8].try_into().unwrap_or_default());
        let (size, kind) = (word(0) as usize, word(8));
        let (level, name) = (kind as i32, (kind >> 32) as i32);
        let data = rest.get(16..size)?;
        match (level, name) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => times = Some(data),
            (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR) => {
                error = Some(data);
            }
            _ => {}
        }
        rest = rest.get(size.next_multiple_of(8)..).unwrap_or_default();
    }
    let (times, error) = (times?, error?);
    let word = |at: usize| Some(u64::from_ne_bytes(times.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u32::from_ne_bytes(error.get(at..at + 4)?.try_into().ok()?));
    // struct sock_extended_err: errno, origin, type, code, padding, info, data.
    if *error.get(4)? != ORIGIN_TIMESTAMPING {
        return None;
    }
    let software = [word(0)?, word(8)?];
    let device = [word(32)?, word(40)?];
    let from_device = software == [0, 0];
    Some(Sent {
        time: if from_device { device } else { software },
        id: half(12)?,
        kind: half(8)?,
        device: if from_device { FROM_DEVICE } else { 0 },
    })
}
