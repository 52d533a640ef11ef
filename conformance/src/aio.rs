//! Contexts of Linux AIO, for bodies: every call as a program makes it, and the ring as it reads it.
#![expect(unsafe_code, reason = "reads the ring that a context is")]

use crate::{Skip, Target};
use ringfence_abi::*;
use ringfence_host::Host;
use ringfence_uring::{Engine, Recent};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `io_pgetevents`.
pub const SYS_IO_PGETEVENTS: i64 = 333;

/// A context, destroyed when dropped.
pub struct Context<'a> {
    target: &'a dyn Target,
    /// Its id, the address of its ring.
    pub id: u64,
}

impl dyn Target + '_ {
    /// A context with room for `nr` requests.
    ///
    /// # Errors
    /// [`Skip`] where the kernel lacks or refuses AIO.
    pub fn context(&self, nr: u32) -> std::result::Result<Context<'_>, Skip> {
        match self.io_setup(nr) {
            Ok(id) => Ok(Context { target: self, id }),
            Err(errno) => {
                let skips = [Errno::ENOSYS, Errno::EPERM, Errno::EAGAIN].contains(&errno);
                assert!(self.is_kernel() && skips, "io_setup: {errno}");
                Err(Skip(format!("this kernel's io_setup: {errno}")))
            }
        }
    }

    /// `io_setup`; the id.
    ///
    /// # Errors
    /// As the call.
    pub fn io_setup(&self, nr: u32) -> Result<u64> {
        let mut id = 0u64;
        let at = std::ptr::from_mut(&mut id) as u64;
        self.aio(libc::SYS_io_setup, [u64::from(nr), at, 0, 0, 0, 0])?;
        Ok(std::hint::black_box(id))
    }

    /// `io_destroy`.
    ///
    /// # Errors
    /// As the call.
    pub fn io_destroy(&self, id: u64) -> Result<()> {
        self.aio(libc::SYS_io_destroy, [id, 0, 0, 0, 0, 0]).map(drop)
    }
}

impl Context<'_> {
    /// `io_submit` of requests, each of which stays where it is until its event.
    ///
    /// # Errors
    /// As the call.
    pub fn submit(&self, requests: &[&Iocb]) -> Result<u64> {
        let list: Vec<u64> = requests.iter().map(|iocb| std::ptr::from_ref(*iocb) as u64).collect();
        self.submit_raw(list.len() as i64, list.as_ptr() as u64)
    }

    /// `io_submit` with its arguments.
    ///
    /// # Errors
    /// As the call.
    pub fn submit_raw(&self, nr: i64, list: u64) -> Result<u64> {
        self.target.aio(libc::SYS_io_submit, [self.id, nr as u64, list, 0, 0, 0])
    }

    /// `io_getevents`, waiting for `min` of at most `nr` events for as long as `wait` says.
    ///
    /// # Errors
    /// As the call.
    pub fn get(&self, min: i64, nr: usize, wait: Duration) -> Result<Vec<IoEvent>> {
        let mut events = vec![IoEvent::default(); nr];
        let time = crate::timespec(wait);
        let (to, at) = (events.as_mut_ptr() as u64, std::ptr::from_ref(&time) as u64);
        let args = [self.id, min as u64, nr as u64, to, at, 0];
        let count = self.target.aio(libc::SYS_io_getevents, args)?;
        events.truncate(count as usize);
        Ok(events)
    }

    /// `io_getevents` with its arguments but the context.
    ///
    /// # Errors
    /// As the call.
    pub fn get_raw(&self, min: i64, nr: i64, events: u64, timeout: u64) -> Result<u64> {
        let args = [self.id, min as u64, nr as u64, events, timeout, 0];
        self.target.aio(libc::SYS_io_getevents, args)
    }

    /// `io_pgetevents` with its arguments but the context.
    ///
    /// # Errors
    /// As the call.
    pub fn pget_raw(&self, bounds: [i64; 2], to: [u64; 3]) -> Result<u64> {
        let [events, timeout, sigset] = to;
        let args = [self.id, bounds[0] as u64, bounds[1] as u64, events, timeout, sigset];
        self.target.aio(SYS_IO_PGETEVENTS, args)
    }

    /// `io_cancel`, which never succeeds: its error.
    pub fn cancel(&self, request: &Iocb) -> Errno {
        self.cancel_raw(std::ptr::from_ref(request) as u64)
    }

    /// `io_cancel` of whatever is at an address.
    pub fn cancel_raw(&self, request: u64) -> Errno {
        let mut event = IoEvent::default();
        let to = std::ptr::from_mut(&mut event) as u64;
        let result = self.target.aio(libc::SYS_io_cancel, [self.id, request, to, 0, 0, 0]);
        result.expect_err("io_cancel never succeeds")
    }

    /// Submits one request and waits for its event; its result, or the submission's error.
    pub fn run(&self, request: &Iocb) -> Result<i64> {
        assert_eq!(self.submit(&[request])?, 1);
        let events = self.get(1, 1, Duration::from_secs(10))?;
        assert_eq!(events.len(), 1, "no event came");
        assert_eq!((events[0].obj, events[0].res2), (std::ptr::from_ref(request) as u64, 0));
        Ok(events[0].res)
    }

    /// The ring's header.
    pub fn header(&self) -> AioRing {
        // SAFETY: the context's id is the address of its ring, mapped for as long as it lives.
        unsafe { (self.id as *const AioRing).read_volatile() }
    }

    /// A word of the header: 2 the head, 3 the tail.
    fn word(&self, index: usize) -> &AtomicU32 {
        // SAFETY: as above; words are shared with whoever completes requests.
        unsafe { AtomicU32::from_ptr((self.id as *mut u32).add(index)) }
    }

    /// Where the next event is taken from.
    pub fn head(&self) -> u32 {
        self.word(2).load(Ordering::Acquire)
    }

    /// Where the next event will be put.
    pub fn tail(&self) -> u32 {
        self.word(3).load(Ordering::Acquire)
    }

    /// Says how far events were taken, as a program does that reads the ring itself.
    pub fn set_head(&self, head: u32) {
        self.word(2).store(head, Ordering::Release);
    }

    /// Takes the first page of the ring away, as a program may.
    pub fn unmap(&self) {
        // SAFETY: the page is the ring's, and nobody but the body reads it.
        assert_eq!(unsafe { libc::munmap(self.id as *mut libc::c_void, 4096) }, 0);
    }

    /// Moves the ring to another address, as a program may; what it was.
    pub fn remap(&mut self) -> u64 {
        let len = (1 + self.header().nr as usize) * size_of::<IoEvent>();
        let place = crate::Mapping::anonymous(len);
        let (old, new) = (self.id as *mut libc::c_void, place.at(0) as *mut libc::c_void);
        let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: the ring is used at its new address from here on, which takes the place of memory
        // that nobody uses, and is unmapped with it if it is still there then.
        assert_eq!(unsafe { libc::mremap(old, len, len, how, new) }, new);
        std::mem::forget(place);
        std::mem::replace(&mut self.id, new as u64)
    }

    /// The event at a place of the ring.
    pub fn event(&self, index: u32) -> IoEvent {
        assert!(index < self.header().nr);
        // SAFETY: `nr` events stand behind the header.
        unsafe { (self.id as *const IoEvent).add(1 + index as usize).read_volatile() }
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // A body may have destroyed it.
        let _ = self.target.io_destroy(self.id);
    }
}

