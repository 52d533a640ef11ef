//! FUTEX_WAIT, FUTEX_WAKE and FUTEX_WAITV.
//!
//! Whoever wakes may do so by system call, in another process too, and is told how many it woke;
//! so each request is one sleeper in the kernel, a thread in `futex_waitv` on the program's words
//! and two of its own: the first ends the wait, and the last tells whether the thread sleeps.
//! The order matters: of several woken words the call names the last, so a wake that comes with
//! the end of the wait is not lost. One thread for the words of many requests would lose those of
//! all words but one.

use crate::blocked::{Blocked, Signals, Wait};
use crate::issue::Cx;
use crate::request::{Extra, Outcome, Req, result_of};
use crate::submit::Prep;
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_host::plain;
use ringfence_host::sync::{Arc, AtomicU32, Ordering};

/// `FUTEX2_*`: all flags, the size that there is, and those that older calls cannot take.
const FLAGS_KNOWN: u32 = 0x8f;
const SIZE_MASK: u32 = 3;
const SIZE_U32: u32 = 2;
const PRIVATE: u32 = 128;
const NUMA: u32 = 0xc;

/// The mask that every wake meets.
const ANY: u32 = u32::MAX;

/// Most words of one wait.
const WORDS_MAX: u32 = 128;

/// `futex_wake(2)` of the newer kind.
const SYS_FUTEX_WAKE: i64 = 454;

type Word = FutexWaitv;

/// A word of the engine's own that is 0.
fn own(word: &AtomicU32) -> Word {
    Word { value: 0, addr: word.as_ptr() as u64, flags: SIZE_U32 | PRIVATE, reserved: 0 }
}

fn check_flags(flags: u32) -> Result<()> {
    let good = flags & !FLAGS_KNOWN == 0 && flags & SIZE_MASK == SIZE_U32;
    if good { Ok(()) } else { Err(Errno::EINVAL) }
}

/// The value that stands at a word now.
fn load<H: Host>(word: &Word, host: &H) -> Result<u32> {
    if !word.addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    plain::read(host, word.addr)
}

/// Wakes up to `count` sleepers whose masks meet `mask`.
fn wake_word<H: Host>(word: &Word, host: &H, count: u64, mask: u32) -> Result<u64> {
    let mask = u64::from(mask);
    if word.flags & NUMA != 0 {
        let args = [word.addr, mask, count, u64::from(word.flags), 0, 0];
        return host.syscall(SYS_FUTEX_WAKE, args);
    }
    let op = libc::FUTEX_WAKE_BITSET as u32 | word.flags & PRIVATE;
    host.syscall(libc::SYS_futex, [word.addr, u64::from(op), count, 0, 0, mask])
}

/// The words of a wait.
#[derive(Debug)]
pub(crate) struct Words {
    words: Vec<Word>,
    mask: u32,
}

impl Words {
    /// Whether the thread waits on words of its own besides.
    fn has_own(&self) -> bool {
        self.mask == ANY && self.words.len() + 2 <= WORDS_MAX as usize
    }

    /// Whether every word has its value.
    ///
    /// # Errors
    /// `EAGAIN` if not, `EFAULT` and `EINVAL` for bad addresses.
    fn check<H: Host>(&self, host: &H) -> Result<()> {
        for word in &self.words {
            if u64::from(load(word, host)?) != word.value {
                return Err(Errno::EAGAIN);
            }
        }
        Ok(())
    }

    /// Sleeps until one of the words is woken, and tells which one; `None` if stopped.
    pub(crate) fn block<H: Host>(&self, host: &H, signals: &Signals) -> Option<i32> {
        let result = match self.has_own() {
            true => self.block_stoppable(host, signals)?,
            false => self.block_plainly(host),
        };
        Some(match result {
            Ok(index) => index as i32,
            // Each word had its value when the request was issued: one has changed since, and that
            // is as good as being woken.
            Err(Errno::EAGAIN) => self.changed(host),
            Err(errno) => errno.as_result(),
        })
    }

    fn block_stoppable<H: Host>(&self, host: &H, signals: &Signals) -> Option<Result<u64>> {
        let mut words = vec![own(&signals.stop)];
        words.extend(&self.words);
        words.push(own(&signals.armed));
        let last = words.len() as u64 - 1;
        loop {
            let args = [words.as_ptr() as u64, words.len() as u64, 0, 0, 0, 0];
            let result = host.syscall(libc::SYS_futex_waitv, args);
            match result {
                Ok(index) if index > 0 && index < last => return Some(Ok(index - 1)),
                Err(Errno::ENOSYS) => return Some(self.block_plainly(host)),
                _ if signals.stop.load(Ordering::Acquire) != 0 => return None,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Some(Err(errno)),
            }
        }
    }

    /// Sleeps on the program's words alone.
    fn block_plainly<H: Host>(&self, host: &H) -> Result<u64> {
        loop {
            let result = match &self.words[..] {
                [word] => {
                    let op = libc::FUTEX_WAIT_BITSET as u32 | word.flags & PRIVATE;
                    let args = [word.addr, u64::from(op), word.value, 0, 0, u64::from(self.mask)];
                    host.syscall(libc::SYS_futex, args)
                }
                words => {
                    let args = [words.as_ptr() as u64, words.len() as u64, 0, 0, 0, 0];
                    host.syscall(libc::SYS_futex_waitv, args)
                }
            };
            if result != Err(Errno::EINTR) {
                return result;
            }
        }
    }

