//! Error numbers.

use core::fmt;

/// What an operation of the engine yields: a value, or the errno that the kernel would give.
pub type Result<T> = core::result::Result<T, Errno>;

/// An error number of Linux, 1 to 4095; numbers without a name here are as good as the others.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(i32);

/// Declares the errors the engine itself gives.
macro_rules! errnos {
    ($($name:ident = $value:literal $text:literal,)*) => {
        impl Errno {
            $(
                #[doc = $text]
                pub const $name: Errno = Errno($value);
            )*

            /// The symbol, such as `EINVAL`, if it is one of those named here.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

errnos! {
    EPERM = 1 "Operation not permitted.",
    ENOENT = 2 "No such file or directory.",
    EINTR = 4 "Interrupted by a signal.",
    EIO = 5 "Input or output error.",
    ENXIO = 6 "No such device or address.",
    EBADF = 9 "Bad file descriptor.",
    ECHILD = 10 "No child processes.",
    EAGAIN = 11 "Try again.",
    ENOMEM = 12 "Out of memory.",
    EACCES = 13 "Permission denied.",
    EFAULT = 14 "Bad address.",
    EBUSY = 16 "Device or resource busy.",
    EEXIST = 17 "It exists already.",
    ENODEV = 19 "No such device.",
    ENOTDIR = 20 "Not a directory.",
    EISDIR = 21 "Is a directory.",
    EINVAL = 22 "Invalid argument.",
    ENFILE = 23 "Too many open files in the system, or a full table of registered files.",
    EMFILE = 24 "Too many open files.",
    EFBIG = 27 "File too large.",
    ENOSPC = 28 "No space left on device.",
    ESPIPE = 29 "Illegal seek.",
    EROFS = 30 "Read-only file system.",
    EPIPE = 32 "Broken pipe.",
    ENOSYS = 38 "The kernel has no such system call.",
    EBADR = 53 "Completions were lost for want of memory.",
    ENODATA = 61 "No data available.",
    ETIME = 62 "A timer expired.",
    EOVERFLOW = 75 "Value too large.",
    EBADFD = 77 "File descriptor in a bad state.",
    ENOTSOCK = 88 "Not a socket.",
    EMSGSIZE = 90 "Message too long.",
    EPROTOTYPE = 91 "Wrong type of protocol for the socket.",
    EOPNOTSUPP = 95 "Operation not supported.",
    ECONNABORTED = 103 "Connection aborted.",
    ECONNRESET = 104 "Connection reset by peer.",
    ENOBUFS = 105 "No buffer space.",
    EISCONN = 106 "Already connected.",
    ENOTCONN = 107 "Not connected.",
    ETIMEDOUT = 110 "Timed out.",
    EALREADY = 114 "Already in progress.",
    EINPROGRESS = 115 "In progress.",
    ECANCELED = 125 "Cancelled.",
    EOWNERDEAD = 130 "The owner died.",
}

impl Errno {
    /// The errno of a raw number; anything outside 1 to 4095 becomes `EIO`.
    pub const fn from_raw(number: i32) -> Errno {
        if number >= 1 && number <= 4095 { Errno(number) } else { Errno::EIO }
    }

    /// The number, 1 to 4095.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// What a system call returns for it: the number negated.
    pub const fn as_result(self) -> i32 {
        -self.0
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for Errno {}
