//! What bodies need of the system besides io_uring: descriptors, signals, threads, clocks.
#![expect(unsafe_code, reason = "makes system calls")]

use ringfence_abi::Errno;
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

/// A duration in milliseconds, for short.
pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The raw descriptor, for short.
pub fn fd(of: &impl AsRawFd) -> RawFd {
    of.as_raw_fd()
}

fn owned(fd: i32) -> OwnedFd {
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a fresh descriptor that nothing else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Takes over a descriptor that an operation returned.
pub fn adopt(fd: i32) -> OwnedFd {
    assert!(fd >= 0, "the operation gave {:?} in place of a descriptor", Errno::from_raw(-fd));
    owned(fd)
}

/// Gives a descriptor up, to be closed by number.
pub fn release(fd: impl Into<OwnedFd>) -> RawFd {
    fd.into().into_raw_fd()
}

/// A pipe: reader, writer.
pub fn pipe() -> (File, File) {
    let (reader, writer) = std::io::pipe().expect("pipe");
    (OwnedFd::from(reader).into(), OwnedFd::from(writer).into())
}

/// A pair of connected stream sockets.
pub fn stream_pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("socketpair")
}

/// A pair of connected datagram sockets.
pub fn datagram_pair() -> (UnixDatagram, UnixDatagram) {
    UnixDatagram::pair().expect("socketpair")
}

/// A listener on a free port of the loopback.
pub fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("listen on loopback")
}

/// A connected pair of TCP sockets.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = listener();
    let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let (server, _) = listener.accept().expect("accept");
    (client, server)
}

/// The address of a listener as `sockaddr_in` bytes.
pub fn address_of(listener: &TcpListener) -> [u8; 16] {
    let std::net::SocketAddr::V4(v4) = listener.local_addr().expect("address") else {
        panic!("not an address of IPv4");
    };
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[2..4].copy_from_slice(&v4.port().to_be_bytes());
    bytes[4..8].copy_from_slice(&v4.ip().octets());
    bytes
}

/// An event counter, blocking, at 0.
pub fn eventfd() -> File {
    // SAFETY: touches no memory of ours.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) }).into()
}

/// The count of an eventfd, which is reset; 0 if there was none.
pub fn eventfd_take(file: &File) -> u64 {
    if !readable(fd(file)) {
        return 0;
    }
    let mut count = [0; 8];
    assert_eq!(std::io::Read::read(&mut &*file, &mut count).expect("read an eventfd"), 8);
    u64::from_ne_bytes(count)
}

/// Adds to an eventfd.
pub fn eventfd_add(file: &File, count: u64) {
    (&*file).write_all(&count.to_ne_bytes()).expect("write to an eventfd");
}

/// Whether a plain descriptor is readable now.
pub fn readable(fd: RawFd) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, valid for the call.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

/// An unnamed file with this content.
pub fn file_with(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("temporary file");
    file.write_all(content).expect("write a temporary file");
    file
}

/// Block `index`, 4 KiB, of a [`cold_file`] of this seed.
pub fn cold_block(seed: u8, index: usize) -> [u8; 4096] {
    [seed.wrapping_add(index as u8); 4096]
}

/// An unnamed file of so many blocks, none of them in memory, as far as that can be had, and none
/// to be read ahead.
pub fn cold_file(seed: u8, blocks: usize) -> File {
    let content: Vec<u8> = (0..blocks).flat_map(|index| cold_block(seed, index)).collect();
    let file = file_with(&content);
    file.sync_all().expect("sync");
    for advice in [libc::POSIX_FADV_DONTNEED, libc::POSIX_FADV_RANDOM] {
        // SAFETY: advice on a descriptor touches no memory of ours.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, advice) };
    }
    file
}

/// Whether a file is on a block device.
pub fn has_disk(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    libc::major(file.metadata().expect("fstat").dev()) != 0
}

/// Whether this machine runs this release of Linux or a newer one.
pub fn kernel_is_since(major: u32, minor: u32) -> bool {
    crate::target::kernel_release() >= (major, minor)
}

/// An unnamed file of the memory file system.
pub fn memory_file() -> File {
    // SAFETY: the name is a C string for the call.
    owned(unsafe { libc::memfd_create(c"conformance".as_ptr(), libc::MFD_CLOEXEC) }).into()
}

/// A directory that is removed when dropped.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("temporary directory")
}

/// A path for an entry.
pub fn c_path(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_encoded_bytes()).expect("a path without NUL")
}

/// Sets or clears `O_NONBLOCK`.
pub fn set_nonblocking(fd: RawFd, on: bool) {
    // SAFETY: touches no memory of ours.
    let old = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    let new = if on { old | libc::O_NONBLOCK } else { old & !libc::O_NONBLOCK };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFL, new) }, 0);
}

