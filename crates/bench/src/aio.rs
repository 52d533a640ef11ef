//! Linux AIO by its system calls, and glibc's POSIX AIO, which is threads.
//!
//! Who serves Linux AIO is read back from what the process has mapped where its context is.
#![expect(unsafe_code, reason = "asks for reads of pages that are never freed")]

use crate::error::{Context as _, Result, expect};
use crate::meter::{Budget, Sample};
use crate::read::{DEPTH, Source};
use crate::ring::{PAGE, Page, ServedBy, pages};
use crate::site;
use crate::sys::Random;
use rustix::fs::Advice;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Instant;

/// A request as the kernel's header lays it out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Iocb {
    data: u64,
    key: u32,
    rw_flags: u32,
    opcode: u16,
    priority: i16,
    file: u32,
    memory: u64,
    length: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}

/// What became of one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Event {
    data: u64,
    request: u64,
    result: i64,
    result2: i64,
}

/// `io_setup`, `io_submit`, `io_getevents` and `io_destroy` with their arguments.
fn call(number: i64, args: [u64; 5]) -> io::Result<usize> {
    let [a, b, c, d, e] = args;
    // SAFETY: what the arguments point to lives during the call, and the memory of reads for ever.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A context, and the requests of a batch.
struct Context {
    id: u64,
    requests: Vec<Iocb>,
    events: [Event; DEPTH],
}

impl Context {
    fn new(source: &Source) -> Result<Context> {
        let mut id = 0u64;
        call(libc::SYS_io_setup, [128, std::ptr::from_mut(&mut id) as u64, 0, 0, 0])
            .or_skip("io_setup")?;
        let request = |page: &'static Page| Iocb {
            file: source.file.as_raw_fd() as u32,
            memory: page.address() as u64,
            length: PAGE as u64,
            ..Iocb::default()
        };
        let requests = pages(DEPTH).into_iter().map(request).collect();
        Ok(Context { id: std::hint::black_box(id), requests, events: [Event::default(); DEPTH] })
    }

    /// Says where the next batch reads.
    fn aim(&mut self, source: &Source, random: &mut Random) {
        for request in &mut self.requests {
            request.offset = source.anywhere(random) as i64;
        }
    }

    fn submit(&mut self) -> Result<()> {
        let list: [u64; DEPTH] =
            std::array::from_fn(|at| std::ptr::from_mut(&mut self.requests[at]) as u64);
        let args = [self.id, DEPTH as u64, list.as_ptr() as u64, 0, 0];
        let taken = call(libc::SYS_io_submit, args).during("io_submit")?;
        expect("io_submit", taken as i64, DEPTH as i64)
    }

    fn collect(&mut self) -> Result<()> {
        let mut left = DEPTH;
        while left > 0 {
            let to = self.events.as_mut_ptr() as u64;
            let args = [self.id, left as u64, left as u64, to, 0];
            let count = call(libc::SYS_io_getevents, args).during("io_getevents")?;
            for event in &self.events[..count] {
                expect("read", event.result, PAGE as i64)?;
            }
            left -= count;
        }
        Ok(())
    }

    /// Whose it is, told by what is mapped there.
    fn served_by(&self) -> Option<ServedBy> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let begin = format!("{:x}-", self.id);
        let line = maps.lines().find(|line| line.starts_with(&begin))?;
        Some(if line.contains("[aio]") { ServedBy::Kernel } else { ServedBy::Ringfence })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let _ = call(libc::SYS_io_destroy, [self.id, 0, 0, 0, 0]);
    }
}

pub(crate) fn cached(site: &Path, budget: Budget) -> Result<Sample> {
    reads(&Source::open(&site::cached(site))?, budget)
}

pub(crate) fn direct(site: &Path, budget: Budget) -> Result<Sample> {
    reads(&Source::open_direct(&site::direct(site))?, budget)
}