/// A request for `opcode` on a file.
pub fn iocb(opcode: u16, file: &impl AsRawFd) -> Iocb {
    Iocb { opcode, fd: file.as_raw_fd(), ..Iocb::default() }
}

/// A read at `offset` into a buffer.
pub fn pread(file: &impl AsRawFd, buffer: &mut [u8], offset: i64) -> Iocb {
    let (buf, nbytes) = (buffer.as_mut_ptr() as u64, buffer.len() as u64);
    Iocb { buf, nbytes, offset, ..iocb(IOCB_CMD_PREAD, file) }
}

/// A write at `offset` of a buffer.
pub fn pwrite(file: &impl AsRawFd, buffer: &[u8], offset: i64) -> Iocb {
    let (buf, nbytes) = (buffer.as_ptr() as u64, buffer.len() as u64);
    Iocb { buf, nbytes, offset, ..iocb(IOCB_CMD_PWRITE, file) }
}

/// A poll for `events`.
pub fn poll(file: &impl AsRawFd, events: i16) -> Iocb {
    Iocb { buf: u64::from(events as u16), ..iocb(IOCB_CMD_POLL, file) }
}

/// An unnamed file of `len` bytes, opened with `O_DIRECT`.
///
/// # Errors
/// Where the file system of temporary files knows no `O_DIRECT`.
pub fn direct_file(len: usize) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), vec![7; len])?;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_DIRECT).open(file.path())
}

/// The mapping of this process at an address, as the kernel describes it.
pub fn mapping_at(address: u64) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc/self/maps");
    let number = |text: &str| u64::from_str_radix(text, 16).expect("an address");
    let is_there = |line: &&str| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        range.is_some_and(|(from, to)| (number(from)..number(to)).contains(&address))
    };
    maps.lines().find(is_there).map(str::to_owned)
}

/// A system call of AIO by number, served by an engine.
///
/// # Errors
/// Those of the call; `ENOSYS` for a number that is none of them.
pub(crate) fn on_engine<H: Host>(engine: &Engine<H>, number: i64, args: [u64; 6]) -> Result<u64> {
    let [id, a, b, c, d, e] = args;
    let (aio, recent) = (engine.aio(), &mut Recent::default());
    let bounds = [a as i64, b as i64];
    match number {
        libc::SYS_io_setup => aio.setup(id as u32, a).map(|()| 0),
        libc::SYS_io_destroy => aio.destroy(id).map(|()| 0),
        libc::SYS_io_submit => aio.submit(id, a as i64, b, recent).map(u64::from),
        libc::SYS_io_cancel => aio.cancel(id, a, recent).map(u64::from),
        libc::SYS_io_getevents => aio.getevents(id, bounds, c, d, recent).map(u64::from),
        SYS_IO_PGETEVENTS => aio.pgetevents(id, bounds, c, d, e, recent).map(u64::from),
        _ => Err(Errno::ENOSYS),
    }
}
