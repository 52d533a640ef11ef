//! A small ring client: maps a ring, queues entries, reaps completions, with bounded waits.

use crate::{Mapping, Target};
use ringfence_abi::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// A wait of the client never takes longer; a body that needs longer hangs.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(8);

/// A ring of a [`Target`], mapped; closed when dropped.
pub struct Ring<'t> {
    target: &'t dyn Target,
    /// The ring's descriptor, or its index if it has no descriptor.
    pub fd: i32,
    /// What setup returned.
    pub params: Params,
    rings: Arc<Mapping>,
    cq_apart: Option<Mapping>,
    sqes: Arc<Mapping>,
    sq_tail: u32,
}

/// Memory that a program brings for a ring, `IORING_SETUP_NO_MMAP`.
#[derive(Clone)]
pub struct OwnMemory {
    /// For both rings.
    pub rings: Arc<Mapping>,
    /// For the entries.
    pub sqes: Arc<Mapping>,
}

impl Default for OwnMemory {
    /// Enough for 64 entries and 256 completions, both of the wide kind.
    fn default() -> OwnMemory {
        let [rings, sqes] = [16384, 8192].map(|len| Arc::new(Mapping::anonymous(len)));
        OwnMemory { rings, sqes }
    }
}

impl<'t> Ring<'t> {
    /// Sets a ring up and maps it as liburing does: both rings in one mapping.
    ///
    /// # Errors
    /// Those of `io_uring_setup`.
    pub fn new(target: &'t dyn Target, entries: u32, params: Params) -> Result<Ring<'t>> {
        let mut params = params;
        let fd = target.setup(entries, &raw mut params as u64)?;
        Self::map(target, fd, params)
    }

    /// Maps the ring `fd` that `params` describes.
    ///
    /// # Errors
    /// Those of `mmap`.
    pub fn map(target: &'t dyn Target, fd: i32, params: Params) -> Result<Ring<'t>> {
        let cq_bytes = params.cq_off.cqes + params.cq_entries * cqe_stride(params.flags);
        let sq_bytes = params.sq_off.array + params.sq_entries * 4;
        let len = cq_bytes.max(sq_bytes) as usize;
        let rings = Mapping::adopt(target.mmap(fd, len, IORING_OFF_SQ_RING)?, len);
        let len = (params.sq_entries * sqe_stride(params.flags)) as usize;
        let sqes = Mapping::adopt(target.mmap(fd, len, IORING_OFF_SQES)?, len);
        Ok(Self::over(
            target,
            fd,
            params,
            OwnMemory { rings: Arc::new(rings), sqes: Arc::new(sqes) },
        ))
    }

    /// Sets a ring up in memory of the program's, `IORING_SETUP_NO_MMAP`; with
    /// `IORING_SETUP_REGISTERED_FD_ONLY` it is used by its index.
    ///
    /// # Errors
    /// Those of `io_uring_setup`.
    pub fn in_memory(
        target: &'t dyn Target,
        entries: u32,
        mut params: Params,
        memory: &OwnMemory,
    ) -> Result<Ring<'t>> {
        params.cq_off.user_addr = memory.rings.at(0);
        params.sq_off.user_addr = memory.sqes.at(0);
        let fd = target.setup(entries, &raw mut params as u64)?;
        Ok(Self::over(target, fd, params, memory.clone()))
    }

    /// The ring `fd` that `params` describes, in this memory.
    fn over(target: &'t dyn Target, fd: i32, params: Params, memory: OwnMemory) -> Ring<'t> {
        let OwnMemory { rings, sqes } = memory;
        // Not 0 for a ring that was used before it was mapped again.
        let sq_tail = rings.read(params.sq_off.tail as usize);
        let ring = Ring { target, fd, params, rings, cq_apart: None, sqes, sq_tail };
        if params.flags & IORING_SETUP_NO_SQARRAY == 0 {
            (0..params.sq_entries).for_each(|slot| ring.set_index(slot, slot));
        }
        ring
    }

    /// The ring's descriptor, unless it has only an index.
    pub fn descriptor(&self) -> Option<i32> {
        (!self.is_index()).then_some(self.fd)
    }

    /// Whether [`Ring::fd`] is an index.
    fn is_index(&self) -> bool {
        self.params.flags & IORING_SETUP_REGISTERED_FD_ONLY != 0
    }

    /// Maps the completion ring again at its own offset, and reaps from there, as fio does.
    pub fn map_cq_apart(&mut self) {
        let stride = cqe_stride(self.params.flags);
        let len = (self.params.cq_off.cqes + self.params.cq_entries * stride) as usize;
        let base = self.target.mmap(self.fd, len, IORING_OFF_CQ_RING).expect("mmap of the CQ ring");
        self.cq_apart = Some(Mapping::adopt(base, len));
    }

    /// The target that serves the ring.
    pub fn target(&self) -> &'t dyn Target {
        self.target
    }

    fn cq(&self) -> &Mapping {
        self.cq_apart.as_ref().unwrap_or(&self.rings)
    }

    // The submission side.

    /// Writes entry `slot` of the index array.
    pub fn set_index(&self, slot: u32, index: u32) {
        self.rings.word(self.params.sq_off.array + slot * 4).store(index, Relaxed);
    }

    /// Puts `sqe` into the next slot; [`Ring::submit`] shows it to the target.
    pub fn push(&mut self, sqe: Sqe) {
        assert!(self.sq_room() > 0, "the SQ is full");
        let slot = self.sq_tail & (self.params.sq_entries - 1);
        self.sqes.write((slot * sqe_stride(self.params.flags)) as usize, sqe);
        self.sq_tail = self.sq_tail.wrapping_add(1);
    }

    /// The second half of the entry pushed last, in rings of 128-byte entries.
    pub fn extend_last(&mut self, words: [u64; 8]) {
        let slot = (self.sq_tail - 1) & (self.params.sq_entries - 1);
        for (i, word) in words.into_iter().enumerate() {
            self.sqes.write((slot * 128) as usize + 64 + i * 8, word);
        }
    }

    /// Overwrites the entry in `slot` in place.
    pub fn scribble_sqe(&self, slot: u32, sqe: Sqe) {
        self.sqes.write((slot * sqe_stride(self.params.flags)) as usize, sqe);
    }

    /// Publishes the tail; the count of entries not yet consumed.
    pub fn flush(&mut self) -> u32 {
        self.rings.word(self.params.sq_off.tail).store(self.sq_tail, Release);
        self.sq_tail.wrapping_sub(self.sq_head())
    }

    /// Submits all that was pushed; how many were consumed.
    pub fn submit(&mut self) -> Result<u32> {
        let count = self.flush();
        self.enter(count, 0, 0)
    }

    /// Submits all that was pushed and waits for `want` completions, [`WAIT_MAX`] at most.
    pub fn submit_and_wait(&mut self, want: u32) -> Result<u32> {
        let count = self.flush();
        self.enter_for(count, want, IORING_ENTER_GETEVENTS, WAIT_MAX)
    }

    /// `io_uring_enter` without an argument.
    pub fn enter(&self, to_submit: u32, min_complete: u32, flags: u32) -> Result<u32> {
        self.enter_raw(to_submit, min_complete, flags, 0, 0)
    }

    /// `io_uring_enter` with an argument of any kind at `arg`, `size` bytes.
    pub fn enter_raw(&self, submit: u32, min: u32, flags: u32, arg: u64, size: u64) -> Result<u32> {
        let by_index = if self.is_index() { IORING_ENTER_REGISTERED_RING } else { 0 };
        self.target.enter(self.fd, submit, min, flags | by_index, arg, size)
    }

    /// `io_uring_enter` with a timeout.
    pub fn enter_for(&self, submit: u32, min: u32, flags: u32, timeout: Duration) -> Result<u32> {
        let ts = timespec(timeout);
        let arg = GeteventsArg { ts: &raw const ts as u64, ..GeteventsArg::default() };
        self.enter_arg(submit, min, flags, &arg)
    }

    /// `io_uring_enter` with an extended argument.
    pub fn enter_arg(&self, submit: u32, min: u32, flags: u32, arg: &GeteventsArg) -> Result<u32> {
        let flags = flags | IORING_ENTER_EXT_ARG;
        let address = std::ptr::from_ref(arg) as u64;
        self.enter_raw(submit, min, flags, address, size_of_val(arg) as u64)
    }

    /// `io_uring_register` on this ring with a slice of values.
    pub fn register<T>(&self, opcode: RegisterOp, values: &[T]) -> Result<u32> {
        self.register_raw(opcode, values.as_ptr() as u64, values.len() as u32)
    }

    /// `io_uring_register` on this ring with a structure that the target may write to.
    pub fn register_mut<T>(&self, opcode: RegisterOp, value: &mut T, nr: u32) -> Result<u32> {
        self.register_raw(opcode, std::ptr::from_mut(value) as u64, nr)
    }

    /// `io_uring_register` on this ring.
    pub fn register_raw(&self, opcode: RegisterOp, arg: u64, nr: u32) -> Result<u32> {
        self.register_code(opcode as u32, arg, nr)
    }

    /// `io_uring_register` on this ring with any opcode.
    pub fn register_code(&self, opcode: u32, arg: u64, nr: u32) -> Result<u32> {
        let by_index = if self.is_index() { IORING_REGISTER_USE_REGISTERED_RING } else { 0 };
        self.target.register(self.fd, opcode | by_index, arg, nr)
    }

    // The completion side.

    /// Takes the next completion, if one stands in the ring.
    pub fn cqe(&mut self) -> Option<Cqe> {
        self.cqe_big().map(|(cqe, _)| cqe)
    }

    /// Takes the next completion with its second half, zeros if it has none.
    pub fn cqe_big(&mut self) -> Option<(Cqe, [u64; 2])> {
        let head = self.cq_head();
        if head == self.cq_tail() {
            return None;
        }
        let stride = cqe_stride(self.params.flags);
        let slot = head & (self.params.cq_entries - 1);
        let at = (self.params.cq_off.cqes + slot * stride) as usize;
        let cqe: Cqe = self.cq().read(at);
        // A wide one takes the next slot too, and never starts in the last.
        let has_next = slot + 1 < self.params.cq_entries;
        let is_wide = cqe.flags & IORING_CQE_F_32 != 0 && has_next;
        let extra = if stride == 32 || is_wide { self.cq().read(at + 16) } else { [0; 2] };
        self.set_cq_head(head.wrapping_add(1 + u32::from(is_wide)));
        Some((cqe, extra))
    }

    /// Takes what stands in the ring.
    pub fn cqes(&mut self) -> Vec<Cqe> {
        std::iter::from_fn(|| self.cqe()).collect()
    }

    /// Waits for one completion, [`WAIT_MAX`] at most.
    pub fn wait(&mut self) -> Cqe {
        self.wait_n(1)[0]
    }

    /// Waits for `count` completions, [`WAIT_MAX`] at most, and takes just these.
    pub fn wait_n(&mut self, count: usize) -> Vec<Cqe> {
        let mut cqes = Vec::new();
        let deadline = Instant::now() + WAIT_MAX;
        while cqes.len() < count {
            if let Some(cqe) = self.cqe() {
                cqes.push(cqe);
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for {count} completions, got {cqes:?}");
            match self.enter_for(0, 1, IORING_ENTER_GETEVENTS, left) {
                Ok(_) | Err(Errno::ETIME | Errno::EINTR) => {}
                Err(errno) => panic!("io_uring_enter while waiting: {errno}, got {cqes:?}"),
            }
        }
        cqes
    }

    /// Submits `sqes`, all of which must be consumed, and takes as many completions.
    pub fn run(&mut self, sqes: &[Sqe]) -> Vec<Cqe> {
        self.start(sqes);
        self.wait_n(sqes.len())
    }

    /// Submits one entry and takes its completion's result.
    pub fn run_one(&mut self, sqe: Sqe) -> i32 {
        self.run(&[sqe])[0].res
    }

    /// Submits `sqes`, all of which must be consumed.
    pub fn start(&mut self, sqes: &[Sqe]) {
        sqes.iter().for_each(|&sqe| self.push(sqe));
        assert_eq!(self.submit(), Ok(sqes.len() as u32), "entries consumed");
    }

    /// Lets work proceed for `time` and takes what completed by then.
    pub fn settle(&mut self, time: Duration) -> Vec<Cqe> {
        let deadline = Instant::now() + time;
        let mut cqes = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let _ =
                self.enter_for(0, 1, IORING_ENTER_GETEVENTS, left.max(Duration::from_micros(1)));
            cqes.extend(self.cqes());
            if left.is_zero() {
                return cqes;
            }
        }
    }

    // The shared words.

    /// The target's position in the submission ring.
    pub fn sq_head(&self) -> u32 {
        self.rings.word(self.params.sq_off.head).load(Acquire)
    }

    /// Entries that can be pushed now.
    pub fn sq_room(&self) -> u32 {
        self.params.sq_entries.wrapping_sub(self.sq_tail.wrapping_sub(self.sq_head()))
    }

    /// Sets the published submission tail, whatever was pushed.
    pub fn set_sq_tail(&mut self, tail: u32) {
        self.sq_tail = tail;
        self.rings.word(self.params.sq_off.tail).store(tail, Release);
    }

    /// The program's position in the completion ring.
    pub fn cq_head(&self) -> u32 {
        self.cq().word(self.params.cq_off.head).load(Relaxed)
    }

    /// Moves the program's position in the completion ring.
    pub fn set_cq_head(&self, head: u32) {
        self.cq().word(self.params.cq_off.head).store(head, Release);
    }

    /// The target's position in the completion ring.
    pub fn cq_tail(&self) -> u32 {
        self.cq().word(self.params.cq_off.tail).load(Acquire)
    }

    /// Completions that stand in the ring.
    pub fn ready(&self) -> u32 {
        self.cq_tail().wrapping_sub(self.cq_head())
    }

    /// `IORING_SQ_*`.
    pub fn sq_flags(&self) -> u32 {
        self.rings.word(self.params.sq_off.flags).load(Acquire)
    }

    /// Entries dropped for an invalid index.
    pub fn dropped(&self) -> u32 {
        self.rings.word(self.params.sq_off.dropped).load(Acquire)
    }

    /// Completions lost.
    pub fn overflow(&self) -> u32 {
        self.cq().word(self.params.cq_off.overflow).load(Acquire)
    }

    /// Sets `IORING_CQ_*`.
    pub fn set_cq_flags(&self, flags: u32) {
        self.cq().word(self.params.cq_off.flags).store(flags, Release);
    }

    /// The memory of both rings.
    pub fn memory(&self) -> &Mapping {
        &self.rings
    }

    /// The memory of the submission entries.
    pub fn sqe_memory(&self) -> &Mapping {
        &self.sqes
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        if let Some(fd) = self.descriptor() {
            let _ = self.target.close(fd);
            return;
        }
        let row = FilesUpdate { offset: self.fd as u32, ..FilesUpdate::default() };
        let _ = self.register(RegisterOp::UnregisterRingFds, &[row]);
    }
}

/// Bytes of a submission entry.
fn sqe_stride(flags: u32) -> u32 {
    if flags & IORING_SETUP_SQE128 != 0 { 128 } else { 64 }
}

/// Bytes of a completion entry.
fn cqe_stride(flags: u32) -> u32 {
    if flags & IORING_SETUP_CQE32 != 0 { 32 } else { 16 }
}

/// A duration as the ABI has it.
pub fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) }
}