    /// The first word that has another value.
    fn changed<H: Host>(&self, host: &H) -> i32 {
        let differs =
            |word: &Word| load(word, host).is_ok_and(|value| u64::from(value) != word.value);
        self.words.iter().position(differs).unwrap_or(0) as i32
    }

    /// Whether the thread sleeps: somebody waits on its last word. To be moved from that word to
    /// the same word changes nothing and is counted.
    pub(crate) fn is_asleep<H: Host>(&self, host: &H, signals: &Signals) -> bool {
        if !self.has_own() {
            // There is no word of its own to ask for.
            return true;
        }
        let at = signals.armed.as_ptr() as u64;
        let op = (libc::FUTEX_REQUEUE | libc::FUTEX_PRIVATE_FLAG) as u64;
        host.syscall(libc::SYS_futex, [at, op, 0, 1, at, 0]).is_ok_and(|count| count > 0)
    }

    /// A wake was meant for a request that is gone: another sleeper gets it.
    pub(crate) fn pass_on<H: Host>(&self, host: &H, res: i32) {
        if let Some(word) = usize::try_from(res).ok().and_then(|index| self.words.get(index)) {
            let _ = wake_word(word, host, 1, self.mask);
        }
    }
}

/// The word that an entry names.
fn read_word<H: Host>(req: &Req<H>) -> Result<Word> {
    let sqe = &req.sqe;
    if sqe.len != 0 || sqe.op_flags != 0 || sqe.buf_index != 0 || sqe.file_index != 0 {
        return Err(Errno::EINVAL);
    }
    let flags = sqe.fd as u32;
    check_flags(flags)?;
    if sqe.off > u64::from(u32::MAX) || sqe.addr3 > u64::from(u32::MAX) {
        return Err(Errno::EINVAL);
    }
    Ok(Word { value: sqe.off, addr: sqe.addr, flags, reserved: 0 })
}

pub(crate) fn prep_wait<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    let words = Words { words: vec![read_word(req)?], mask: req.sqe.addr3 as u32 };
    req.extra = Extra::Wait(Arc::new(Wait::Futex(words)));
    Ok(())
}

pub(crate) fn prep_waitv<H: Host>(req: &mut Req<H>, cx: &mut Prep<'_, H>) -> Result<()> {
    let sqe = &req.sqe;
    let unused = sqe.fd != 0
        || sqe.buf_index != 0
        || sqe.file_index != 0
        || sqe.off != 0
        || sqe.op_flags != 0
        || sqe.addr3 != 0;
    if unused || sqe.len == 0 || sqe.len > WORDS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut words = Vec::with_capacity(sqe.len as usize);
    for index in 0..u64::from(sqe.len) {
        let word: Word = plain::read_at(&cx.ring.host, sqe.addr, index)?;
        check_flags(word.flags)?;
        if word.reserved != 0 || word.value > u64::from(u32::MAX) {
            return Err(Errno::EINVAL);
        }
        words.push(word);
    }
    req.extra = Extra::Wait(Arc::new(Wait::Futex(Words { words, mask: ANY })));
    Ok(())
}

pub(crate) fn wait<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    let Extra::Wait(wait) = &req.extra else { return Outcome::Done(Errno::EINVAL.as_result()) };
    let Wait::Futex(words) = &**wait else { return Outcome::Done(Errno::EINVAL.as_result()) };
    if words.mask == 0 {
        return Outcome::Done(Errno::EINVAL.as_result());
    }
    match words.check(&cx.ring.host) {
        Ok(()) => Outcome::Block,
        Err(errno) => Outcome::Done(errno.as_result()),
    }
}

/// Waits of the same submission, whose threads a wake must find asleep.
pub(crate) struct Before<H: Host>(Vec<Arc<Blocked<H>>>);

pub(crate) fn prep_wake<H: Host>(req: &mut Req<H>, _: &mut Prep<'_, H>) -> Result<()> {
    read_word(req).map(drop)
}

pub(crate) fn wake<H: Host>(req: &mut Req<H>, cx: &mut Cx<'_, H>) -> Outcome {
    if cx.sub.blocked.is_empty() {
        return Outcome::Done(work_wake(req, &cx.ring.host));
    }
    req.extra = Extra::Before(Before(cx.sub.blocked.clone()));
    Outcome::Work
}

pub(crate) fn work_wake<H: Host>(req: &mut Req<H>, host: &H) -> i32 {
    if let Extra::Before(Before(waits)) = std::mem::replace(&mut req.extra, Extra::None) {
        waits.iter().for_each(|wait| wait.settle());
    }
    let (count, mask) = (req.sqe.off, req.sqe.addr3 as u32);
    result_of(read_word(req).and_then(|word| match count {
        // The call would wake one all the same.
        0 => Ok(0),
        count => wake_word(&word, host, count.min(i32::MAX as u64), mask),
    }))
}
