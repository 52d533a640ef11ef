//! How the cost of one operation grows with the number of those that are in flight.
//!
//!     scale run KIND > FILE.csv      # KIND names the series: kernel, ringfence
//!     scale requests KIND            # of these the rows of requests up to memory alone
//!     scale plot DIRECTORY FILE...   # draws one SVG per workload into DIRECTORY
//!
//! A row of the table is `kind,workload,in flight,nanoseconds per operation,bytes per request`.
//! Under `ringfence run --backend user` it measures the engine, else the kernel.
#![expect(unsafe_code, reason = "submissions to io_uring by the io-uring crate")]

mod plot;
mod requests;

use io_uring::types::{Fd, Timespec};
use io_uring::{IoUring, opcode, squeue};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long each row is measured, and how many rounds the fastest is taken of.
const ROUND: Duration = Duration::from_millis(150);
const ROUNDS: usize = 5;

/// Entries that one call submits.
const BATCH: u64 = 32;

static LATER: Timespec = Timespec::new().sec(36_000);

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", kind] => run(kind),
        ["requests", kind] => requests(kind),
        ["room"] => requests::room(),
        ["in-flight", kind, count] => in_flight(kind, count),
        ["talk", address, count] => talk(address, count),
        ["plot", directory, ..] if args.len() > 2 => plot::draw(directory, &args[2..]),
        _ => Err(io::Error::other(
            "scale run KIND, scale requests KIND, or scale plot DIRECTORY FILE...",
        )),
    }
}

fn run(kind: &str) -> io::Result<()> {
    let row = |workload: &str, count: u64, cost: Cost| row(kind, workload, count, cost);
    for count in [1, 10, 100, 1_000, 10_000] {
        row("connections", count, connections(count)?);
    }
    for count in [1, 10, 100, 1_000, 10_000, 60_000] {
        row("polls", count, polls(count)?);
    }
    for count in [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        row("timeouts", count, timeouts(count)?);
    }
    requests(kind)
}

/// The rows of requests up to memory, each pair by another process.
fn requests(kind: &str) -> io::Result<()> {
    let fit =
        Command::new(std::env::current_exe()?).arg("room").stderr(Stdio::inherit()).output()?;
    let fit: u64 = String::from_utf8_lossy(&fit.stdout).trim().parse().map_err(io::Error::other)?;
    // What the last one brings with it needs room too.
    let most = fit - fit / 100;
    for count in (0..=7).map(|power| 10_u64.pow(power)).chain([most]) {
        let count = count.to_string();
        let status =
            Command::new(std::env::current_exe()?).args(["in-flight", kind, &count]).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{count} requests in flight: {status}")));
        }
    }
    Ok(())
}

fn in_flight(kind: &str, count: &str) -> io::Result<()> {
    let count = count.parse().map_err(io::Error::other)?;
    limit_memory()?;
    let costs = requests::requests(count, ROUNDS)?;
    row(kind, "submitted", count, Cost { nanos: costs.submitted, bytes: costs.bytes });
    row(kind, "replaced", count, Cost { nanos: costs.replaced, bytes: costs.bytes });
    Ok(())
}

/// Memory for requests, bytes: all that a process here may have, where they are its own.
const MEMORY: u64 = 6 << 30;

/// Limits the addresses of this process, so that memory has an end.
fn limit_memory() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: MEMORY, rlim_max: MEMORY };
    // SAFETY: the structure is read only.
    match unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn row(kind: &str, workload: &str, count: u64, cost: Cost) {
    // Among few requests the program's own memory is all that is seen.
    let bytes = if count < 10_000 { String::new() } else { format!("{:.0}", cost.bytes) };
    println!("{kind},{workload},{count},{:.1},{bytes}", cost.nanos);
}

/// What one operation costs.
struct Cost {
    nanos: f64,
    /// Resident memory for each request in flight, the program's own share of it included.
    bytes: f64,
}

