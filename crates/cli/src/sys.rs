//! The system calls that the standard library has no name for.
#![expect(unsafe_code, reason = "execve and its kin have no safe form in the standard library")]

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What SIGPIPE was when the process began; the standard library ignores it before `main`.
static SIGPIPE_INHERITED: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

extern "C" fn remember_sigpipe() {
    // SAFETY: `action` is plain data that sigaction fills; a null new action changes nothing.
    let action = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action);
        action
    };
    SIGPIPE_INHERITED.store(action.sa_sigaction, Ordering::Relaxed);
}

// SAFETY: the linker runs the functions of this section before `main`, on the only thread; this
// one needs nothing that is initialized later.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER: extern "C" fn() = remember_sigpipe;

/// Replaces this process by `path` with `arguments`, adding `settings` to the environment.
///
/// Returns only if the kernel refuses, and then the reason.
pub(crate) fn become_program(
    path: &Path,
    arguments: &[OsString],
    settings: &[(&str, OsString)],
) -> io::Error {
    let environment = std::env::vars_os()
        .filter(|(name, _)| settings.iter().all(|(set, _)| OsStr::new(set) != name.as_os_str()))
        .chain(settings.iter().map(|(name, value)| (OsString::from(name), value.clone())))
        .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let Ok(environment) = environment.map(CString::new).collect::<Result<Vec<_>, _>>() else {
        return io::ErrorKind::InvalidInput.into();
    };
    let arguments = arguments.iter().map(|argument| CString::new(argument.as_bytes()));
    let Ok(arguments) = arguments.collect::<Result<Vec<_>, _>>() else {
        return io::ErrorKind::InvalidInput.into();
    };
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return io::ErrorKind::InvalidInput.into();
    };
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (&arguments, &environment);
    let (argv, envp) = (pointers(arguments), pointers(environment));
    // SAFETY: `path`, and the strings and the null-ended arrays behind both pointers, live until
    // execve returns; the disposition is one that the kernel gave for this very signal.
    unsafe {
        libc::signal(libc::SIGPIPE, SIGPIPE_INHERITED.load(Ordering::Relaxed));
        libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr());
    }
    io::Error::last_os_error()
}

/// Who this process is, as far as exec looks at it.
pub(crate) struct Identity {
    /// Real user id.
    pub(crate) uid: u32,
    /// Real group id.
    pub(crate) gid: u32,
    /// Whether exec can confer no privileges (`PR_SET_NO_NEW_PRIVS`).
    pub(crate) no_new_privileges: bool,
}

impl Identity {
    pub(crate) fn of_this_process() -> Identity {
        // SAFETY: these calls take no pointers.
        unsafe {
            Identity {
                uid: libc::getuid(),
                gid: libc::getgid(),
                no_new_privileges: libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
            }
        }
    }
}

/// Whether the kernel lets this process execute the file, by mode, mount and access list.
pub(crate) fn may_execute(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: `path` is a null-ended string that lives through the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 }
}

/// Whether the file carries capabilities.
pub(crate) fn has_file_capabilities(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: both strings are null-ended; a null buffer of length 0 only asks for the size.
    unsafe {
        libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) > 0
    }
}
