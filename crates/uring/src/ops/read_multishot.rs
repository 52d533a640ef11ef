//! READ_MULTISHOT: reads into provided buffers, again and again, whatever can be polled.

use crate::issue::Cx;
use crate::ops::net::IN;
use crate::ops::recv::more;
use crate::ops::rw;
use crate::request::{Outcome, Req};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::{Host, calls};

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
    for turn in 0..TURNS_MAX {
        let outcome = rw::read(req, cx);
        match outcome {
            Outcome::Done(res) if res > 0 => {
                if !more(req, cx, res) {
                    return outcome;
                }
            }
            // After data, a lack of buffers shows when there is more to read, and not before.
            Outcome::Done(res)
                if turn > 0 && res == Errno::ENOBUFS.as_result() && !is_readable(req, cx) =>
            {
                return Outcome::WaitUntried(IN);
            }
            // Nothing of it goes to a worker: it waits for its file.
            Outcome::Work | Outcome::WorkUntried => return Outcome::Wait(IN),
            _ => return outcome,
        }
    }
    Outcome::WaitUntried(IN)
}

/// Whether its file has something to read now, or an end to tell.
fn is_readable<H: Host>(req: &Req<H>, cx: &Cx<'_, H>) -> bool {
    calls::poll_now(&cx.ring.host, req.file.fd(), IN).is_ok_and(|ready| ready != 0)
}
