//! A ring, and the operations of the workloads on it.
//!
//! Memory that a request names must outlive the request. Here it is never freed at all: every
//! operation asks for `&'static` memory, and that memory is only ever looked at by the system.
#![expect(unsafe_code, reason = "submissions to io_uring by the io-uring crate")]

use crate::error::{Context, Error, Result};
use io_uring::types::{Fd, Timespec};
use io_uring::{IoUring, SubmissionQueue, opcode, squeue};
use serde::{Deserialize, Serialize};
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

/// Bytes of a page, of a block, and of what O_DIRECT wants memory and offsets to be multiples of.
pub(crate) const PAGE: usize = 4096;

/// Who answers the calls of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServedBy {
    /// The kernel.
    Kernel,
    /// Ringfence, in this process.
    Ringfence,
}

/// Memory for transfers; its content is nobody's business.
#[repr(align(4096))]
pub(crate) struct Page(UnsafeCell<[u8; PAGE]>);

impl Page {
    /// Where it is, for requests that are not made here.
    pub(crate) fn address(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

/// Memory for the answer of a statx.
pub(crate) struct StatxAnswer(UnsafeCell<MaybeUninit<libc::statx>>);

/// Pages that are never freed.
pub(crate) fn pages(count: usize) -> Vec<&'static Page> {
    let page = |_| &*Box::leak(Box::new(Page(UnsafeCell::new([0; PAGE]))));
    (0..count).map(page).collect()
}

/// Answers that are never freed.
pub(crate) fn statx_answers(count: usize) -> Vec<&'static StatxAnswer> {
    let slot = |_| &*Box::leak(Box::new(StatxAnswer(UnsafeCell::new(MaybeUninit::uninit()))));
    (0..count).map(slot).collect()
}

/// A ring of default settings.
pub(crate) struct Ring {
    uring: IoUring,
}

impl Ring {
    /// A ring with room for `entries` submissions and twice as many completions.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where io_uring is refused.
    pub(crate) fn new(entries: u32) -> Result<Ring> {
        match IoUring::new(entries) {
            Ok(uring) => Ok(Ring { uring }),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                Err(Error::Unavailable(format!("io_uring_setup: {error}")))
            }
            Err(source) => Err(Error::Failed { what: "io_uring_setup", source }),
        }
    }

    /// Whose ring it is, told by what its descriptor is.
    pub(crate) fn served_by(&self) -> Option<ServedBy> {
        let link = format!("/proc/self/fd/{}", self.uring.as_raw_fd());
        let target = std::fs::read_link(link).ok()?;
        let kernel = target.as_os_str() == "anon_inode:[io_uring]";
        Some(if kernel { ServedBy::Kernel } else { ServedBy::Ringfence })
    }

    /// To queue submissions; they are published when the batch is dropped.
    #[inline]
    pub(crate) fn batch(&mut self) -> Batch<'_> {
        Batch { queue: self.uring.submission() }
    }

    /// Submits what is queued and waits until there are `want` completions.
    #[inline]
    pub(crate) fn submit_and_wait(&mut self, want: usize) -> Result<()> {
        self.uring.submit_and_wait(want).map(drop).during("io_uring_enter")
    }

    /// Takes the completions that are there: tag and result of each; returns how many.
    #[inline]
    pub(crate) fn take(&mut self, mut each: impl FnMut(u64, i32) -> Result<()>) -> Result<usize> {
        let mut count = 0;
        for completion in self.uring.completion() {
            count += 1;
            each(completion.user_data(), completion.result())?;
        }
        Ok(count)
    }

    /// Submits what is queued and takes `count` completions, waiting for them.
    #[inline]
    pub(crate) fn submit_and_take(
        &mut self,
        count: usize,
        mut each: impl FnMut(u64, i32) -> Result<()>,
    ) -> Result<()> {
        let mut left = count;
        while left > 0 {
            self.submit_and_wait(left)?;
            left = left.saturating_sub(self.take(&mut each)?);
        }
        Ok(())
    }
}

/// Submissions being queued. The tag of each comes back with its completion.
pub(crate) struct Batch<'a> {
    queue: SubmissionQueue<'a>,
}

impl Batch<'_> {
    #[inline]
    fn push(&mut self, entry: squeue::Entry, tag: u64) {
        let entry = entry.user_data(tag);
        // SAFETY: only the methods below call this, and the memory that their entries name is
        // `'static`, is in cells, and is never accessed by this program again.
        let pushed = unsafe { self.queue.push(&entry) };
        pushed.expect("a workload makes its ring large enough");
    }

    #[inline]
    pub(crate) fn nop(&mut self, tag: u64) {
        self.push(opcode::Nop::new().build(), tag);
    }

    #[inline]
    pub(crate) fn read(&mut self, fd: RawFd, page: &'static Page, offset: u64, tag: u64) {
        self.push(read(fd, page, offset), tag);
    }

    /// A read with a write linked to it: the write starts when the read has succeeded.
    #[inline]
    pub(crate) fn copy(&mut self, pair: Pair, page: &'static Page, tag: u64) {
        let memory = page.0.get().cast::<u8>();
        let read = read(pair.from, page, pair.offset).flags(squeue::Flags::IO_LINK);
        self.push(read, tag);
        let write = opcode::Write::new(Fd(pair.to), memory, PAGE as u32);
        self.push(write.build(), tag);
    }

    #[inline]
    pub(crate) fn recv(&mut self, fd: RawFd, page: &'static Page, tag: u64) {
        self.push(opcode::Recv::new(Fd(fd), page.0.get().cast(), PAGE as u32).build(), tag);
    }

    #[inline]
    pub(crate) fn send(&mut self, fd: RawFd, page: &'static Page, length: u32, tag: u64) {
        self.push(opcode::Send::new(Fd(fd), page.0.get().cast(), length).build(), tag);
    }

    #[inline]
    pub(crate) fn timeout(&mut self, after: &'static Timespec, tag: u64) {
        self.push(opcode::Timeout::new(after).build(), tag);
    }

    #[inline]
    pub(crate) fn timeout_remove(&mut self, target: u64, tag: u64) {
        self.push(opcode::TimeoutRemove::new(target).build(), tag);
    }

    #[inline]
    pub(crate) fn poll_add(&mut self, fd: RawFd, tag: u64) {
        self.push(opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).build(), tag);
    }

    #[inline]
    pub(crate) fn poll_remove(&mut self, target: u64, tag: u64) {
        self.push(opcode::PollRemove::new(target).build(), tag);
    }

    #[inline]
    pub(crate) fn statx(
        &mut self,
        dir: RawFd,
        name: &'static CStr,
        answer: &'static StatxAnswer,
        tag: u64,
    ) {
        let entry = opcode::Statx::new(Fd(dir), name.as_ptr(), answer.0.get().cast())
            .mask(libc::STATX_BASIC_STATS);
        self.push(entry.build(), tag);
    }
}

/// From where to where a linked pair moves a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) from: RawFd,
    pub(crate) offset: u64,
    pub(crate) to: RawFd,
}

#[inline]
fn read(fd: RawFd, page: &'static Page, offset: u64) -> squeue::Entry {
    opcode::Read::new(Fd(fd), page.0.get().cast(), PAGE as u32).offset(offset).build()
}
