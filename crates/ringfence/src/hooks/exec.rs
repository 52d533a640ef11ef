//! Programs executed by this one get the preload too, whatever environment it gives them.
#![expect(unsafe_code, reason = "stands before libc's functions; builds an environment")]

use crate::{init, real};
use libc::{c_char, c_int, c_void, pid_t};
use std::ffi::CStr;
use std::mem::MaybeUninit;

const NAME: &[u8] = b"LD_PRELOAD=";

/// An environment of more variables is passed on as it is: a child of vfork has only its parent's
/// stack to build one on.
const VARIABLES_MAX: usize = 2048;
/// So is one whose `LD_PRELOAD` is longer, bytes.
const LINE_MAX: usize = 4096;

/// Room for a changed environment, on the stack.
struct Changed {
    line: [u8; LINE_MAX],
    pointers: [MaybeUninit<*const c_char>; VARIABLES_MAX + 2],
}

/// Calls `then` with the environment, in which `LD_PRELOAD` names our library; with the given one
/// if it does so already, or if children are to be left alone.
///
/// # Safety
/// `env` must be null or an environment.
unsafe fn with_preload(
    env: *const *const c_char,
    then: impl FnOnce(*const *const c_char) -> c_int,
) -> c_int {
    let Some(library) = init::library_path() else { return then(env) };
    let mut count = 0;
    let mut found = None;
    if !env.is_null() {
        // SAFETY: the caller's promise: C strings up to a null.
        unsafe {
            while !(*env.add(count)).is_null() {
                if CStr::from_ptr(*env.add(count)).to_bytes().starts_with(NAME) {
                    found = Some(count);
                }
                count += 1;
            }
        }
    }
    let present = match found {
        // SAFETY: as above.
        Some(index) => unsafe { &CStr::from_ptr(*env.add(index)).to_bytes()[NAME.len()..] },
        None => &[],
    };
    let named = present.split(|&byte| byte == b':' || byte == b' ').any(|path| path == library);
    let len = NAME.len() + present.len() + 1 + library.len() + 1;
    if named || count > VARIABLES_MAX || len > LINE_MAX {
        return then(env);
    }
    // SAFETY: as above, with the counts checked.
    unsafe { build(env, count, found, present, library, then) }
}

/// # Safety
/// As `with_preload`; `count` variables, and what is put together has been measured.
#[inline(never)]
unsafe fn build(
    env: *const *const c_char,
    count: usize,
    found: Option<usize>,
    present: &[u8],
    library: &[u8],
    then: impl FnOnce(*const *const c_char) -> c_int,
) -> c_int {
    let mut changed =
        Changed { line: [0; LINE_MAX], pointers: [MaybeUninit::uninit(); VARIABLES_MAX + 2] };
    // Ours comes last, since a sanitizer's runtime has to be first.
    let separator: &[u8] = if present.is_empty() { b"" } else { b":" };
    let mut end = 0;
    for part in [NAME, present, separator, library] {
        changed.line[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    for index in 0..count {
        // SAFETY: the environment has `count` variables.
        changed.pointers[index].write(unsafe { *env.add(index) });
    }
    let line = changed.line.as_ptr().cast::<c_char>();
    changed.pointers[found.unwrap_or(count)].write(line);
    let after = if found.is_some() { count } else { count + 1 };
    changed.pointers[after].write(std::ptr::null());
    then(changed.pointers.as_ptr().cast())
}

/// `execve`.
///
/// # Safety
/// As `execve(2)`.
pub unsafe extern "C-unwind" fn execve(
    path: *const c_char,
    args: *const *const c_char,
    env: *const *const c_char,
) -> c_int {
    // SAFETY: the program's call, with its environment or a copy.
    unsafe { with_preload(env, |env| real::execve(path, args, env)) }
}

unsafe extern "C" {
    /// The program's environment, which it may have emptied.
    static environ: *const *const c_char;
}

/// `execv`.
///
/// # Safety
/// As `execv(3)`.
pub unsafe extern "C-unwind" fn execv(path: *const c_char, args: *const *const c_char) -> c_int {
    // SAFETY: the same call, with the environment that it takes.
    unsafe { execve(path, args, environ) }
}

/// `execvp`.
///
/// # Safety
/// As `execvp(3)`.
pub unsafe extern "C-unwind" fn execvp(path: *const c_char, args: *const *const c_char) -> c_int {
    // SAFETY: as above.
    unsafe { execvpe(path, args, environ) }
}

/// `execvpe`.
///
/// # Safety
/// As `execvpe(3)`.
pub unsafe extern "C-unwind" fn execvpe(
    path: *const c_char,
    args: *const *const c_char,
    env: *const *const c_char,
) -> c_int {
    // SAFETY: as above.
    unsafe { with_preload(env, |env| real::execvpe(path, args, env)) }
}

/// `fexecve`.
///
/// # Safety
/// As `fexecve(3)`.
pub unsafe extern "C-unwind" fn fexecve(
    fd: c_int,
    args: *const *const c_char,
    env: *const *const c_char,
) -> c_int {
    // SAFETY: as above.
    unsafe { with_preload(env, |env| real::fexecve(fd, args, env)) }
}

/// `execveat`.
///
/// # Safety
/// As `execveat(2)`.
pub unsafe extern "C-unwind" fn execveat(
    dir: c_int,
    path: *const c_char,
    args: *const *const c_char,
    env: *const *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: as above.
    unsafe { with_preload(env, |env| real::execveat(dir, path, args, env, flags)) }
}

/// `posix_spawn`.
///
/// # Safety
/// As `posix_spawn(3)`.
pub unsafe extern "C-unwind" fn posix_spawn(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    args: *const *const c_char,
    env: *const *const c_char,
) -> c_int {
    // SAFETY: as above.
    unsafe { with_preload(env, |env| real::posix_spawn(pid, path, actions, attributes, args, env)) }
}

/// `posix_spawnp`.
///
/// # Safety
/// As `posix_spawnp(3)`.
pub unsafe extern "C-unwind" fn posix_spawnp(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    args: *const *const c_char,
    env: *const *const c_char,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        with_preload(env, |env| real::posix_spawnp(pid, path, actions, attributes, args, env))
    }
}
