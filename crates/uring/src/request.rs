//! A request: what a submission entry becomes, and what the steps of its way say to each other.

use crate::kind::Name;
use crate::parked::Key;
use crate::register::personality::Credentials;
use ringfence_abi::{Errno, Iovec, Sqe};
use ringfence_host::sync::Arc;
use ringfence_host::{Host, calls};

/// A request is owned by exactly one place at a time, from prep to completion: the submission
/// path, the parked table, a worker, the drain list, or the chain of the request before it. That
/// the box moves is what makes double completion and unlocked chain walks impossible.
pub(crate) type Req<H> = Box<Request<H>>;

/// One request.
pub(crate) struct Request<H: Host> {
    /// The submission entry, copied once.
    pub(crate) sqe: Sqe,
    /// What prep copied from where the entry points.
    pub(crate) extra: Extra<H>,
    /// The open file, looked up when the request is issued.
    pub(crate) file: FileRef<H>,
    /// The next member of the link chain.
    pub(crate) next: Option<Req<H>>,
    /// The linked timeout that runs while this request is parked.
    pub(crate) link_timeout: Option<Key>,
    /// A provided buffer taken for it.
    pub(crate) buffer: Option<Selected>,
    /// The memory of a transfer in several pieces: a bundle of provided buffers, or the vector of
    /// a vectored send.
    pub(crate) spans: Vec<Iovec>,
    /// The tag of the registered buffer it uses, kept from being told until it is done.
    pub(crate) held: Option<Arc<u64>>,
    /// The thread it belongs to, known once it waits for a file; 0 before.
    pub(crate) task: u32,
    /// Flags of the completion to be posted.
    pub(crate) cqe_flags: u32,
    /// The second half of a 32-byte completion.
    pub(crate) big_cqe: [u64; 2],
    /// The credentials to be made with, if not the thread's own.
    pub(crate) credentials: Option<Arc<Credentials>>,
    /// Bytes moved so far, for operations that go on after a short step.
    pub(crate) done: u64,
    /// Result decided before issue: a failed prep, or a broken chain.
    pub(crate) fate: Option<Errno>,
    /// The result it was taken from its wait with, to be completed when its turn comes.
    pub(crate) result: Option<i32>,
    /// Go to the slow path: `IOSQE_ASYNC`, or a drain.
    pub(crate) force_async: bool,
    /// Post nothing, whatever the result: the silent rest of a chain that broke at a member
    /// marked `IOSQE_CQE_SKIP_SUCCESS`.
    pub(crate) silent: bool,
    /// This must post even though it is marked to skip: the rest of a chain that broke elsewhere.
    pub(crate) loud: bool,
    /// It has been parked before: a retry, not the first try.
    pub(crate) polled: bool,
    /// Its completion has 32 bytes in a ring of both sizes.
    pub(crate) wide: bool,
    /// A multishot that has posted with `F_MORE`.
    pub(crate) multishot: bool,
}

impl<H: Host> Default for Request<H> {
    fn default() -> Self {
        Request {
            sqe: Sqe::default(),
            extra: Extra::None,
            file: FileRef::Unset,
            next: None,
            link_timeout: None,
            buffer: None,
            spans: Vec::new(),
            held: None,
            task: 0,
            cqe_flags: 0,
            big_cqe: [0; 2],
            credentials: None,
            done: 0,
            fate: None,
            result: None,
            force_async: false,
            silent: false,
            loud: false,
            polled: false,
            wide: false,
            multishot: false,
        }
    }
}

impl<H: Host> Request<H> {
    /// Makes a recycled request new for `sqe`.
    #[inline]
    pub(crate) fn reset(&mut self, sqe: &Sqe) {
        debug_assert!(self.next.is_none() && self.link_timeout.is_none());
        self.sqe = *sqe;
        if !matches!(self.extra, Extra::None) {
            self.extra = Extra::None;
        }
        if !matches!(self.file, FileRef::Unset) {
            self.file = FileRef::Unset;
        }
        self.buffer = None;
        if !self.spans.is_empty() {
            self.spans.clear();
        }
        self.task = 0;
        self.cqe_flags = 0;
        self.big_cqe = [0; 2];
        self.credentials = None;
        self.done = 0;
        self.fate = None;
        self.result = None;
        self.force_async = false;
        self.silent = false;
        self.loud = false;
        self.polled = false;
        self.wide = false;
        self.multishot = false;
    }

    /// Whether an entry flag is set.
    #[inline]
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.sqe.flags & flag != 0
    }

    /// Whether it is linked to the next entry, softly or hard.
    pub(crate) fn is_linked(&self) -> bool {
        self.has(ringfence_abi::IOSQE_IO_LINK | ringfence_abi::IOSQE_IO_HARDLINK)
    }
}

