//! Runs one program on two targets and tells where they differ.

use crate::program::{self, PIPES, Resources, SLOTS, Step};
use crate::{Mapping, Ring, Skip, Target, sys, timespec};
use ringfence_abi::*;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// What is soon: later than whatever happens at once, and well within [`STEP`].
pub const SOON: Duration = sys::ms(3);
/// How long a step may work before the next begins.
const STEP: Duration = sys::ms(8);

/// What the programs of one run act on, the same each time.
pub struct World {
    file: File,
    /// Readers and writers.
    pub pipes: Vec<(File, File)>,
    memory: Mapping,
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl World {
    /// A file with text, pipes, times and buffers.
    pub fn new() -> World {
        let memory = Mapping::anonymous(3 * 4096);
        memory.write(4096, timespec(sys::ms(0)));
        memory.write(4096 + 16, timespec(sys::ms(3_600_000)));
        memory.write(4096 + 32, timespec(SOON));
        let pipes = (0..PIPES).map(|_| sys::pipe()).collect();
        World { file: sys::file_with(b"0123456789abcdef"), pipes, memory }
    }

    /// What entries are made of.
    pub fn resources(&self) -> Resources {
        let fds = |(reader, writer): &(File, File)| (reader.as_raw_fd(), writer.as_raw_fd());
        let pipes: Vec<(i32, i32)> = self.pipes.iter().map(fds).collect();
        Resources {
            file: self.file.as_raw_fd(),
            pipes: pipes.try_into().expect("as many pipes as there are"),
            buffers: self.memory.at(0),
            times: self.memory.at(4096),
            provided: self.memory.at(4096 + 64),
        }
    }
}

/// How long a step of a slow machine may take to complete what it completed before.
const PATIENCE: Duration = sys::ms(2000);

/// What came of a run.
#[derive(Debug)]
pub struct Seen {
    /// Line by line: what each submission consumed, the completions of each request, the file in the
    /// end.
    pub lines: Vec<String>,
    /// How many completions each look found.
    counts: Vec<usize>,
}

/// The completions of a run, step by step.
struct Collected<'a> {
    cqes: Vec<Cqe>,
    counts: Vec<usize>,
    /// What another run had at each look.
    model: &'a [usize],
}

impl Collected<'_> {
    /// Lets the step work. On a busy machine a worker may not have run by then: so what the model
    /// had at this point is waited for longer, and only what it did not have is missed after [`STEP`].
    fn look(&mut self, ring: &mut Ring) {
        let mut cqes = ring.settle(STEP);
        let wanted = self.model.get(self.counts.len()).copied().unwrap_or(0);
        let deadline = Instant::now() + PATIENCE;
        while cqes.len() < wanted && Instant::now() < deadline {
            cqes.extend(ring.settle(STEP));
        }
        self.counts.push(cqes.len());
        self.cqes.extend(cqes);
    }
}

/// Runs a program; `model` is an earlier run of it, if there was one.
///
/// # Errors
/// [`Skip`] where the target cannot make rings.
pub fn run(
    target: &dyn Target,
    steps: &[Step],
    model: Option<&Seen>,
) -> std::result::Result<Seen, Skip> {
    let mut ring = target.ring(32)?;
    let world = World::new();
    let resources = world.resources();
    let slots: Vec<i32> = (0..SLOTS).map(|i| if i == 0 { resources.file } else { -1 }).collect();
    assert_eq!(ring.register(RegisterOp::Files, &slots), Ok(0));
    provide(&ring, &world.memory);
    let model = model.map_or(&[][..], |seen| &seen.counts);
    let mut found = Collected { cqes: Vec::new(), counts: Vec::new(), model };
    let (mut lines, mut number) = (Vec::new(), 0);
    for step in steps {
        match step {
            Step::Feed(pipe, len) => {
                (&world.pipes[*pipe].1).write_all(&[1; 8][..*len as usize]).expect("write");
                found.look(&mut ring);
            }
            Step::Submit(batch) => {
                for request in batch {
                    number += 1;
                    ring.push(program::entry(request, number, &resources));
                }
                lines.push(format!("submit: {:?}", ring.submit()));
            }
        }
        // Entries that a refused one left in the queue are submitted too.
        while ring.sq_room() < ring.params.sq_entries {
            lines.push(format!("submit again: {:?}", ring.submit()));
        }
        found.look(&mut ring);
    }
    lines.extend(finish(&mut ring, number, &mut found));
    lines.push(shown(found.cqes));
    let content = std::fs::read(format!("/proc/self/fd/{}", resources.file)).expect("read");
    lines.push(format!("file: {}", String::from_utf8_lossy(&content).replace('\0', ".")));
    Ok(Seen { lines, counts: found.counts })
}

