//! A piece of mapped memory with checked access.
#![expect(unsafe_code, reason = "reads and writes shared memory")]

use crate::target::map_shared;
use ringfence_abi::Result;
use std::sync::atomic::AtomicU32;

/// A mapping that this value owns and unmaps.
pub struct Mapping {
    base: u64,
    len: usize,
}

/// Types that any bytes make up: the structures of the ABI and whole numbers.
pub trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for [u64; 2] {}
impl Plain for ringfence_abi::Cqe {}
impl Plain for ringfence_abi::Sqe {}
impl Plain for ringfence_abi::Buf {}
impl Plain for ringfence_abi::Timespec {}
impl Plain for ringfence_abi::Iocb {}

impl Mapping {
    /// Takes over `len` bytes mapped at `base`.
    pub(crate) fn adopt(base: u64, len: usize) -> Mapping {
        Mapping { base, len }
    }

    /// Takes over `len` bytes that [`crate::Target::mmap`] mapped at `base`.
    pub fn over(base: u64, len: usize) -> Mapping {
        Mapping::adopt(base, len)
    }

    /// Private anonymous memory, zeroed, `len` bytes rounded up to pages.
    pub fn anonymous(len: usize) -> Mapping {
        Self::anonymous_near(0, len)
    }

    /// The same at an address, if nothing is there; for programs that look at addresses as at numbers.
    pub fn anonymous_near(address: u64, len: usize) -> Mapping {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let len = len.next_multiple_of(4096);
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
        let base = unsafe { libc::mmap(address as *mut _, len, prot, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "no memory for {len} bytes");
        Mapping { base: base as u64, len }
    }

    /// `len` bytes of a file, shared.
    ///
    /// # Errors
    /// Those of `mmap`.
    pub fn of_file(fd: i32, len: usize) -> Result<Mapping> {
        Ok(Mapping { base: map_shared(fd, len, 0)?, len })
    }

    /// The address of byte `offset`.
    pub fn at(&self, offset: usize) -> u64 {
        assert!(offset <= self.len);
        self.base + offset as u64
    }

    /// Its length, bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes, which `mmap` refuses to make.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Changes the protection of all of it: `PROT_*`.
    pub fn protect(&self, prot: i32) {
        self.protect_part(0, self.len, prot);
    }

    /// Changes the protection of some pages of it: `PROT_*`.
    pub fn protect_part(&self, offset: usize, len: usize, prot: i32) {
        assert!(offset + len <= self.len, "{len} bytes at {offset}");
        let base = (self.base as usize + offset) as *mut libc::c_void;
        // SAFETY: the range is ours; whoever reads it afterwards does so at the body's risk.
        let value = unsafe { libc::mprotect(base, len, prot) };
        assert_eq!(value, 0, "mprotect");
    }

    /// Gives its pages back; the addresses stay taken, so that nobody else's memory comes to lie there.
    pub fn leave(&self) {
        let (base, flags) =
            (self.base as *mut libc::c_void, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let flags = flags | libc::MAP_FIXED | libc::MAP_NORESERVE;
        // SAFETY: the range is ours; whoever accesses it afterwards does so at the body's risk.
        let at = unsafe { libc::mmap(base, self.len, libc::PROT_NONE, flags, -1, 0) };
        assert_eq!(at, base, "mmap");
    }

    /// The word at byte `offset`.
    pub fn word(&self, offset: u32) -> &AtomicU32 {
        let offset = offset as usize;
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.len, "word at {offset}");
        // SAFETY: in bounds and aligned by the assertion; the mapping lives as long as self.
        unsafe { AtomicU32::from_ptr((self.base as usize + offset) as *mut u32) }
    }

    /// A copy of the value at byte `offset`.
    pub fn read<T: Plain>(&self, offset: usize) -> T {
        assert!(offset + size_of::<T>() <= self.len, "read at {offset}");
        // SAFETY: in bounds by the assertion; any bytes are a `Plain`.
        unsafe { ((self.base as usize + offset) as *const T).read_volatile() }
    }

    /// Puts a value at byte `offset`.
    pub fn write<T: Plain>(&self, offset: usize, value: T) {
        assert!(offset + size_of::<T>() <= self.len, "write at {offset}");
        // SAFETY: in bounds by the assertion; nobody holds a reference into the mapping.
        unsafe { ((self.base as usize + offset) as *mut T).write_volatile(value) }
    }

    /// A copy of `len` bytes from byte `offset`.
    pub fn bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        (offset..offset + len).map(|at| self.read::<u8>(at)).collect()
    }

    /// Fills all of it.
    pub fn fill(&self, byte: u8) {
        (0..self.len).for_each(|at| self.write(at, byte));
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and no reference into it outlives self.
        unsafe { libc::munmap(self.base as *mut libc::c_void, self.len) };
    }
}