/// What prep copied from the program's memory, or state of the operation's own.
pub(crate) enum Extra<H: Host> {
    /// Nothing.
    None,
    /// The iovecs of a vectored read or write, and how far they are used up.
    Iovecs(Vec<Iovec>),
    /// The parts of a message.
    Message(Box<crate::ops::message::Message>),
    /// A socket address.
    Address(Box<crate::ops::message::Address>),
    /// Paths and other small copies, in the operation's own order.
    Copies(Box<crate::ops::copies::Copies>),
    /// A timeout.
    Time(crate::timeout::Time),
    /// A poll: the events asked for.
    Poll(u32),
    /// A wait that a thread makes.
    Wait(Arc<crate::blocked::Wait>),
    /// Waits that come before it.
    Before(crate::ops::futex::Before<H>),
    /// A number of the operation's own.
    Number(u64),
}

/// A file that the engine keeps open for requests and tables, whatever the program closes.
#[derive(Debug)]
pub(crate) struct OwnedFile<H: Host> {
    fd: i32,
    /// Tells it from others that had its number before.
    serial: u64,
    host: H,
}

impl<H: Host> OwnedFile<H> {
    /// A reference of our own to what `fd` names now.
    pub(crate) fn dup(host: &H, fd: i32) -> Result<Arc<Self>, Errno> {
        let fd = calls::dup_private(host, fd)?;
        Ok(Arc::new(OwnedFile { fd, serial: next_serial(), host: host.clone() }))
    }

    /// Takes over a descriptor of the engine's.
    pub(crate) fn adopt(host: &H, fd: i32) -> Arc<Self> {
        let fd = calls::make_private(host, fd);
        Arc::new(OwnedFile { fd, serial: next_serial(), host: host.clone() })
    }

    pub(crate) fn fd(&self) -> i32 {
        self.fd
    }
}

/// A number that no file has had, not 0.
fn next_serial() -> u64 {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
}

impl<H: Host> Drop for OwnedFile<H> {
    fn drop(&mut self) {
        let _ = calls::close(&self.host, self.fd);
    }
}

/// The file of a request.
pub(crate) enum FileRef<H: Host> {
    /// Not looked up yet, or none needed.
    Unset,
    /// The program's descriptor.
    Plain(i32),
    /// A registered file, or one kept because the program closed its descriptor.
    Owned(Arc<OwnedFile<H>>),
}

impl<H: Host> FileRef<H> {
    /// What its kind is known by.
    #[inline]
    pub(crate) fn name(&self) -> Name {
        match self {
            FileRef::Owned(file) => Name { fd: file.fd, serial: file.serial },
            other => Name::of_program(other.fd()),
        }
    }

    /// The descriptor to make system calls with, -1 if there is none.
    #[inline]
    pub(crate) fn fd(&self) -> i32 {
        match self {
            FileRef::Unset => -1,
            FileRef::Plain(fd) => *fd,
            FileRef::Owned(file) => file.fd(),
        }
    }
}

/// A provided buffer taken for a request, or the first of a bundle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selected {
    /// Its group.
    pub(crate) group: u16,
    /// Its id.
    pub(crate) bid: u16,
    /// Its address.
    pub(crate) addr: u64,
    /// How much of it, or of the bundle, this request may use, bytes.
    pub(crate) len: u32,
    /// The length it was provided with, bytes.
    pub(crate) whole: u32,
    /// Taken out of the group for good; a ring's head is moved only when it is used.
    pub(crate) taken: bool,
}

/// What issuing a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done, with this result.
    Done(i32),
    /// It would block: try again when one of these `EPOLL*` events holds.
    Wait(u32),
    /// As `Wait`, but nothing was tried: what holds already must count.
    WaitUntried(u32),
    /// It blocks: let a worker do it.
    Work,
    /// As `Work`, but nothing was tried: a linked timeout does not run while the worker makes the call.
    WorkUntried,
    /// It has no form that refuses to block and mostly does not: let the submitting thread do it when
    /// it holds no lock. The number is its class of [`crate::patience`].
    Here(usize),
    /// It is a read of what is in memory, by all experience: let the submitting thread make it plainly
    /// when it holds no lock.
    Resident,
    /// It waits for a device, and the kernel can be asked to do it meanwhile.
    Device,
    /// It blocks for as long as it likes: let a thread wait, and keep the request.
    Block,
    /// It waits for a time, MONOTONIC nanoseconds, `u64::MAX` for none.
    Timer(u64),
}

impl Outcome {
    /// The result of a system call.
    pub(crate) fn of(result: Result<u64, Errno>) -> Outcome {
        Outcome::Done(result_of(result))
    }
}

/// A system call's result as a completion carries it.
#[inline]
pub(crate) fn result_of(result: Result<u64, Errno>) -> i32 {
    match result {
        Ok(value) => value as i32,
        Err(errno) => errno.as_result(),
    }
}