/// Ignores a signal from now on.
pub fn ignore_signal(signal: i32) {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Writes what there is room for, whatever becomes of it.
pub fn write_now(fd: RawFd, bytes: &[u8]) {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd, valid for the call.
    let has_room = unsafe { libc::poll(&raw mut poll, 1, 0) == 1 };
    if has_room {
        // SAFETY: the slice is valid for the call.
        unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    }
}

/// Closes a number that may be open or not, whoever has it.
pub fn close_if_open(fd: RawFd) {
    // SAFETY: closing touches no memory; that nobody else counts on the number is the caller's.
    unsafe { libc::close(fd) };
}

/// The descriptors that are open.
pub fn open_fds() -> Vec<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc/self/fd");
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok()
    };
    let fds: Vec<RawFd> = entries.filter_map(number).collect();
    // The listing itself was open, too.
    fds.into_iter().filter(|fd| is_open(*fd)).collect()
}

/// Whether a descriptor number is open.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: touches no memory of ours.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Whether a descriptor is closed by exec.
pub fn is_cloexec(fd: RawFd) -> bool {
    // SAFETY: touches no memory of ours.
    unsafe { libc::fcntl(fd, libc::F_GETFD) & libc::FD_CLOEXEC != 0 }
}

/// Limits a resource of this process (each body has one of its own).
pub fn set_limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the structure is valid for the call.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

/// Sets the soft limit alone.
pub fn set_soft_limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is valid for the call.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

/// Threads of this process.
pub fn thread_count() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc/self/task").count()
}

/// Open descriptors of this process.
pub fn fd_count() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc/self/fd").count() - 1
}

/// How long the machine has kept threads of this process waiting for a CPU, those that are alive and all
/// of them together: workers too are late at times.
pub fn kept_waiting() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc/self/task").flatten();
    let waits = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').nth(1)?.parse().ok()
    });
    waits.map(Duration::from_nanos).sum()
}

/// Processor time that this process has used.
pub fn cpu_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// A clock's time.
pub fn clock(id: libc::clockid_t) -> Duration {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid for the call.
    assert_eq!(unsafe { libc::clock_gettime(id, &raw mut ts) }, 0);
    Duration::new(ts.tv_sec as u64, ts.tv_nsec as u32)
}

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
}

/// How often the handler of [`catch_signal`] ran.
pub static SIGNALS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Catches `signal` with a handler that counts, with `sa_flags` such as `SA_RESTART`.
pub fn catch_signal(signal: i32, sa_flags: i32) {
    // SAFETY: an all-zero sigaction is valid; the handler only adds to an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count_signal as *const () as usize;
        action.sa_flags = sa_flags;
        assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
    }
}

/// Sends `signal` to the calling thread from another thread, once `delay` is over and the caller is
/// asleep, which a busy machine may put off.
pub fn signal_me_after(signal: i32, delay: Duration) -> std::thread::JoinHandle<()> {
    // SAFETY: no arguments, always succeeds.
    let (me, number) = unsafe { (libc::pthread_self(), libc::gettid()) };
    std::thread::spawn(move || {
        std::thread::sleep(delay);
        let patient = std::time::Instant::now();
        while !sleeps(number) && patient.elapsed() < ms(5000) {
            std::thread::sleep(ms(1));
        }
        // SAFETY: the thread is alive, it waits for this signal or joins us later.
        unsafe { libc::pthread_kill(me, signal) };
    })
}

/// Whether a thread of this process is in a wait.
fn sleeps(thread: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')))
}

/// Blocks or unblocks one signal for the calling thread.
pub fn mask_signal(signal: i32, block: bool) {
    let how = if block { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    // SAFETY: the set is initialised before use and valid for the call.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        assert_eq!(libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()), 0);
    }
}

/// Runs `work` on a thread of its own and yields its value.
pub fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("the thread panicked"))
}

/// An address that is never mapped.
pub const BAD_ADDRESS: u64 = 0xdead_0000;

/// `read` by descriptor number: the count, or the error.
///
/// # Errors
/// Those of `read`.
pub fn read_number(fd: RawFd, buf: &mut [u8]) -> ringfence_abi::Result<usize> {
    // SAFETY: the buffer is valid for its length during the call.
    let count = unsafe { libc::read(fd, buf.as_mut_ptr().cast(), buf.len()) };
    usize::try_from(count).map_err(|_| last_errno())
}

