//! READ_MULTISHOT: reads into provided buffers, again and again, whatever can be polled.

use crate::issue::Cx;
use crate::ops::net::IN;
use crate::ops::recv::more;
use crate::ops::rw;
use crate::request::{Outcome, Req};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;

/// After this many completions others have their turn.
const TURNS_MAX: u32 = 32;

pub(crate) fn prep<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    if !req.has(IOSQE_BUFFER_SELECT) {
        return Err(Errno::EINVAL);
    }
    rw::prep(req, cx)?;
    if req.sqe.addr != 0 || req.sqe.len != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(crate) fn issue<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if !req.polled
        && let Err(errno) = cx.ring.watch_first(cx.sub, req)
    {
        // What cannot be polled cannot be read again and again.
        let errno = if errno == Errno::EPERM { Errno::EBADFD } else { errno };
        return Outcome::Done(errno.as_result());
    }
    for _ in 0..TURNS_MAX {
        let outcome = rw::read(req, cx);
        match outcome {
            Outcome::Done(res) if res > 0 => {
                if !more(req, cx, res) {
                    return outcome;
                }
            }
            // Nothing of it goes to a worker: it waits for its file.
            Outcome::Work => return Outcome::Wait(IN),
            _ => return outcome,
        }
    }
    Outcome::WaitUntried(IN)
}
