//! Finds out why a host refuses io_uring or Linux AIO, and what to do about it.
//!
//! The errors say little: EPERM may be a sysctl, a seccomp filter or a security module; ENOSYS a
//! kernel without io_uring or a filter that plays one; ENOMEM a limit on locked memory. So the
//! system calls are made in children, which a filter may kill, and what they say is weighed
//! against what the kernel tells of itself under /proc.
//!
//! It changes nothing on the host, and says nothing about what ringfence does there.
//!
//! ```
//! let host = ringfence_doctor::examine();
//! if let Some(remedy) = host.io_uring.remedy() {
//!     println!("io_uring: {}; {remedy}", host.io_uring);
//! }
//! ```

mod aio;
mod errno;
mod facts;
mod io_uring;
mod probe;

pub use aio::LinuxAio;
pub use errno::name as errno_name;
pub use facts::Facts;
pub use io_uring::IoUring;
pub use probe::Answer;

/// What a host grants to this process.
#[derive(Debug)]
pub struct Host {
    /// Whether io_uring can be had, and which gate is shut if not.
    pub io_uring: IoUring,
    /// The same for Linux AIO.
    pub linux_aio: LinuxAio,
    /// What the kernel tells of itself.
    pub facts: Facts,
}

/// Examines this host, as this process sees it. Takes a few milliseconds and five children.
pub fn examine() -> Host {
    let facts = Facts::read();
    let io_uring = io_uring::judge(&io_uring::ask(), &facts);
    let linux_aio = aio::judge(aio::ask(), &facts);
    Host { io_uring, linux_aio, facts }
}
