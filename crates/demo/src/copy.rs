//! Copying a file: linked pairs of a read and a write, several pairs in flight.
#![expect(unsafe_code, reason = "submissions name memory that must outlive them")]

use crate::checked;
use io_uring::{IoUring, opcode, squeue, types::Fd};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Pairs in flight; each takes two entries of the ring.
const PAIRS: usize = 8;
/// Bytes that one pair moves.
const BLOCK: usize = 64 * 1024;
/// Marks the write of a pair, in the user data beside the pair's slot.
const WRITE: u64 = 1 << 32;

/// Copies `source` to a new file `destination` and syncs it; returns its length in bytes.
pub(crate) fn copy(ring: &mut IoUring, source: &Path, destination: &Path) -> io::Result<u64> {
    let input = open(ring, source, libc::O_RDONLY)?;
    let output = open(ring, destination, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)?;
    let length = std::fs::metadata(source)?.len();
    blocks(ring, input, output, length)?;
    one(ring, &opcode::Fsync::new(output).build())?;
    one(ring, &opcode::Close::new(input).build())?;
    one(ring, &opcode::Close::new(output).build())?;
    Ok(length)
}

fn open(ring: &mut IoUring, path: &Path, flags: i32) -> io::Result<Fd> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let entry = opcode::OpenAt::new(Fd(libc::AT_FDCWD), name.as_ptr())
        .flags(flags | libc::O_CLOEXEC)
        .mode(0o644)
        .build();
    let opened = one(ring, &entry);
    opened
        .map(|fd| Fd(fd.cast_signed()))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Submits one entry and waits for it; nothing else may be in flight.
fn one(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<u32> {
    // SAFETY: what the entry names is alive in the caller, which waits here for its completion.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let completion = ring.completion().next();
    checked(completion.ok_or_else(|| io::Error::other("waited, and nothing completed"))?.result())
}

fn blocks(ring: &mut IoUring, input: Fd, output: Fd, length: u64) -> io::Result<()> {
    // Never freed: whatever fails, no request in flight can outlive them.
    let buffers = vec![[0_u8; BLOCK]; PAIRS].leak();
    let mut lengths = [0_u32; PAIRS];
    let mut idle: Vec<usize> = (0..PAIRS).collect();
    let mut begun = 0;
    let mut failure = None;
    while (begun < length && failure.is_none()) || idle.len() < PAIRS {
        while begun < length && failure.is_none() {
            let Some(slot) = idle.pop() else { break };
            let size = (length - begun).min(BLOCK as u64) as u32;
            lengths[slot] = size;
            let memory = buffers[slot].as_mut_ptr();
            let read = opcode::Read::new(input, memory, size).offset(begun).build();
            let write = opcode::Write::new(output, memory, size).offset(begun).build();
            let pair = [
                read.user_data(slot as u64).flags(squeue::Flags::IO_LINK),
                write.user_data(slot as u64 | WRITE),
            ];
            // SAFETY: the buffer is never freed, and belongs to this pair until its write has
            // completed.
            unsafe { ring.submission().push_multiple(&pair) }.map_err(io::Error::other)?;
            begun += u64::from(size);
        }
        ring.submit_and_wait(1)?;
        for completion in ring.completion() {
            let slot = (completion.user_data() & !WRITE) as usize;
            match checked(completion.result()) {
                Ok(moved) if moved == lengths[slot] => {}
                Ok(moved) => {
                    failure = failure.or(Some(io::Error::other(format!("short: {moved} bytes"))));
                }
                // The write of a failed read is cancelled; the read's own error says more.
                Err(error) => failure = failure.or(Some(error)),
            }
            if completion.user_data() & WRITE != 0 {
                idle.push(slot);
            }
        }
    }
    failure.map_or(Ok(()), Err)
}