/// The calling thread's errno.
fn last_errno() -> Errno {
    Errno::from_raw(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// Makes a fifo.
pub fn make_fifo(path: &std::ffi::CStr) {
    // SAFETY: the path is a C string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// Opens a fifo for writing, if anybody reads or is about to.
///
/// # Errors
/// Those of `open`.
pub fn open_for_writing(path: &std::ffi::CStr) -> std::io::Result<File> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::OpenOptionsExt;
    let path = std::ffi::OsStr::from_bytes(path.to_bytes());
    File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// An epoll set.
pub fn epoll() -> OwnedFd {
    // SAFETY: touches no memory of ours.
    owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

/// Runs `work` in a forked child: its value, or none if the child died otherwise.
pub fn in_child(work: impl FnOnce() -> u8) -> Option<u8> {
    // SAFETY: bodies run on the only thread of their process, so the child inherits no lock
    // that a thread it has not got holds.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
        // SAFETY: ends the child without running what the parent will run.
        unsafe { libc::_exit(i32::from(code)) };
    }
    let mut status = 0;
    // SAFETY: the status is valid for the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status) as u8)
}

/// A child that ends with `code` after `delay`; its process id.
pub fn start_child(code: i32, delay: Duration) -> i32 {
    // SAFETY: as above; the child sleeps and ends.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        std::thread::sleep(delay);
        // SAFETY: as above.
        unsafe { libc::_exit(code) };
    }
    pid
}

/// Waits by system call while the word is `value`, a second at most.
pub fn futex_wait(word: &std::sync::atomic::AtomicU32, value: u32) {
    let limit = libc::timespec { tv_sec: 1, tv_nsec: 0 };
    let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: word and limit are valid for the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, &raw const limit) };
}

/// Wakes up to `count` waiters by system call; how many there were.
pub fn futex_wake(word: &std::sync::atomic::AtomicU32, count: i32) -> i64 {
    let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is valid for the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, count) }
}

/// Reads a socket option that is a number.
pub fn socket_option(fd: RawFd, level: i32, name: i32) -> i32 {
    let (mut value, mut len) = (0_i32, 4_u32);
    // SAFETY: value and length are valid for the call.
    let got = unsafe {
        libc::getsockopt(fd, level, name, (&raw mut value).cast(), (&raw mut len).cast())
    };
    assert_eq!(got, 0, "getsockopt");
    value
}

/// Wakes up to `count` waiters on a word that processes share; how many there were.
pub fn futex_wake_shared(address: u64, count: i32) -> i64 {
    // SAFETY: the kernel checks the address.
    unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAKE, count) }
}

/// Sends a signal to a process.
pub fn send_signal(pid: i32, signal: i32) {
    assert!(pid > 0, "that would be a whole group");
    // SAFETY: touches no memory of ours.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "kill");
}

/// The process's effective user.
pub fn effective_user() -> u32 {
    // SAFETY: touches no memory of ours.
    unsafe { libc::geteuid() }
}

/// Changes the process's effective user.
pub fn set_effective_user(user: u32) {
    // SAFETY: touches no memory of ours.
    assert_eq!(unsafe { libc::seteuid(user) }, 0, "seteuid");
}

/// Changes the process's user without a way back.
pub fn set_user_for_good(user: u32) {
    // SAFETY: touches no memory of ours.
    assert_eq!(unsafe { libc::setuid(user) }, 0, "setuid");
}

/// Ends the process, from whatever thread.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: nothing runs after it.
    unsafe { libc::_exit(code) }
}

/// Makes `to` a copy of `fd`, closing what `to` was.
pub fn dup_over(fd: RawFd, to: RawFd) {
    // SAFETY: touches no memory of ours; who owns `to` owns the copy.
    assert_eq!(unsafe { libc::dup3(fd, to, libc::O_CLOEXEC) }, to, "dup3");
}

/// Closes the descriptors from `first` to `last`.
pub fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: touches no memory of ours; the body gives them up.
    assert_eq!(unsafe { libc::close_range(first as u32, last as u32, 0) }, 0, "close_range");
}

/// Sends a descriptor over a socket, by one system call or by the other.
///
/// # Errors
/// Those of `sendmsg` and `sendmmsg`.
pub fn send_descriptor(socket: RawFd, fd: RawFd, many: bool) -> ringfence_abi::Result<()> {
    let mut byte = *b"x";
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let kind = libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;
    let mut control = [20_u64, kind, fd as u32 as u64];
    // SAFETY: a message of zeroes is one; the parts are alive during the call.
    let sent = unsafe {
        let mut message: libc::mmsghdr = std::mem::zeroed();
        message.msg_hdr.msg_iov = &raw mut part;
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_control = control.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = size_of_val(&control);
        match many {
            true => libc::sendmmsg(socket, &raw mut message, 1, 0) as isize,
            false => libc::sendmsg(socket, &raw const message.msg_hdr, 0),
        }
    };
    if sent < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Executes a program in place of this process.
pub fn execute(program: &std::ffi::CStr) -> ! {
    let arguments = [program.as_ptr(), std::ptr::null()];
    // SAFETY: the path and the arguments are C strings, ended as they must be.
    unsafe { libc::execv(program.as_ptr(), arguments.as_ptr()) };
    exit_now(99)
}
