//! `io_uring_register`: resources and settings of a ring.

mod backing;
pub(crate) mod buffers;
mod clone;
pub(crate) mod files;
mod misc;
mod napi;
mod pbuf;
pub(crate) mod personality;
pub(crate) mod query;
mod region;
pub(crate) mod resize;
mod table;

pub(crate) use misc::is_eventfd;

use crate::cq::Entry;
use crate::kbuf::Groups;
use crate::request::OwnedFile;
use crate::ring::Ring;
use crate::submit::Submit;
use buffers::Buffers;
use files::Files;
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_host::sync::{Arc, Ordering};

/// All that is registered with a ring.
pub(crate) struct Registered<H: Host> {
    pub(crate) files: Files<H>,
    pub(crate) buffers: Buffers,
    pub(crate) groups: Groups,
    /// Restrictions are in force.
    pub(crate) restricted: bool,
    restrictions: Option<misc::Restrictions>,
    /// The clock of waits.
    pub(crate) clock: ringfence_host::Clock,
    iowq_limits: [u32; 2],
    /// Where workers are to run, if that was said.
    pub(crate) worker_cpus: Option<ringfence_host::sync::Arc<crate::homes::Cpus>>,
    polling: napi::Polling,
    region: Option<region::Region>,
    pub(crate) personalities: personality::Personalities,
}

impl<H: Host> Default for Registered<H> {
    fn default() -> Self {
        Registered {
            files: Files::default(),
            buffers: Buffers::default(),
            groups: Groups::default(),
            restricted: false,
            restrictions: None,
            clock: ringfence_host::Clock::Monotonic,
            iowq_limits: [0; 2],
            worker_cpus: None,
            polling: napi::Polling::default(),
            region: None,
            personalities: personality::Personalities::default(),
        }
    }
}

impl<H: Host> Registered<H> {
    /// Whether the restrictions allow an entry.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_sqe(&self, sqe: &Sqe) -> Result<()> {
        match &self.restrictions {
            Some(restrictions) => restrictions.check_sqe(sqe),
            None => Ok(()),
        }
    }

    /// The argument of a wait at `offset` of the registered region.
    ///
    /// # Errors
    /// `EFAULT` without a region for waits, and beyond it.
    pub(crate) fn wait_argument(&self, host: &H, offset: u64) -> Result<RegWait> {
        self.region.as_ref().ok_or(Errno::EFAULT)?.wait_argument(host, offset)
    }

    /// Whether the restrictions in force allow a registration.
    ///
    /// # Errors
    /// `EACCES`.
    fn check_register(&self, op: RegisterOp) -> Result<()> {
        match &self.restrictions {
            Some(restrictions) if self.restricted => restrictions.check_register(op),
            _ => Ok(()),
        }
    }

    /// Puts a file into a slot, `IORING_FILE_INDEX_ALLOC` for any; 0, or the slot that was chosen.
    ///
    /// # Errors
    /// `ENXIO` without a table, `EINVAL` beyond it, `ENFILE` if it is full.
    pub(crate) fn install(
        &mut self,
        file_index: u32,
        file: Arc<OwnedFile<H>>,
        tags: &mut Vec<Entry>,
    ) -> Result<u32> {
        self.files.install(file_index, file, tags)
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// `ENXIO`, `EINVAL`, and `EBADF` if it is empty.
    pub(crate) fn close_slot(&mut self, slot: u32, tags: &mut Vec<Entry>) -> Result<()> {
        self.files.close(slot, tags)
    }
}

/// The completion that tells that a tagged resource is released.
fn tag_entry(tag: u64) -> Entry {
    Entry { cqe: Cqe { user_data: tag, ..Cqe::default() }, ..Entry::default() }
}

/// What makes a ring hold files of the program's.
const HOLDING: &[RegisterOp] = &[
    RegisterOp::Files,
    RegisterOp::Files2,
    RegisterOp::FilesUpdate,
    RegisterOp::FilesUpdate2,
    RegisterOp::Eventfd,
    RegisterOp::EventfdAsync,
];

