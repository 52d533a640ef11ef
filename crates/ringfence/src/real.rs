//! The functions that ours stand before: the next ones in the loader's search order.
#![expect(unsafe_code, reason = "looks functions up by name and calls them")]
#![expect(non_snake_case, reason = "names of C functions")]

use libc::{
    c_char, c_int, c_uint, c_ulong, c_void, nfds_t, off_t, pid_t, size_t, timespec, timeval,
};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a function that does not exist here returns, with `errno` set to `ENOSYS`.
trait Missing {
    fn missing() -> Self;
}

impl Missing for c_int {
    fn missing() -> c_int {
        -1
    }
}

impl Missing for libc::ssize_t {
    fn missing() -> libc::ssize_t {
        -1
    }
}

impl<T> Missing for *mut T {
    fn missing() -> *mut T {
        std::ptr::null_mut()
    }
}

/// Not looked up yet.
const UNKNOWN: usize = 0;
/// Looked up, and not there.
const ABSENT: usize = 1;

/// The address of the next function called `name`.
pub(crate) fn next(name: &CStr) -> Option<usize> {
    // SAFETY: a lookup by a C string.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) } as usize;
    (found != 0).then_some(found)
}

fn look_up(cache: &AtomicUsize, name: &CStr) -> usize {
    let found = next(name).unwrap_or(ABSENT);
    cache.store(found, Relaxed);
    found
}

/// A name as a C string.
const fn c_name(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a function's name holds no zero"),
    }
}

macro_rules! functions {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $result:ty;)*) => {
        /// The addresses that were found.
        mod found {
            $(
                #[expect(non_upper_case_globals, reason = "named for the function")]
                pub(super) static $name: super::AtomicUsize =
                    super::AtomicUsize::new(super::UNKNOWN);
            )*
        }

        $(
            /// # Safety
            /// As the function of this name.
            pub(crate) unsafe fn $name($($arg: $kind),*) -> $result {
                let address = match found::$name.load(Relaxed) {
                    UNKNOWN => {
                        look_up(&found::$name, const { c_name(concat!(stringify!($name), "\0")) })
                    }
                    known => known,
                };
                if address == ABSENT {
                    crate::raw::set_errno(libc::ENOSYS);
                    return <$result as Missing>::missing();
                }
                // SAFETY: the function of this name has this type, in every libc of Linux.
                unsafe {
                    let function = std::mem::transmute::<
                        usize,
                        unsafe extern "C-unwind" fn($($kind),*) -> $result,
                    >(address);
                    function($($arg),*)
                }
            }
        )*

        /// Looks all of them up, so that none is looked up later, where the loader may not be
        /// called.
        pub(crate) fn resolve() {
            $(look_up(&found::$name, const { c_name(concat!(stringify!($name), "\0")) });)*
        }
    };
}

functions! {
    close(fd: c_int) -> c_int;
    fclose(stream: *mut libc::FILE) -> c_int;
    pclose(stream: *mut libc::FILE) -> c_int;
    freopen(path: *const c_char, mode: *const c_char, stream: *mut libc::FILE) -> *mut libc::FILE;
    freopen64(path: *const c_char, mode: *const c_char, stream: *mut libc::FILE) -> *mut libc::FILE;
    closedir(stream: *mut libc::DIR) -> c_int;
    write(fd: c_int, from: *const c_void, len: size_t) -> libc::ssize_t;
    writev(fd: c_int, parts: *const libc::iovec, count: c_int) -> libc::ssize_t;
    eventfd_write(fd: c_int, value: u64) -> c_int;
    send(fd: c_int, from: *const c_void, len: size_t, flags: c_int) -> libc::ssize_t;
    sendto(fd: c_int, from: *const c_void, len: size_t, flags: c_int, to: *const libc::sockaddr, to_len: libc::socklen_t) -> libc::ssize_t;
    shutdown(fd: c_int, how: c_int) -> c_int;
    sendmsg(fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t;
    sendmmsg(fd: c_int, messages: *mut libc::mmsghdr, count: c_uint, flags: c_int) -> c_int;
    dup(fd: c_int) -> c_int;
    dup2(old: c_int, new: c_int) -> c_int;
    dup3(old: c_int, new: c_int, flags: c_int) -> c_int;
    fcntl(fd: c_int, command: c_int, arg: usize) -> c_int;
    fcntl64(fd: c_int, command: c_int, arg: usize) -> c_int;
    mmap(at: *mut c_void, len: size_t, prot: c_int, flags: c_int, fd: c_int, offset: off_t) -> *mut c_void;
    epoll_ctl(epfd: c_int, op: c_int, fd: c_int, event: *mut libc::epoll_event) -> c_int;
    epoll_wait(epfd: c_int, events: *mut libc::epoll_event, room: c_int, timeout: c_int) -> c_int;
    epoll_pwait(epfd: c_int, events: *mut libc::epoll_event, room: c_int, timeout: c_int, mask: *const libc::sigset_t) -> c_int;
    epoll_pwait2(epfd: c_int, events: *mut libc::epoll_event, room: c_int, timeout: *const timespec, mask: *const libc::sigset_t) -> c_int;
    poll(fds: *mut libc::pollfd, count: nfds_t, timeout: c_int) -> c_int;
    ppoll(fds: *mut libc::pollfd, count: nfds_t, timeout: *const timespec, mask: *const libc::sigset_t) -> c_int;
    select(count: c_int, read: *mut libc::fd_set, write: *mut libc::fd_set, except: *mut libc::fd_set, timeout: *mut timeval) -> c_int;
    pselect(count: c_int, read: *mut libc::fd_set, write: *mut libc::fd_set, except: *mut libc::fd_set, timeout: *const timespec, mask: *const libc::sigset_t) -> c_int;
    sigsuspend(mask: *const libc::sigset_t) -> c_int;
    sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
    sigprocmask(how: c_int, set: *const libc::sigset_t, old: *mut libc::sigset_t) -> c_int;
    pthread_create(thread: *mut c_ulong, attributes: *const c_void, start: usize, arg: *mut c_void) -> c_int;
    unshare(flags: c_int) -> c_int;
    setns(fd: c_int, kind: c_int) -> c_int;
    setfsuid(user: c_uint) -> c_int;
    setfsgid(group: c_uint) -> c_int;
    thrd_create(thread: *mut c_ulong, start: usize, arg: *mut c_void) -> c_int;
    _Fork() -> pid_t;
    execve(path: *const c_char, args: *const *const c_char, env: *const *const c_char) -> c_int;
    execvpe(path: *const c_char, args: *const *const c_char, env: *const *const c_char) -> c_int;
    fexecve(fd: c_int, args: *const *const c_char, env: *const *const c_char) -> c_int;
    execveat(dir: c_int, path: *const c_char, args: *const *const c_char, env: *const *const c_char, flags: c_int) -> c_int;
    posix_spawn(pid: *mut pid_t, path: *const c_char, actions: *const c_void, attributes: *const c_void, args: *const *const c_char, env: *const *const c_char) -> c_int;
    posix_spawnp(pid: *mut pid_t, path: *const c_char, actions: *const c_void, attributes: *const c_void, args: *const *const c_char, env: *const *const c_char) -> c_int;
    dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    dlmopen(space: isize, path: *const c_char, flags: c_int) -> *mut c_void;
}