/// Registers a ring of four buffers, in the third page.
fn provide(ring: &Ring, memory: &Mapping) {
    for bid in 0..4_u16 {
        let at = usize::from(bid);
        let resv = if bid == 0 { 4 } else { 0 };
        memory
            .write(8192 + at * 16, Buf { addr: memory.at(4096 + 128 + at * 8), len: 8, bid, resv });
    }
    let (ring_addr, bgid) = (memory.at(8192), program::GROUP);
    let reg = BufReg { ring_addr, ring_entries: 4, bgid, ..BufReg::default() };
    assert_eq!(ring.register_raw(RegisterOp::PbufRing, crate::sqe::address(&reg), 1), Ok(0));
}

/// Cancels what still waits of `count` requests, one after the other; what a cancel waited for in vain.
///
/// Not all at once: what a cancel sets free would race the rest of it. And not without a limit: the kernel
/// may sleep through the end of what it waits for, see docs/FUZZING.md.
fn finish(ring: &mut Ring, count: u64, found: &mut Collected<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for addr in 1..=count {
        let timeout = timespec(PATIENCE);
        let one = SyncCancelReg { addr, fd: -1, timeout, ..SyncCancelReg::default() };
        match ring.register_raw(RegisterOp::SyncCancel, crate::sqe::address(&one), 1) {
            Ok(_) => found.look(ring),
            Err(Errno::ETIME) => lines.push(format!("{addr} is not cancelled in {PATIENCE:?}")),
            Err(_) => {}
        }
    }
    lines
}

/// Completions by request; the order between requests is not promised.
fn shown(mut cqes: Vec<Cqe>) -> String {
    cqes.sort_by_key(|cqe| cqe.user_data);
    let rows = cqes.iter().map(|cqe| match cqe.flags {
        // The kernel leaves flags of a buffer that was given back on what failed.
        _ if cqe.res < 0 => format!("{}={}", cqe.user_data, cqe.res),
        0 => format!("{}={}", cqe.user_data, cqe.res),
        flags => format!("{}={}/{flags:x}", cqe.user_data, cqe.res),
    });
    rows.collect::<Vec<String>>().join(" ")
}

/// Makes a program that differs as small as it stays different.
pub fn shrink(steps: &[Step], differs: &mut dyn FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut best = steps.to_vec();
    let mut changed = true;
    while changed {
        changed = false;
        for smaller in smaller(&best) {
            if differs(&smaller) {
                (best, changed) = (smaller, true);
                break;
            }
        }
    }
    best
}

/// Programs with one step or one request less, or with one flag less.
fn smaller(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut all = Vec::new();
    for i in 0..steps.len() {
        let mut without = steps.to_vec();
        without.remove(i);
        all.push(without);
        let Step::Submit(batch) = &steps[i] else { continue };
        for j in 0..batch.len() {
            // Removing would renumber the others: a nop takes its place.
            let mut with_nop = batch.clone();
            with_nop[j] = program::Request { action: program::Action::Nop(0), flags: 0 };
            let mut without_flags = batch.clone();
            without_flags[j].flags = 0;
            for changed in [with_nop, without_flags] {
                if changed != *batch {
                    let mut steps = steps.to_vec();
                    steps[i] = Step::Submit(changed);
                    all.push(steps);
                }
            }
        }
    }
    all
}