/// The fastest of several rounds of `step`, which does some operations and says how many.
fn measure(mut step: impl FnMut() -> io::Result<u64>) -> io::Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (begin, mut done) = (Instant::now(), 0);
        while begin.elapsed() < ROUND {
            done += step()?;
        }
        best = best.min(begin.elapsed().as_nanos() as f64 / done as f64);
    }
    Ok(best)
}

/// A ring whose completion queue has room for everything.
struct Ring(IoUring);

impl Ring {
    fn new() -> io::Result<Ring> {
        IoUring::builder().setup_cqsize(65_536).build(4096).map(Ring)
    }

    /// Queues entries, submitting whenever the queue is full.
    fn push(&mut self, entries: impl Iterator<Item = squeue::Entry>) -> io::Result<()> {
        for entry in entries {
            // SAFETY: every entry points to statics or to memory that is never freed.
            while unsafe { self.0.submission().push(&entry) }.is_err() {
                self.0.submit()?;
            }
        }
        Ok(())
    }

    /// Submits, waits for `count` completions and takes them.
    fn take(&mut self, count: u64) -> io::Result<()> {
        self.0.submit_and_wait(count as usize)?;
        let taken = self.0.completion().count() as u64;
        if taken == count { Ok(()) } else { Err(wrong("completions", taken)) }
    }
}

fn wrong(what: &str, number: u64) -> io::Error {
    io::Error::other(format!("{number} {what}"))
}

/// Resident memory of this process, bytes, the kernel's own memory for it not included.
fn resident() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.map(|pages| pages * 4096.0).ok_or_else(|| io::Error::other("/proc/self/statm"))
}

/// Timeouts that never fire: one of many is replaced by another.
fn timeouts(count: u64) -> io::Result<Cost> {
    let mut ring = Ring::new()?;
    let entry = |tag: u64| opcode::Timeout::new(&LATER).build().user_data(tag);
    let before = resident()?;
    ring.push((1..=count).map(entry))?;
    ring.take(0)?;
    let bytes = (resident()? - before) / count as f64;
    let (mut next, batch) = (count + 1, BATCH.min(count));
    let nanos = measure(|| {
        for tag in next..next + batch {
            let remove = opcode::TimeoutRemove::new(tag - count).build().user_data(0);
            ring.push([remove, entry(tag)].into_iter())?;
        }
        next += batch;
        ring.take(2 * batch)?;
        Ok(batch)
    })?;
    Ok(Cost { nanos, bytes })
}

/// Polls on one file: one of many is removed and another added.
fn polls(count: u64) -> io::Result<Cost> {
    let mut ring = Ring::new()?;
    let (reader, _writer) = io::pipe()?;
    let fd = Fd(reader.as_raw_fd());
    let entry = |tag: u64| opcode::PollAdd::new(fd, libc::POLLIN as u32).build().user_data(tag);
    let before = resident()?;
    ring.push((1..=count).map(entry))?;
    ring.take(0)?;
    let bytes = (resident()? - before) / count as f64;
    let (mut next, batch) = (count + 1, BATCH.min(count));
    let nanos = measure(|| {
        for tag in next..next + batch {
            let remove = opcode::PollRemove::new(tag - count).build().user_data(0);
            ring.push([remove, entry(tag)].into_iter())?;
        }
        next += batch;
        ring.take(2 * batch)?;
        Ok(batch)
    })?;
    Ok(Cost { nanos, bytes })
}

/// Buffers of the ring of provided buffers, and their length, bytes.
const BUFFERS: u16 = 256;
const BUFFER_LEN: u32 = 64;

/// Connections that a listener keeps until they are accepted, with something to spare.
const BACKLOG: usize = 64;

