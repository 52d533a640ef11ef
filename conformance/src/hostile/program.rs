//! A hostile program: a ring and what is done to it.

use super::{Addr, Count, Entry, Fd, Number};
use crate::{OwnMemory, Ring, Target};
use arbitrary::{Arbitrary, Unstructured};
use ringfence_abi::*;
use std::os::fd::RawFd;

/// Up to `MAX` values, as many as there are bytes for.
///
/// The derived form stops at each with one chance in two, which makes programs of one step.
pub(super) fn up_to<'a, const MAX: usize, T: Arbitrary<'a>>(
    u: &mut Unstructured<'a>,
) -> arbitrary::Result<Vec<T>> {
    let count = u.int_in_range(0..=MAX)?;
    let mut values = Vec::with_capacity(count);
    while values.len() < count && !u.is_empty() {
        values.push(u.arbitrary()?);
    }
    Ok(values)
}

/// A flag that may be none, seldom.
fn odd(u: &mut Unstructured<'_>) -> arbitrary::Result<Number> {
    if u.ratio(1, 16)? { u.arbitrary() } else { Ok(Number::Zero) }
}

/// Bits, each set one time in eight.
fn few(u: &mut Unstructured<'_>) -> arbitrary::Result<u32> {
    Ok(u.arbitrary::<u32>()? & u.arbitrary::<u32>()? & u.arbitrary::<u32>()?)
}

/// One time in eight.
fn seldom(u: &mut Unstructured<'_>) -> arbitrary::Result<bool> {
    u.ratio(1, 8)
}

/// How the ring is made.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Entries, as a power of two.
    pub order: u8,
    /// Which of [`FLAGS`].
    #[arbitrary(with = few)]
    pub flags: u32,
    /// A flag that may be no flag.
    #[arbitrary(with = odd)]
    pub odd: Number,
    /// Completion entries, with `IORING_SETUP_CQSIZE`.
    pub cq_entries: u8,
}

/// Flags that a setup may have, those that need another one with it.
const FLAGS: [u32; 21] = [
    IORING_SETUP_IOPOLL,
    IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL,
    IORING_SETUP_SQPOLL,
    IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF,
    IORING_SETUP_CQSIZE,
    IORING_SETUP_CLAMP,
    IORING_SETUP_ATTACH_WQ,
    IORING_SETUP_R_DISABLED,
    IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_SQE128,
    IORING_SETUP_SQE_MIXED,
    IORING_SETUP_CQE32,
    IORING_SETUP_CQE_MIXED,
    IORING_SETUP_NO_SQARRAY,
    IORING_SETUP_NO_MMAP,
    IORING_SETUP_NO_MMAP | IORING_SETUP_NO_SQARRAY,
    IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY,
];

impl Setup {
    /// A ring of sixteen entries, no flags.
    pub const PLAIN: Setup = Setup { order: 4, flags: 0, odd: Number::Zero, cq_entries: 0 };

    /// The arguments of `io_uring_setup`, beside a ring whose workers may be shared.
    pub fn args(&self, beside: RawFd) -> (u32, Params) {
        let drawn = FLAGS.into_iter().enumerate().filter(|(bit, _)| self.flags >> bit & 1 == 1);
        let flags = drawn.fold(self.odd.value(), |flags, (_, flag)| flags | flag);
        let cq_entries = u32::from(self.cq_entries);
        let wq_fd = beside as u32;
        // The thread of a polled ring ought to sleep soon.
        let sq_thread_idle = 1;
        let params = Params { flags, cq_entries, wq_fd, sq_thread_idle, ..Params::default() };
        (1 << (self.order % 7), params)
    }

    /// Sets the ring up, beside another one; with the memory that is to be kept until the ring is gone.
    ///
    /// # Errors
    /// Those of `io_uring_setup`.
    pub fn ring<'t>(
        &self,
        target: &'t dyn Target,
        other: Option<&Ring<'t>>,
    ) -> Result<(Ring<'t>, Option<OwnMemory>)> {
        let (entries, params) = self.args(other.map_or(-1, |other| other.fd));
        if params.flags & IORING_SETUP_NO_MMAP == 0 {
            return Ok((Ring::new(target, entries, params)?, None));
        }
        let memory = OwnMemory::default();
        Ok((Ring::in_memory(target, entries, params, &memory)?, Some(memory)))
    }
}

/// Eight bytes of an argument in memory.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A number.
    Number(Number),
    /// Two numbers of four bytes.
    Pair(Number, Number),
    /// Two descriptors.
    Fds(Fd, Fd),
    /// An address.
    Addr(Addr),
    /// Anything.
    Any(u64),
}

/// A registration.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its opcode.
    pub opcode: u8,
    /// It is of the other ring, seldom: what the program's may clone from, or send to.
    #[arbitrary(with = seldom)]
    pub other: bool,
    /// What stands where its argument points, if it points to memory of the program.
    #[arbitrary(with = up_to::<12, Word>)]
    pub words: Vec<Word>,
    /// Where its argument points otherwise.
    pub elsewhere: Option<Addr>,
    /// Its count.
    pub count: Count,
}

/// One thing that a program does.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Queues entries and submits them.
    Submit(#[arbitrary(with = up_to::<8, Entry>)] Vec<Entry>),
    /// Enters with flags, to submit so many and to wait for so many, a millisecond at most.
    Enter(u8, u8, Number),
    /// Takes completions.
    Reap(u8),
    /// Registers something.
    Register(Register),
    /// Writes words to the arena, at an offset in words.
    Poke(u8, #[arbitrary(with = up_to::<16, Word>)] Vec<Word>),
    /// Overwrites a word of the rings' memory.
    Scribble(u16, Number),
    /// Overwrites the published tail of the submission ring.
    Tail(Number),
    /// Overwrites the head of the completion ring.
    Head(Number),
    /// Overwrites an entry of the index array.
    Index(u8, Number),
    /// Sends bytes to whoever waits for the pipe and the stream.
    Feed(u8),
    /// Closes a descriptor of the world.
    Close(Fd),
}

/// A program.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its ring.
    pub setup: Setup,
    /// What it does.
    #[arbitrary(with = up_to::<24, Step>)]
    pub steps: Vec<Step>,
}
