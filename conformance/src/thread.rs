//! What a thread may have to itself: its user, directory, descriptors and namespaces; and what the
//! threads are that others start in its process.
#![expect(unsafe_code, reason = "makes system calls that concern the calling thread alone")]

use crate::Skip;
use std::collections::BTreeSet;
use std::ffi::CStr;

const SAME: libc::c_long = -1;

/// Changes the calling thread's effective user, and no other thread's.
pub fn set_user(user: u32) {
    // SAFETY: touches no memory of ours.
    let got = unsafe { libc::syscall(libc::SYS_setresuid, SAME, libc::c_long::from(user), SAME) };
    assert_eq!(got, 0, "setresuid");
}

/// Changes the calling thread's user for the file system alone, by libc's function or through `syscall`.
pub fn set_file_user(user: u32, by_number: bool) {
    // SAFETY: neither touches memory of ours.
    unsafe {
        if by_number {
            libc::syscall(libc::SYS_setfsuid, libc::c_long::from(user));
        } else {
            libc::setfsuid(user);
        }
        // What it is now is told by a change to nothing.
        assert_eq!(libc::setfsuid(u32::MAX), user as i32, "setfsuid");
    }
}

/// Stops sharing with the other threads what `flags` name, those of `clone`.
///
/// # Errors
/// [`Skip`] where this is not allowed.
pub fn unshare(flags: i32) -> Result<(), Skip> {
    // SAFETY: touches no memory of ours.
    match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(Skip(format!("unshare: {}", std::io::Error::last_os_error()))),
    }
}

/// Mounts an empty file system in memory over a directory, for the calling thread's namespace alone.
///
/// # Errors
/// [`Skip`] where this is not allowed.
pub fn mount_memory(directory: &CStr) -> Result<(), Skip> {
    let (root, none) = (c"/".as_ptr(), std::ptr::null());
    let (kind, private) = (c"tmpfs".as_ptr(), libc::MS_REC | libc::MS_PRIVATE);
    // SAFETY: the texts are C strings, and the data is none.
    let got = unsafe {
        match libc::mount(std::ptr::null(), root, none, private, std::ptr::null()) {
            0 => libc::mount(kind, directory.as_ptr(), kind, 0, std::ptr::null()),
            failed => failed,
        }
    };
    match got {
        0 => Ok(()),
        _ => Err(Skip(format!("mount: {}", std::io::Error::last_os_error()))),
    }
}

/// The threads of this process.
pub fn threads() -> BTreeSet<u32> {
    let names = std::fs::read_dir("/proc/self/task").expect("/proc").flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The processors that a thread may run on, as /proc lists them; none if it has ended.
pub fn processors(thread: u32) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(line.trim().to_owned())
}
