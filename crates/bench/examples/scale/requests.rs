//! Requests in flight up to memory: polls on some thousands of eventfds, an equal share on each.
//!
//! An eventfd is signalled and all its polls complete; then they are submitted again. Neither side
//! has to look anything up for that. Each number of requests has a process of its own, so that memory
//! is not that of requests before.

use crate::{BATCH, MEMORY, Ring, limit_memory, measure, resident};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use rustix::event::EventfdFlags;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Eventfds, where there are as many requests.
const FILES: u64 = 4096;

/// Up to so many requests are submitted as often as rounds are measured; more of them once.
const REPEATED_MAX: u64 = 1_000_000;

/// So much memory for requests of io_uring is that of other programs, bytes.
const SETTLED: f64 = 256e3;

/// What so many requests cost.
pub(crate) struct Costs {
    /// To submit one, on the way from none to all, nanoseconds.
    pub(crate) submitted: f64,
    /// One completes and is replaced while all others wait, nanoseconds.
    pub(crate) replaced: f64,
    /// Memory of the process and of the kernel's requests for one, bytes.
    pub(crate) bytes: f64,
}

/// Measures `count` requests in flight.
pub(crate) fn requests(count: u64, rounds: usize) -> io::Result<Costs> {
    let files = (0..FILES.min(count)).map(|_| eventfd()).collect::<io::Result<Vec<File>>>()?;
    let before = resident()? + settled()?;
    let (mut ring, mut submitted) = fill(&files, count)?;
    let bytes = (resident()? + kernel_requests() - before) / count as f64;
    let mut next = 0;
    let replaced = measure(|| replace(&mut ring, &files, count, &mut next))?;
    drop(ring);
    let again = if count > REPEATED_MAX { 1 } else { rounds };
    for _ in 1..again {
        submitted = submitted.min(fill(&files, count)?.1);
    }
    Ok(Costs { submitted, replaced, bytes })
}

/// Prints how many requests fit into memory: by a submission that is refused; or by what some of them
/// take where that is the kernel's memory, which has no end for one process alone.
pub(crate) fn room() -> io::Result<()> {
    let needed = MEMORY + (2 << 30);
    if available()? < needed {
        return Err(io::Error::other(format!("less than {needed} bytes are available")));
    }
    limit_memory()?;
    let files = (0..FILES).map(|_| eventfd()).collect::<io::Result<Vec<File>>>()?;
    let (mut ring, before, mut count) = (Ring::new()?, settled()?, 0);
    loop {
        let some = (0..FILES).map(|index| poll(&files, index as usize));
        match ring.push(some).and_then(|()| ring.take(0)) {
            Ok(()) => count += FILES,
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => break,
            Err(error) => return Err(error),
        }
        let kernels = kernel_requests() - before;
        if count > REPEATED_MAX && kernels > count as f64 {
            count = (MEMORY as f64 / kernels * count as f64) as u64;
            break;
        }
    }
    println!("{count}");
    Ok(())
}

/// Memory that the machine has to give, bytes.
fn available() -> io::Result<u64> {
    let table = std::fs::read_to_string("/proc/meminfo")?;
    let row = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = row.and_then(|row| row.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    number.map(|kib| kib << 10).ok_or_else(|| io::Error::other("/proc/meminfo"))
}

/// A ring with `count` requests, and what each of them took, nanoseconds.
fn fill(files: &[File], count: u64) -> io::Result<(Ring, f64)> {
    let mut ring = Ring::new()?;
    let begin = Instant::now();
    ring.push((0..count).map(|index| poll(files, index as usize % files.len())))?;
    ring.take(0)?;
    Ok((ring, begin.elapsed().as_nanos() as f64 / count as f64))
}

/// Lets some requests complete and submits as many; how many.
fn replace(ring: &mut Ring, files: &[File], count: u64, next: &mut usize) -> io::Result<u64> {
    let (all, mut done) = (files.len(), 0);
    while done < BATCH.min(count) {
        let at = *next % all;
        *next += 1;
        // The first of them have one more where the number does not divide.
        let share = count / all as u64 + u64::from((at as u64) < count % all as u64);
        (&files[at]).write_all(&1_u64.to_ne_bytes())?;
        ring.take(share)?;
        (&files[at]).read_exact(&mut [0; 8])?;
        ring.push((0..share).map(|_| poll(files, at)))?;
        done += share;
    }
    ring.take(0)?;
    Ok(done)
}

fn poll(files: &[File], at: usize) -> squeue::Entry {
    let fd = Fd(files[at].as_raw_fd());
    opcode::PollAdd::new(fd, libc::POLLIN as u32).build().user_data(at as u64)
}

fn eventfd() -> io::Result<File> {
    Ok(File::from(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
}

/// The same once the kernel has freed what rings before had; it does so by and by.
fn settled() -> io::Result<f64> {
    let begin = Instant::now();
    while kernel_requests() > SETTLED {
        if begin.elapsed() > Duration::from_secs(60) {
            return Err(io::Error::other("other programs have requests of io_uring in flight"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(kernel_requests())
}

/// Memory of the kernel's for requests of io_uring, bytes; 0 where it does not say.
fn kernel_requests() -> f64 {
    let table = std::fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let row = table.lines().find(|line| line.starts_with("io_kiocb "));
    let cell = |index| -> Option<f64> { row?.split_whitespace().nth(index)?.parse().ok() };
    // Slabs, and the pages of each.
    cell(14).zip(cell(5)).map_or(0.0, |(slabs, pages)| slabs * pages * 4096.0)
}