/// What is refused at once without an argument, rather than when the argument is read.
const NEEDS_ARGUMENT: &[RegisterOp] = &[
    RegisterOp::Probe,
    RegisterOp::IowqAff,
    RegisterOp::IowqMaxWorkers,
    RegisterOp::PbufRing,
    RegisterOp::UnregisterPbufRing,
    RegisterOp::SyncCancel,
    RegisterOp::FileAllocRange,
    RegisterOp::PbufStatus,
    RegisterOp::Napi,
    RegisterOp::Clock,
    RegisterOp::CloneBuffers,
    RegisterOp::ResizeRings,
    RegisterOp::MemRegion,
];

/// One register operation, under the submission lock.
type RegisterFn<H> = fn(&Arc<Ring<H>>, &mut Submit<H>, u64, u32) -> Result<u32>;

/// The operation of a register opcode, if it is there.
fn operation<H: Host>(op: RegisterOp) -> Option<RegisterFn<H>> {
    use RegisterOp as R;
    Some(match op {
        R::Buffers => buffers::register,
        R::UnregisterBuffers => buffers::unregister,
        R::Buffers2 => buffers::register2,
        R::BuffersUpdate => buffers::update2,
        R::Files => files::register,
        R::UnregisterFiles => files::unregister,
        R::FilesUpdate => files::register_update,
        R::Files2 => files::register2,
        R::FilesUpdate2 => files::update2,
        R::FileAllocRange => files::alloc_range,
        R::Eventfd => misc::eventfd,
        R::EventfdAsync => misc::eventfd_async,
        R::UnregisterEventfd => misc::unregister_eventfd,
        R::Probe => misc::probe,
        R::Personality => personality::register,
        R::UnregisterPersonality => personality::unregister,
        R::ResizeRings => resize::resize,
        R::MemRegion => region::register,
        R::Napi => napi::register,
        R::UnregisterNapi => napi::unregister,
        R::Restrictions => misc::restrictions,
        R::EnableRings => misc::enable_rings,
        R::IowqAff => misc::iowq_affinity,
        R::UnregisterIowqAff => misc::unregister_iowq_affinity,
        R::IowqMaxWorkers => misc::iowq_max_workers,
        R::PbufRing => pbuf::register,
        R::UnregisterPbufRing => pbuf::unregister,
        R::PbufStatus => pbuf::status,
        R::Clock => misc::clock,
        _ => return None,
    })
}

/// One that waits, or takes other locks than this ring's.
type UnlockedFn<H> = fn(&Arc<Ring<H>>, u64, u32) -> Result<u32>;

/// The operations that run without the submission lock.
fn unlocked<H: Host>(op: RegisterOp) -> Option<UnlockedFn<H>> {
    use RegisterOp as R;
    Some(match op {
        R::RingFds => |ring, arg, nr| ring.shared.register_ring_fds(&ring.host, arg, nr),
        R::UnregisterRingFds => {
            |ring, arg, nr| ring.shared.unregister_ring_fds(&ring.host, arg, nr)
        }
        R::SyncCancel => |ring, arg, nr| ring.sync_cancel(arg, nr),
        R::CloneBuffers => clone::clone_buffers,
        R::Query => |ring, arg, nr| query::query(&ring.host, arg, nr),
        _ => return None,
    })
}

impl<H: Host> Ring<H> {
    /// `io_uring_register` on this ring.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn register(self: &Arc<Self>, opcode: u32, arg: u64, nr_args: u32) -> Result<u32> {
        let op = RegisterOp::from_code(opcode).ok_or(Errno::EINVAL)?;
        if self.dead.load(Ordering::Acquire) {
            return Err(Errno::EBADF);
        }
        let owner = self.owner.load(Ordering::Acquire);
        if self.has(IORING_SETUP_SINGLE_ISSUER) && owner != 0 && owner != self.host.thread_id() {
            return Err(Errno::EEXIST);
        }
        if arg == 0 && NEEDS_ARGUMENT.contains(&op) {
            self.submit.lock().registered.check_register(op)?;
            return Err(Errno::EINVAL);
        }
        if let Some(operation) = unlocked::<H>(op) {
            self.submit.lock().registered.check_register(op)?;
            return operation(self, arg, nr_args);
        }
        let operation = operation::<H>(op).ok_or(Errno::EINVAL)?;
        let result = self.with_submit(|ring, sub| {
            sub.registered.check_register(op)?;
            operation(ring, sub, arg, nr_args)
        });
        if result.is_ok() && HOLDING.contains(&op) {
            self.hold();
        }
        result
    }
}
