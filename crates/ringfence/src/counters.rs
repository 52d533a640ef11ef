//! What the engine has done, told when the process ends.

use crate::config::{self, Counters};
use crate::{backend, raw};
use ringfence_host::{Os, calls};
use ringfence_uring::{RingStats, Stats};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::OnceLock;

/// Standard error as it was at the start, for a program that closes its own before it ends, as many
/// do that want to hear of a full disk.
struct Kept {
    fd: i32,
    /// Which file that is: the program may close the number, and open another under it.
    file: [u64; 2],
}

static KEPT: OnceLock<Kept> = OnceLock::new();

/// Keeps what is needed to tell the counters at the end.
pub(crate) fn start() {
    if config::get().stats == Counters::Stderr
        && let Ok(fd) = calls::dup_private(&Os, 2)
        && let Some(file) = file_of(fd)
    {
        let _ = KEPT.set(Kept { fd, file });
    }
}

/// The device and number of an open file.
fn file_of(fd: i32) -> Option<[u64; 2]> {
    // `struct stat` begins with them.
    let mut stat = [0_u64; 18];
    let at = std::ptr::from_mut(&mut stat) as u64;
    let result = raw::call(libc::SYS_fstat, [fd as u64, at, 0, 0, 0, 0]);
    let [device, number, ..] = std::hint::black_box(stat);
    (result == 0).then_some([device, number])
}

/// The descriptor that is kept for the counters, to be spared by a close of all.
pub(crate) fn private_fd() -> Option<u32> {
    KEPT.get().filter(|kept| file_of(kept.fd) == Some(kept.file)).map(|kept| kept.fd as u32)
}

/// Prints or writes the counters, if the settings ask for them.
pub(crate) fn print() {
    if let Some([setup, enter, register]) = backend::passed() {
        if config::get().stats != Counters::Off {
            raw::complain(&format!("calls: setup {setup}, enter {enter}, register {register}"));
        }
        return;
    }
    let Some(stats) = backend::stats() else { return };
    match config::get().stats {
        Counters::Off => {}
        Counters::Stderr => raw::complain_to(private_fd().unwrap_or(2), &text(&stats)),
        Counters::File(path) => {
            if let Err(error) = append(path, &json(&stats)) {
                raw::complain(&format!("cannot write the counters to {path}: {error}"));
            }
        }
    }
}

/// One write of one line, so that processes that end at the same time do not mix theirs.
fn append(path: &str, line: &str) -> std::io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(line.as_bytes())
}

/// Rings that the text names one by one; the JSON names all.
const RINGS_TOLD: usize = 8;

fn text(stats: &Stats) -> String {
    let mut text = String::from("operations:");
    for (name, count) in &stats.operations {
        let _ = write!(text, " {name} {count}");
    }
    let _ = write!(
        text,
        "; rings {}, aio contexts {}, workers {}, request bytes {}, at most {} in one ring",
        stats.rings, stats.contexts, stats.workers, stats.request_bytes, stats.request_bytes_max
    );
    for ring in stats.by_ring.iter().take(RINGS_TOLD) {
        let (now, most) = (ring.request_bytes, ring.request_bytes_max);
        let _ = write!(text, "; ring {}: {now} bytes, at most {most}", ring.fd);
    }
    if stats.by_ring.len() > RINGS_TOLD {
        let _ = write!(text, "; and {} more", stats.by_ring.len() - RINGS_TOLD);
    }
    text
}

/// Names are those of the operation table and need no escapes.
fn json(stats: &Stats) -> String {
    let operations: Vec<String> =
        stats.operations.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    let by_ring: Vec<String> = stats.by_ring.iter().map(json_ring).collect();
    format!(
        "{{\"operations\":{{{}}},\"rings\":{},\"contexts\":{},\"workers\":{},\"request_bytes\":{},\
         \"request_bytes_max\":{},\"by_ring\":[{}]}}\n",
        operations.join(","),
        stats.rings,
        stats.contexts,
        stats.workers,
        stats.request_bytes,
        stats.request_bytes_max,
        by_ring.join(",")
    )
}

fn json_ring(ring: &RingStats) -> String {
    let (fd, now, most) = (ring.fd, ring.request_bytes, ring.request_bytes_max);
    format!("{{\"fd\":{fd},\"request_bytes\":{now},\"request_bytes_max\":{most}}}")
}
