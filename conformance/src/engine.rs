//! Our engine, called in this process, with what an interceptor does around it.

use crate::aio::SYS_IO_PGETEVENTS;
use crate::target::map_shared;
use crate::{Native, Target};
use ringfence_abi::{Errno, IORING_OFF_CQ_RING, IORING_OFF_SQ_RING, Result};
use ringfence_host::Os;
use ringfence_uring::{Engine, Recent};
use std::sync::LazyLock;

/// Our engine. The process has one; a body has a process of its own.
pub struct InProcess;

static ENGINE: LazyLock<Engine<Os>> = LazyLock::new(|| Engine::new(Os));

impl Target for InProcess {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn setup(&self, entries: u32, params: u64) -> Result<i32> {
        ENGINE.setup(entries, params)
    }

    fn enter(
        &self,
        fd: i32,
        to_submit: u32,
        min_complete: u32,
        flags: u32,
        arg: u64,
        argsz: u64,
    ) -> Result<u32> {
        ENGINE.enter(fd, to_submit, min_complete, flags, arg, argsz)
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, nr_args: u32) -> Result<u32> {
        ENGINE.register(fd, opcode, arg, nr_args)
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> Result<u64> {
        let is_cq = offset == IORING_OFF_CQ_RING && ENGINE.ring(fd).is_some();
        map_shared(fd, len, if is_cq { IORING_OFF_SQ_RING } else { offset })
    }

    fn close(&self, fd: i32) -> Result<()> {
        ENGINE.before_close(fd as u32, fd as u32);
        Native.close(fd)
    }

    fn dup(&self, fd: i32) -> Result<i32> {
        let new = Native.dup(fd)?;
        ENGINE.after_dup(fd, new);
        Ok(new)
    }

    fn aio(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        let [id, a, b, c, d, e] = args;
        let (aio, recent) = (ENGINE.aio(), &mut Recent::default());
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

    fn poll(&self, fd: i32, events: i16, timeout_ms: i32) -> Result<i16> {
        let Some(stand_in) = ENGINE.poll_fd(fd) else {
            return Native.poll(fd, events, timeout_ms);
        };
        ENGINE.attend(fd);
        Native.poll(stand_in, events, timeout_ms)
    }
}
