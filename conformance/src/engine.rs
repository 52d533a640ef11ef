//! Our engine, called in this process, with what an interceptor does around it. Its locks are
//! validated: what the validator reports fails the test, see [`crate::locking`].

use crate::target::map_shared;
use crate::{Native, Target};
use ringfence_abi::Result;
use ringfence_checked::{Checked, inside};
use ringfence_host::Os;
use ringfence_uring::{Engine, LOCK_CLASSES};
use std::sync::LazyLock;

/// Our engine. The process has one; a body has a process of its own.
pub struct InProcess;

static ENGINE: LazyLock<Engine<Checked<Os>>> = LazyLock::new(|| {
    let engine = Engine::new(Checked::new(Os, LOCK_CLASSES));
    // No interceptor is there to see a thread leave what it shares.
    engine.tell_parted();
    engine.tell_own_ids();
    ringfence_host::interrupt::own();
    ringfence_host::fault::own();
    engine
});

impl InProcess {
    /// Rings that are alive, after those that the program let go of were taken down.
    pub fn rings() -> usize {
        let _inside = inside();
        ENGINE.reap();
        ENGINE.stats().rings
    }

    /// Descriptors that are the engine's own.
    pub fn private_fds() -> Vec<u32> {
        let _inside = inside();
        ENGINE.private_fds()
    }
}

impl Target for InProcess {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn setup(&self, entries: u32, params: u64) -> Result<i32> {
        let _inside = inside();
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
        let _inside = inside();
        ENGINE.enter(fd, to_submit, min_complete, flags, arg, argsz)
    }

    fn register(&self, fd: i32, opcode: u32, arg: u64, nr_args: u32) -> Result<u32> {
        let _inside = inside();
        ENGINE.register(fd, opcode, arg, nr_args)
    }

    fn mmap(&self, fd: i32, len: usize, offset: u64) -> Result<u64> {
        let inside = inside();
        let offset = ENGINE.map_offset(fd, offset)?;
        drop(inside);
        map_shared(fd, len, offset)
    }

    fn close(&self, fd: i32) -> Result<()> {
        let inside = inside();
        ENGINE.before_close(fd as u32, fd as u32);
        drop(inside);
        Native.close(fd)?;
        self.after_call();
        Ok(())
    }

    fn after_call(&self) {
        let _inside = inside();
        ENGINE.after_call();
    }

    fn dup(&self, fd: i32) -> Result<i32> {
        let new = Native.dup(fd)?;
        let _inside = inside();
        ENGINE.after_dup(fd, new);
        Ok(new)
    }

    fn aio(&self, number: i64, args: [u64; 6]) -> Result<u64> {
        let _inside = inside();
        crate::aio::on_engine(&ENGINE, number, args)
    }

    fn poll(&self, fd: i32, events: i16, timeout_ms: i32) -> Result<i16> {
        let inside = inside();
        let Some(stand_in) = ENGINE.poll_fd(fd) else {
            return Native.poll(fd, events, timeout_ms);
        };
        ENGINE.attend(fd);
        let events = ENGINE.pollable(fd, events);
        drop(inside);
        Native.poll(stand_in, events, timeout_ms)
    }
}