/// Multishot receives into a ring of buffers on many connections, of which a few speak. The other
/// ends are another process's, so that each process has no more files than it has connections.
fn connections(count: u64) -> io::Result<Cost> {
    let mut ring = Ring::new()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut talker = Talker::start(listener.local_addr()?, count)?;
    let mut streams = Vec::new();
    while streams.len() < count as usize {
        streams.push(listener.accept()?.0);
        if streams.len().is_multiple_of(BACKLOG) {
            talker.say()?;
        }
    }
    let mut buffers = Buffers::new(&ring)?;
    let before = resident()?;
    let entry = |(index, stream): (usize, &TcpStream)| {
        opcode::RecvMulti::new(Fd(stream.as_raw_fd()), 0).build().user_data(index as u64)
    };
    ring.push(streams.iter().enumerate().map(entry))?;
    ring.take(0)?;
    let bytes = (resident()? - before) / count as f64;
    let nanos = measure(|| {
        talker.say()?;
        let mut seen = 0;
        while seen < BATCH {
            ring.0.submit_and_wait(1)?;
            for cqe in ring.0.completion() {
                // Two bytes to one connection may come as one piece.
                let (length, flags) = (cqe.result(), cqe.flags());
                let buffer = io_uring::cqueue::buffer_select(flags).filter(|_| length > 0);
                buffers.give(buffer.ok_or_else(|| wrong("result", length as u64))?);
                seen += length as u64;
            }
        }
        Ok(BATCH)
    })?;
    Ok(Cost { nanos, bytes })
}

/// The process at the other ends of the connections; it ends when its input does.
struct Talker(Child);

impl Talker {
    fn start(address: SocketAddr, count: u64) -> io::Result<Talker> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("talk").arg(address.to_string()).arg(count.to_string());
        command.stdin(Stdio::piped()).spawn().map(Talker)
    }

    /// Lets it send a batch of bytes, each on a connection of its own as far as there are so many.
    fn say(&mut self) -> io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(b"!"))
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Is the talker: `count` connections, a batch of bytes for each byte of input.
fn talk(address: &str, count: &str) -> io::Result<()> {
    let count: usize = count.parse().map_err(io::Error::other)?;
    let (mut streams, mut speaker, mut order) = (Vec::new(), 0, [0]);
    while streams.len() < count {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        streams.push(stream);
        if streams.len().is_multiple_of(BACKLOG) {
            // They must be accepted before there is room for more.
            io::stdin().read_exact(&mut order)?;
        }
    }
    while io::stdin().read(&mut order)? == 1 {
        for _ in 0..BATCH {
            // A prime stride, so that neighbours in time are none in memory.
            speaker = (speaker + 7919) % count;
            streams[speaker].write_all(b"x")?;
        }
    }
    Ok(())
}

/// A ring of provided buffers, all given; it is never freed.
struct Buffers {
    entries: &'static [io_uring::types::BufRingEntry],
    base: *mut io_uring::types::BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl Buffers {
    fn new(ring: &Ring) -> io::Result<Buffers> {
        let len = usize::from(BUFFERS) * (16 + BUFFER_LEN as usize);
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of its own.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the ring's memory is never unmapped.
        unsafe { ring.0.submitter().register_buf_ring_with_flags(base as u64, BUFFERS, 0, 0) }?;
        let base: *mut io_uring::types::BufRingEntry = base.cast();
        // SAFETY: the mapping holds that many entries, then the buffers.
        let (entries, memory) = unsafe {
            let entries = std::slice::from_raw_parts(base, usize::from(BUFFERS));
            (entries, base.add(usize::from(BUFFERS)).cast())
        };
        let mut buffers = Buffers { entries, base, memory, tail: 0 };
        (0..BUFFERS).for_each(|id| buffers.give(id));
        Ok(buffers)
    }

    /// Gives buffer `id` back.
    fn give(&mut self, id: u16) {
        let at = usize::from(self.tail % BUFFERS);
        assert!(at < self.entries.len());
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the place is inside the ring, and its reader looks at it only below the tail,
        // which is published after it.
        unsafe {
            let entry = &mut *self.base.add(at);
            entry.set_addr(self.memory.add(usize::from(id) * BUFFER_LEN as usize) as u64);
            entry.set_len(BUFFER_LEN);
            entry.set_bid(id);
            let tail = io_uring::types::BufRingEntry::tail(self.base).cast_mut();
            std::sync::atomic::AtomicU16::from_ptr(tail)
                .store(self.tail, std::sync::atomic::Ordering::Release);
        }
    }
}
