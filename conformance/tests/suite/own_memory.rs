//! `IORING_SETUP_NO_MMAP`: what becomes of a ring whose memory the program takes away.
//!
//! The kernel holds the pages of such memory for as long as the ring is there.

use crate::prelude::*;
use std::fs::File;
use std::sync::atomic::Ordering::Acquire;

/// Setup flags to try it with.
const FLAGS: [u32; 3] =
    [0, IORING_SETUP_SQPOLL, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN];

/// The rings lie at the beginning, the entries in the second page.
const LEN: usize = 8192;

/// A ring in `memory` that waits to read from a pipe: its descriptor, and the pipe.
fn waits_to_read(
    t: &dyn Target,
    flags: u32,
    memory: &Mapping,
    buf: &mut [u8; 4],
) -> std::result::Result<(i32, [File; 2]), Skip> {
    let flags = flags | IORING_SETUP_NO_MMAP | IORING_SETUP_NO_SQARRAY;
    let mut params = Params { flags, ..Params::default() };
    params.cq_off.user_addr = memory.at(0);
    params.sq_off.user_addr = memory.at(4096);
    let ring = t.needs("NO_MMAP", t.setup(4, &raw mut params as u64))?;
    let (reader, writer) = sys::pipe();
    memory.write(4096, sqe::read_stream(fd(&reader), buf).data(7));
    memory.write(params.sq_off.tail as usize, 1_u32);
    assert_eq!(t.enter(ring, 1, 0, IORING_ENTER_SQ_WAKEUP, 0, 0), Ok(1));
    eventually("the entry is taken", || memory.word(params.sq_off.head).load(Acquire) == 1);
    Ok((ring, [reader, writer]))
}

/// The ring still reads, is entered without harm, and ends.
fn goes_on(t: &dyn Target, flags: u32, ring: i32, [reader, writer]: [File; 2]) {
    (&writer).write_all(b"abcd").expect("write");
    t.after_call();
    eventually("it is read", || {
        t.enter(ring, 0, 0, IORING_ENTER_GETEVENTS, 0, 0).expect("enter");
        !sys::readable(fd(&reader))
    });
    let taken = u32::from(flags & IORING_SETUP_SQPOLL != 0);
    assert_eq!(t.enter(ring, 1, 0, IORING_ENTER_SQ_WAKEUP, 0, 0), Ok(taken), "nothing is queued");
    t.close(ring).expect("close");
}

// Private memory that is unmapped: what was started is done, and the ring can be entered and closed.
ring_test!(unmapped, |t| {
    t.ring(1)?;
    for flags in FLAGS {
        let (memory, mut buf) = (Mapping::anonymous(LEN), [0; 4]);
        let (ring, pipe) = waits_to_read(t, flags, &memory, &mut buf)?;
        memory.leave();
        goes_on(t, flags, ring, pipe);
        assert_eq!(&buf, b"abcd", "flags {flags:#x}");
    }
    assert_eq!(t.ring(4)?.run_one(sqe::nop()), 0);
});

// The same of memory that may no longer be touched.
ring_test!(protected, |t| {
    t.ring(1)?;
    for flags in FLAGS {
        let (memory, mut buf) = (Mapping::anonymous(LEN), [0; 4]);
        let (ring, pipe) = waits_to_read(t, flags, &memory, &mut buf)?;
        memory.protect(libc::PROT_NONE);
        goes_on(t, flags, ring, pipe);
        assert_eq!(&buf, b"abcd", "flags {flags:#x}");
    }
});

// The same of shared memory whose file becomes shorter.
ring_test!(made_shorter, |t| {
    t.ring(1)?;
    for flags in FLAGS {
        let file = sys::memory_file();
        file.set_len(LEN as u64).expect("a length");
        let (memory, mut buf) = (Mapping::of_file(fd(&file), LEN).expect("mmap"), [0; 4]);
        let (ring, pipe) = waits_to_read(t, flags, &memory, &mut buf)?;
        file.set_len(0).expect("truncate");
        goes_on(t, flags, ring, pipe);
        assert_eq!(&buf, b"abcd", "flags {flags:#x}");
    }
});
