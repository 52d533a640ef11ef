//! New threads and processes.
#![expect(unsafe_code, reason = "stands before libc's functions")]

use crate::window::{Inside, from_program};
use crate::{backend, process, raw, real, thread, trap};
use libc::{c_int, c_uint, c_ulong, c_void, pid_t};
use std::sync::atomic::Ordering::Relaxed;

/// What a new thread is to run.
struct Start {
    function: usize,
    arg: *mut c_void,
    /// The thread is the engine's own.
    engine: bool,
}

/// Takes the parcel of a new thread, and prepares the thread.
///
/// # Safety
/// `parcel` must come from `wrapped`, and be given once.
unsafe fn unwrap(parcel: *mut c_void) -> Start {
    let _inside = Inside::enter();
    // SAFETY: it was boxed for this thread.
    let start = unsafe { Box::from_raw(parcel.cast::<Start>()) };
    if start.engine {
        thread::current().engine.store(1, Relaxed);
    } else {
        let _ = trap::arm();
    }
    *start
}

unsafe extern "C-unwind" fn posix_thread(parcel: *mut c_void) -> *mut c_void {
    // SAFETY: the function that `pthread_create` was given, of its type.
    unsafe {
        let start = unwrap(parcel);
        let function = std::mem::transmute::<
            usize,
            unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void,
        >(start.function);
        function(start.arg)
    }
}

unsafe extern "C-unwind" fn c11_thread(parcel: *mut c_void) -> c_int {
    // SAFETY: the function that `thrd_create` was given, of its type.
    unsafe {
        let start = unwrap(parcel);
        let function = std::mem::transmute::<
            usize,
            unsafe extern "C-unwind" fn(*mut c_void) -> c_int,
        >(start.function);
        function(start.arg)
    }
}

/// Boxes what the thread is to run, if threads have to prepare themselves; `create` gets the
/// function and argument to start with.
fn wrapped(
    function: usize,
    arg: *mut c_void,
    ours: usize,
    create: impl FnOnce(usize, *mut c_void) -> c_int,
) -> c_int {
    let engine = thread::current().inside.load(Relaxed) != 0;
    if !engine && (!trap::threads_arm() || !from_program()) {
        return create(function, arg);
    }
    // What allocates is inside, but for the call itself: a handler would wait for its own thread.
    let parcel = {
        let _inside = Inside::enter();
        Box::into_raw(Box::new(Start { function, arg, engine }))
    };
    let result = create(ours, parcel.cast());
    if result != 0 {
        let _inside = Inside::enter();
        // SAFETY: no thread was started that would take it.
        drop(unsafe { Box::from_raw(parcel) });
    }
    result
}

/// `pthread_create`.
///
/// # Safety
/// As `pthread_create(3)`.
pub unsafe extern "C-unwind" fn pthread_create(
    thread: *mut c_ulong,
    attributes: *const c_void,
    start: usize,
    arg: *mut c_void,
) -> c_int {
    wrapped(start, arg, posix_thread as *const () as usize, |start, arg| {
        // SAFETY: the program's call.
        unsafe { real::pthread_create(thread, attributes, start, arg) }
    })
}

/// `thrd_create`.
///
/// # Safety
/// As `thrd_create(3)`.
pub unsafe extern "C-unwind" fn thrd_create(
    thread: *mut c_ulong,
    start: usize,
    arg: *mut c_void,
) -> c_int {
    wrapped(start, arg, c11_thread as *const () as usize, |start, arg| {
        // SAFETY: the program's call.
        unsafe { real::thrd_create(thread, start, arg) }
    })
}

/// `_Fork`, which runs no handlers of `pthread_atfork`.
///
/// # Safety
/// As `_Fork(3)`.
#[expect(non_snake_case, reason = "the name of a C function")]
pub unsafe extern "C-unwind" fn _Fork() -> pid_t {
    // SAFETY: the program's call.
    let child = unsafe { real::_Fork() };
    if child == 0 && from_program() {
        process::notice_fork();
    }
    child
}

/// How often a call is tried again, a millisecond apart, once the engine's threads are on their way out.
const TRIES: u32 = 200;
/// The same while they have yet to go, on a machine with no time for them.
const TRIES_MAX: u32 = 2000;

/// Makes a call that takes the calling thread out of what it shares with the others.
fn part(call: impl Fn() -> c_int) -> c_int {
    let result = alone(call);
    if result == 0 {
        let _inside = Inside::enter();
        backend::tell_parted();
    }
    result
}

/// Some such calls are refused with `EINVAL` to a process with several threads, and none of the
/// engine's shall be the reason.
fn alone(call: impl Fn() -> c_int) -> c_int {
    let mut result = call();
    let refused = |result| result < 0 && raw::errno() == libc::EINVAL;
    if !refused(result) || !from_program() || !backend::any_ring() {
        return result;
    }
    {
        let _inside = Inside::enter();
        backend::send_threads_away();
    }
    let (mut tries, mut in_vain) = (0, 0);
    loop {
        // Looked at first: what is refused to a process of one thread is not refused for ours.
        let hopeless = raw::threads() == Some(1) || in_vain == TRIES || tries == TRIES_MAX;
        result = call();
        if hopeless || !refused(result) {
            break;
        }
        let leave = {
            let _inside = Inside::enter();
            backend::threads_leave()
        };
        in_vain = if leave { 0 } else { in_vain + 1 };
        tries += 1;
        let pause = [0_u64, 1_000_000];
        raw::call(libc::SYS_nanosleep, [pause.as_ptr() as u64, 0, 0, 0, 0, 0]);
    }
    let errno = raw::errno();
    {
        let _inside = Inside::enter();
        backend::call_threads_back();
    }
    raw::set_errno(errno);
    result
}

/// `unshare`.
///
/// # Safety
/// As `unshare(2)`.
pub unsafe extern "C-unwind" fn unshare(flags: c_int) -> c_int {
    // SAFETY: the program's call.
    part(|| unsafe { real::unshare(flags) })
}

/// `setns`.
///
/// # Safety
/// As `setns(2)`.
pub unsafe extern "C-unwind" fn setns(fd: c_int, kind: c_int) -> c_int {
    // SAFETY: the program's call.
    part(|| unsafe { real::setns(fd, kind) })
}

/// Tells the engine of a call by which a thread gets a user or a group of its own; those for the file
/// system alone do not say whether they did anything.
fn own_ids(call: impl FnOnce() -> c_int) -> c_int {
    {
        let _inside = Inside::enter();
        backend::tell_own_ids();
    }
    call()
}

/// `setfsuid`.
///
/// # Safety
/// As `setfsuid(2)`.
pub unsafe extern "C-unwind" fn setfsuid(user: c_uint) -> c_int {
    // SAFETY: the program's call.
    own_ids(|| unsafe { real::setfsuid(user) })
}

/// `setfsgid`.
///
/// # Safety
/// As `setfsgid(2)`.
pub unsafe extern "C-unwind" fn setfsgid(group: c_uint) -> c_int {
    // SAFETY: the program's call.
    own_ids(|| unsafe { real::setfsgid(group) })
}

/// One of these calls through `syscall`; a negated errno is an error.
pub(super) fn by_number(number: i64, args: [u64; 6]) -> i64 {
    let call = || raw::libc_result(raw::call(number, args)) as c_int;
    i64::from(match number {
        libc::SYS_unshare | libc::SYS_setns => part(call),
        // By its number a call changes the calling thread alone.
        _ => own_ids(call),
    })
}