fn reads(source: &Source, budget: Budget) -> Result<Sample> {
    let mut context = Context::new(source)?;
    let mut random = Random::new();
    let sample = budget.run(|| {
        context.aim(source, &mut random);
        context.submit()?;
        context.collect()?;
        Ok(DEPTH as u64)
    })?;
    Ok(Sample { served_by: context.served_by(), ..sample })
}

/// Takes the file out of memory.
fn cool(source: &Source) -> Result<()> {
    rustix::fs::fadvise(&source.file, 0, None, Advice::DontNeed).during("fadvise")
}

/// The time in `io_submit` alone.
pub(crate) fn cold(site: &Path, budget: Budget) -> Result<Sample> {
    let source = Source::open(&site::direct(site))?;
    let mut context = Context::new(&source)?;
    let mut random = Random::new();
    let sample = budget.run_part(|| {
        cool(&source)?;
        context.aim(&source, &mut random);
        let begin = Instant::now();
        context.submit()?;
        let time = begin.elapsed();
        context.collect()?;
        Ok((time, DEPTH as u64))
    })?;
    Ok(Sample { served_by: context.served_by(), ..sample })
}

/// Requests of POSIX AIO.
struct Posix {
    requests: Vec<libc::aiocb>,
}

impl Posix {
    fn new(source: &Source) -> Posix {
        let request = |page: &'static Page| {
            // SAFETY: of numbers and pointers, all of which may be 0.
            let mut request: libc::aiocb = unsafe { MaybeUninit::zeroed().assume_init() };
            request.aio_fildes = source.file.as_raw_fd();
            request.aio_lio_opcode = libc::LIO_READ;
            request.aio_buf = page.address().cast();
            request.aio_nbytes = PAGE;
            request.aio_sigevent.sigev_notify = libc::SIGEV_NONE;
            request
        };
        Posix { requests: pages(DEPTH).into_iter().map(request).collect() }
    }

    fn aim(&mut self, source: &Source, random: &mut Random) {
        for request in &mut self.requests {
            request.aio_offset = source.anywhere(random) as i64;
        }
    }

    fn submit(&mut self, mode: libc::c_int) -> Result<()> {
        let mut list: [*mut libc::aiocb; DEPTH] =
            std::array::from_fn(|at| &raw mut self.requests[at]);
        // SAFETY: requests stay where they are until `collect` has seen the end of each.
        let result = unsafe {
            libc::lio_listio(mode, list.as_mut_ptr(), DEPTH as i32, std::ptr::null_mut())
        };
        if result < 0 { Err(io::Error::last_os_error()).during("lio_listio") } else { Ok(()) }
    }

    fn collect(&mut self) -> Result<()> {
        for request in &mut self.requests {
            let list = [std::ptr::from_ref(request)];
            // SAFETY: a request that was handed in and whose result nobody took yet.
            let result = unsafe {
                while libc::aio_error(request) == libc::EINPROGRESS {
                    libc::aio_suspend(list.as_ptr(), 1, std::ptr::null());
                }
                libc::aio_return(request)
            };
            expect("aio_read", result as i64, PAGE as i64)?;
        }
        Ok(())
    }
}

pub(crate) fn posix(site: &Path, budget: Budget) -> Result<Sample> {
    let source = Source::open(&site::cached(site))?;
    let mut posix = Posix::new(&source);
    let mut random = Random::new();
    budget.run(|| {
        posix.aim(&source, &mut random);
        posix.submit(libc::LIO_WAIT)?;
        posix.collect()?;
        Ok(DEPTH as u64)
    })
}

pub(crate) fn posix_cold(site: &Path, budget: Budget) -> Result<Sample> {
    let source = Source::open(&site::direct(site))?;
    let mut posix = Posix::new(&source);
    let mut random = Random::new();
    budget.run_part(|| {
        cool(&source)?;
        posix.aim(&source, &mut random);
        let begin = Instant::now();
        posix.submit(libc::LIO_NOWAIT)?;
        let time = begin.elapsed();
        posix.collect()?;
        Ok((time, DEPTH as u64))
    })
}
