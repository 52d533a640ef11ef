//! `io_getevents` and `io_pgetevents`.

use super::context::Context;
use super::life::Rule;
use super::ring;
use super::table::User;
use crate::wait::Limits;
use ringfence_abi::*;
use ringfence_host::sync::Ordering;
use ringfence_host::{Clock, Host, plain};

const EVENT: u64 = size_of::<IoEvent>() as u64;

/// Reads how long a wait may last, and under which mask.
///
/// # Errors
/// `EFAULT`, and `EINVAL` for a mask of another size.
pub(super) fn limits<H: Host>(host: &H, timeout: u64, sigset: u64) -> Result<Limits> {
    let mut limits = Limits::default();
    if timeout != 0 {
        let time: Timespec = plain::read(host, timeout)?;
        let nanos = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
        // The kernel takes a time before now for no limit.
        if nanos >= 0 {
            let now = host.now(Clock::Monotonic);
            limits.deadline = Some(now.saturating_add(nanos as u64));
        }
    }
    if sigset != 0 {
        let set: AioSigset = plain::read(host, sigset)?;
        if set.sigmask != 0 {
            if set.size != 8 {
                return Err(Errno::EINVAL);
            }
            limits.sigmask = Some(plain::read(host, set.sigmask)?);
        }
    }
    Ok(limits)
}

/// Takes up to `nr` events, waiting for `min` of them.
///
/// The context is used while events are taken, and not while they are waited for: a handler that
/// runs meanwhile may destroy it, or never come back.
///
/// # Errors
/// `EINVAL` for bounds that are none, and for a context that was destroyed meanwhile; `EFAULT`;
/// `EINTR`. None of them if events were taken before.
pub(super) fn get<H: Host, R: Rule>(
    user: User<H, R>,
    [min, nr]: [i64; 2],
    events: u64,
    limits: Limits,
) -> Result<u32> {
    if min < 0 || min > nr {
        return Err(Errno::EINVAL);
    }
    let min = if min == 0 && nr > 0 { least(&user, limits) } else { min };
    let mut user = user;
    let mut taken = 0i64;
    let mut looked = false;
    let result = loop {
        let to = events.wrapping_add(taken as u64 * EVENT);
        match take(&user, nr - taken, to) {
            Ok(count) => taken += count,
            Err(errno) => break Err(errno),
        }
        if taken >= min && (taken > 0 || looked) {
            break Ok(());
        }
        let want = (min - taken).min(i64::from(user.ring.layout.cq_entries())) as u32;
        let context = user.leave();
        let waited = context.ring.wait_strictly(want, limits);
        looked = true;
        if let Err(errno) = waited
            && context.ring.is_left(errno)
        {
            return if taken > 0 { Ok(taken as u32) } else { Err(errno) };
        }
        user = match User::of(context) {
            Some(user) => user,
            None => return if taken > 0 { Ok(taken as u32) } else { Err(Errno::EINVAL) },
        };
        match waited {
            Ok(()) => {}
            Err(Errno::ETIME) => break Ok(()),
            Err(errno) => break Err(errno),
        }
    };
    Context::leave(&user);
    match result {
        Err(errno) if taken == 0 => Err(errno),
        _ => Ok(taken as u32),
    }
}

/// What a wait for no event waits for. Programs take it for granted that a read or write without
/// `O_DIRECT` is done when its submission returns, as in the kernel, and ask so for its event: within
/// the time that they give, one is waited for while workers have something in hand.
fn least<H: Host, R: Rule>(context: &Context<H, R>, limits: Limits) -> i64 {
    let now = || context.ring.host.now(Clock::Monotonic);
    let works =
        context.ring.pending.load(Ordering::Acquire) > 0 && !context.polls.load(Ordering::Relaxed);
    i64::from(works && limits.deadline.is_some_and(|deadline| deadline > now() + 1000))
}

/// Takes what is there, up to `nr` events, to `to`; how many.
///
/// # Errors
/// `EFAULT`; the events stay then.
fn take<H: Host, R: Rule>(context: &Context<H, R>, nr: i64, to: u64) -> Result<i64> {
    let ring = &context.ring;
    let _reader = context.reader.lock();
    context.assert_in_use();
    let ready = ring.look().0;
    let count = nr.min(i64::from(ready)) as u32;
    if count == 0 {
        return Ok(0);
    }
    let places = ring.layout.io_events;
    let head = ring.shm.load(layout::CQ_HEAD, Ordering::Acquire) % places;
    for index in 0..count {
        let event = ring::read(&ring.shm, (head + index) % places);
        plain::write(&ring.host, to.wrapping_add(u64::from(index) * EVENT), &event)?;
    }
    // Pairs with the Acquire in `Cq::ready`: the places may be written again.
    ring.shm.store(layout::CQ_HEAD, (head + count) % places, Ordering::Release);
    Ok(i64::from(count))
}
