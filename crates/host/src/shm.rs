//! Memory that the engine shares with the program: ring words and entries.
#![expect(unsafe_code, reason = "reads and writes memory that the program may change at any time")]

use crate::fault;
use crate::plain::Plain;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// A piece of shared memory: every access is checked against its length, and none assumes that
/// the program leaves it alone.
#[derive(Debug)]
pub struct Shm {
    base: *mut u8,
    len: usize,
    keeper: Keeper,
}

/// Who keeps a piece of memory, and so what may become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// The engine, in a mapping that nobody else can take pages from.
    Engine,
    /// The program, and the engine by a mapping of its own: a file under both may become shorter.
    Both,
    /// The program, which may unmap it.
    Program,
}

// SAFETY: all access is atomic or volatile on memory that any thread may touch anyway.
unsafe impl Send for Shm {}
// SAFETY: as above.
unsafe impl Sync for Shm {}

impl Shm {
    /// Maps `room` bytes of a descriptor at `offset`, of which the first `len` are wanted soon.
    pub fn map(fd: i32, offset: u64, len: usize, room: usize) -> Option<Shm> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let populate = if room > len { 0 } else { libc::MAP_POPULATE };
        let flags = libc::MAP_SHARED | populate;
        let args = [0, room as u64, prot as u64, flags as u64, fd as u64, offset];
        let base = crate::os::syscall(libc::SYS_mmap, args).ok()?;
        if populate == 0 {
            // Where the advice is unknown the pages come when they are touched.
            let advice = libc::MADV_POPULATE_WRITE as u64;
            let _ = crate::os::syscall(libc::SYS_madvise, [base, len as u64, advice, 0, 0, 0]);
        }
        Some(Shm { base: base as *mut u8, len: room, keeper: Keeper::Engine })
    }

    /// New memory of `len` bytes, zeroed and at an address of the program's, which it may unmap or
    /// protect as it likes; the engine has a mapping of its own. The program's address comes too.
    pub fn with_alias(len: usize) -> Option<(Shm, u64)> {
        let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as u64;
        let len = len as u64;
        let base = crate::os::syscall(libc::SYS_mmap, [0, len, prot, flags, u64::MAX, 0]).ok()?;
        // Of shared memory, mremap of no bytes makes a second mapping.
        let move_it = libc::MREMAP_MAYMOVE as u64;
        match crate::os::syscall(libc::SYS_mremap, [base, 0, len, move_it, 0, 0]) {
            Ok(alias) => {
                let (base, len) = (base as *mut u8, len as usize);
                Some((Shm { base, len, keeper: Keeper::Engine }, alias))
            }
            Err(_) => {
                let _ = crate::os::syscall(libc::SYS_munmap, [base, len, 0, 0, 0, 0]);
                None
            }
        }
    }

    /// Memory of the program's, as of `IORING_SETUP_NO_MMAP` and of provided-buffer rings.
    ///
    /// The kernel keeps such memory for as long as it needs it. Shared memory is kept here too, by
    /// a mapping of our own; private memory is gone when the program unmaps it. Words and entries
    /// read as zeroes then and are written nowhere; that takes the handler of [`crate::fault`], but
    /// for entries of private memory.
    pub fn of_program(addr: u64, len: usize) -> Shm {
        // Memory that is shared can be had a second time, and is ours to keep then.
        let again = [addr, 0, len as u64, libc::MREMAP_MAYMOVE as u64, 0, 0];
        if let Ok(base) = crate::os::syscall(libc::SYS_mremap, again) {
            return Shm { base: base as *mut u8, len, keeper: Keeper::Both };
        }
        Shm { base: addr as *mut u8, len, keeper: Keeper::Program }
    }

    /// Its length, bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its address.
    pub fn addr(&self) -> u64 {
        self.base as u64
    }

    #[inline]
    fn at(&self, offset: usize, size: usize) -> *mut u8 {
        assert!(
            offset.checked_add(size).is_some_and(|end| end <= self.len),
            "beyond shared memory"
        );
        // SAFETY: the range was just checked against the mapping.
        unsafe { self.base.add(offset) }
    }

    /// Whether a page of it may be gone, and an access survives that.
    #[inline]
    fn is_guarded(&self) -> bool {
        self.keeper != Keeper::Engine && fault::is_handled()
    }

    /// Whether entries are copied so that a page may be gone: without a handler the kernel copies, at
    /// the price of a call, where it is likely that a page goes.
    #[inline]
    fn copies_guarded(&self) -> bool {
        self.keeper == Keeper::Program || self.is_guarded()
    }

    #[inline]
    fn word(&self, offset: u32) -> &AtomicU32 {
        let at = self.at(offset as usize, 4);
        assert!(at as usize & 3 == 0, "ring word out of alignment");
        // SAFETY: in bounds and aligned; concurrent access by the program is atomic by its ABI.
        unsafe { AtomicU32::from_ptr(at.cast()) }
    }

    /// The address of a word, for an access that may fault.
    fn guarded(&self, offset: u32) -> u64 {
        self.at(offset as usize, 4) as u64
    }

    /// Loads a ring word; `None` if it is no longer there.
    #[inline]
    pub fn load_there(&self, offset: u32, order: Ordering) -> Option<u32> {
        if self.is_guarded() {
            return fault::load(self.guarded(offset));
        }
        Some(self.word(offset).load(order))
    }

    /// Loads a ring word.
    #[inline]
    pub fn load(&self, offset: u32, order: Ordering) -> u32 {
        self.load_there(offset, order).unwrap_or(0)
    }

    /// Stores a ring word.
    #[inline]
    pub fn store(&self, offset: u32, value: u32, order: Ordering) {
        if self.is_guarded() {
            return fault::store(self.guarded(offset), value);
        }
        self.word(offset).store(value, order);
    }

    /// Sets bits of a ring word.
    pub fn set_bits(&self, offset: u32, bits: u32) {
        if self.is_guarded() {
            return fault::set_bits(self.guarded(offset), bits);
        }
        self.word(offset).fetch_or(bits, Ordering::SeqCst);
    }

    /// Clears bits of a ring word.
    pub fn clear_bits(&self, offset: u32, bits: u32) {
        if self.is_guarded() {
            return fault::clear_bits(self.guarded(offset), bits);
        }
        self.word(offset).fetch_and(!bits, Ordering::SeqCst);
    }

    /// Loads a 16-bit word, as the tail of a provided-buffer ring is; `None` if it is no longer
    /// there.
    pub fn load16(&self, offset: usize, order: Ordering) -> Option<u16> {
        let at = self.at(offset, 2);
        assert!(at as usize & 1 == 0, "ring word out of alignment");
        if self.copies_guarded() {
            // A copy of eight aligned bytes is one load, and on this machine loads keep their order.
            let mut word = 0u64;
            let aligned = at as u64 & !7;
            fault::copy_in(aligned, crate::plain::bytes_mut(&mut word)).ok()?;
            return Some((word >> ((at as u64 - aligned) * 8)) as u16);
        }
        // SAFETY: in bounds and aligned; concurrent access by the program is atomic by its ABI.
        Some(unsafe { AtomicU16::from_ptr(at.cast()) }.load(order))
    }

    /// Copies an entry out; the program may be changing it, so the value is whatever was there.
    #[inline]
    pub fn read<T: Plain>(&self, offset: usize) -> T {
        let at = self.at(offset, size_of::<T>());
        if self.copies_guarded() {
            let mut value = T::default();
            return match fault::copy_in(at as u64, crate::plain::bytes_mut(&mut value)) {
                Ok(()) => value,
                Err(_) => T::default(),
            };
        }
        // SAFETY: in bounds; T is valid for every bit pattern; volatile, so it is read once.
        unsafe { at.cast::<T>().read_volatile() }
    }

    /// Copies an entry in.
    #[inline]
    pub fn write<T: Plain>(&self, offset: usize, value: T) {
        let at = self.at(offset, size_of::<T>());
        if self.copies_guarded() {
            let _ = fault::copy_out(at as u64, crate::plain::bytes(&value));
            return;
        }
        // SAFETY: in bounds; the program reads it only after the tail that publishes it.
        unsafe { at.cast::<T>().write_volatile(value) }
    }
}

impl Drop for Shm {
    fn drop(&mut self) {
        if self.keeper != Keeper::Program {
            let args = [self.base as u64, self.len as u64, 0, 0, 0, 0];
            let _ = crate::os::syscall(libc::SYS_munmap, args);
        }
    }
}
