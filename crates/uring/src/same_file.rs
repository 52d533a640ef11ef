//! Whether two descriptors name one open file, which is what a cancel by file means.

use ringfence_abi::{Errno, Result};
use ringfence_host::{Host, calls};

/// `KCMP_FILE`: compares open files.
const KCMP_FILE: u64 = 0;

/// An open file that others are compared with; each descriptor is asked about once.
pub(crate) struct SameFile<'a, H: Host> {
    host: &'a H,
    fd: i32,
    asked: Vec<(i32, bool)>,
}

impl<'a, H: Host> SameFile<'a, H> {
    /// The open file that `fd` names.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn new(host: &'a H, fd: i32) -> Result<Self> {
        flags(host, fd)?;
        Ok(SameFile { host, fd, asked: Vec::new() })
    }

    /// Whether `fd` names it too.
    pub(crate) fn is(&mut self, fd: i32) -> bool {
        if fd == self.fd {
            return true;
        }
        if let Some((_, same)) = self.asked.iter().find(|(asked, _)| *asked == fd) {
            return *same;
        }
        let same = same(self.host, self.fd, fd);
        // Requests for one file often stand together; a long memory would cost more than a call.
        if self.asked.len() < 16 {
            self.asked.push((fd, same));
        }
        same
    }
}

fn flags<H: Host>(host: &H, fd: i32) -> Result<u64> {
    host.syscall(libc::SYS_fcntl, [fd as u64, libc::F_GETFL as u64, 0, 0, 0, 0])
}

/// Compares two open files; where kcmp is refused, by what is known of them: two opens of one
/// file in the same mode are then taken for one.
pub(crate) fn same<H: Host>(host: &H, a: i32, b: i32) -> bool {
    let pid = host.syscall(libc::SYS_getpid, [0; 6]).unwrap_or(0);
    match host.syscall(libc::SYS_kcmp, [pid, pid, KCMP_FILE, a as u64, b as u64, 0]) {
        Ok(order) => order == 0,
        Err(Errno::EBADF) => false,
        Err(_) => {
            let known = |fd| Ok::<_, Errno>((place(host, fd)?, flags(host, fd)?));
            matches!((known(a), known(b)), (Ok(a), Ok(b)) if a == b)
        }
    }
}

/// Device and inode, the first two words of `struct stat`.
fn place<H: Host>(host: &H, fd: i32) -> Result<[u64; 2]> {
    let mut stat = [0u64; 18];
    let at = calls::addr_mut(&mut stat);
    host.syscall(libc::SYS_fstat, [fd as u64, at, 0, 0, 0, 0])?;
    Ok([stat[0], stat[1]])
}
