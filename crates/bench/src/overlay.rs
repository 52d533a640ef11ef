//! An overlayfs of this process's own: what a container's root file system usually is.

use crate::error::{Context, Result};
use crate::{site, sys};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Mounts one in a mount namespace of this process's own, which takes it away again at its end;
/// returns the path of the cached file in it.
///
/// # Errors
/// A reason to skip where neither this user nor a user namespace of its own may mount.
pub(crate) fn mount(site: &Path) -> Result<PathBuf> {
    if sys::unshare(UnshareFlags::NEWNS).is_err() {
        enter_user_namespace()?;
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).or_skip("a private mount namespace")?;
    let [lower, upper, work, merged] = site::overlay(site);
    let options = [
        b"lowerdir=".as_slice(),
        lower.as_os_str().as_bytes(),
        b",upperdir=",
        upper.as_os_str().as_bytes(),
        b",workdir=",
        work.as_os_str().as_bytes(),
    ]
    .concat();
    let options = CString::new(options).map_err(std::io::Error::from).or_skip("overlayfs")?;
    let flags = MountFlags::empty();
    rustix::mount::mount("overlay", &merged, "overlay", flags, Some(options.as_c_str()))
        .or_skip("mounting an overlayfs")?;
    let cached = site::cached(site);
    Ok(merged.join(cached.file_name().expect("the path of a file")))
}

/// Becomes root in namespaces of its own.
fn enter_user_namespace() -> Result<()> {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
    sys::unshare(flags).or_skip("a user and mount namespace")?;
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {} 1", uid.as_raw())),
        ("/proc/self/gid_map", format!("0 {} 1", gid.as_raw())),
    ];
    for (path, text) in maps {
        std::fs::write(path, text).or_skip(path)?;
    }
    Ok(())
}
