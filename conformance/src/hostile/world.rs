//! What a hostile program acts on: descriptors, and memory good and bad.

use super::{Addr, Fd, Word};
use crate::{Mapping, sys, timespec};
use ringfence_abi::Timespec;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::net::TcpListener;
use std::os::fd::RawFd;
use std::os::unix::net::UnixDatagram;

/// Bytes that may be read and written.
const ARENA: usize = 1 << 16;
/// Where in it the argument of a registration stands, in words.
pub(super) const ARGUMENT: usize = 0x800;
/// Bytes of templates and paths, which may be read.
const TEMPLATES: usize = 4096;
/// Bytes of one template.
const TEMPLATE: usize = 128;
/// How many templates there are, before the paths.
const COUNT: usize = 16;
/// Bytes that may not be touched, after either.
const GUARD: usize = 1 << 16;

/// Where memory is, so that what holds addresses is the same in every world.
const PLACE: u64 = 0x1234_5600_0000;

/// Paths, relative to a directory that is the program's own.
const PATHS: [&str; 8] = ["a", "b", "d", "d/a", "nothing/here", ".", "", "user.name"];

/// How many kinds of descriptors [`World::fd`] has in its table.
const FDS: usize = 11;

/// The world of one run. Its directory is the working directory while it lives.
pub struct World {
    /// Numbers, not owners: a program closes them as it likes.
    fds: [RawFd; FDS],
    _dir: tempfile::TempDir,
    /// Keeps the other end of the datagram socket.
    _peer: UnixDatagram,
    arena: Mapping,
    templates: Mapping,
    /// The rings, once there are any.
    pub(super) rings: (RawFd, RawFd),
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl World {
    /// A new one.
    pub fn new() -> World {
        let dir = sys::directory();
        std::env::set_current_dir(dir.path()).expect("a working directory");
        let arena = Mapping::anonymous_near(PLACE, ARENA + GUARD);
        let templates = Mapping::anonymous_near(PLACE + (1 << 20), TEMPLATES + GUARD);
        let listener = sys::listener();
        write_templates(&templates, &arena, &listener);
        templates.protect_part(0, TEMPLATES, libc::PROT_READ);
        templates.protect_part(TEMPLATES, GUARD, libc::PROT_NONE);
        arena.protect_part(ARENA, GUARD, libc::PROT_NONE);
        let (reader, writer) = sys::pipe();
        let (left, right) = sys::stream_pair();
        let (datagram, peer) = sys::datagram_pair();
        let null = File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
        // In the order of `World::fd`.
        let fds = [
            sys::release(sys::file_with(&[b'x'; 5000])),
            sys::release(File::open(dir.path()).expect("open the directory")),
            sys::release(reader),
            sys::release(writer),
            sys::release(left),
            sys::release(right),
            sys::release(listener),
            sys::release(datagram),
            sys::release(sys::epoll()),
            sys::release(sys::eventfd()),
            sys::release(null),
        ];
        for fd in &fds[2..10] {
            sys::set_nonblocking(*fd, false);
        }
        World { fds, _dir: dir, _peer: peer, arena, templates, rings: (-1, -1) }
    }

    /// The number of a descriptor.
    pub fn fd(&self, fd: Fd) -> RawFd {
        match fd {
            Fd::File => self.fds[0],
            Fd::Dir => self.fds[1],
            Fd::Reader => self.fds[2],
            Fd::Writer => self.fds[3],
            Fd::Left => self.fds[4],
            Fd::Right => self.fds[5],
            Fd::Listener => self.fds[6],
            Fd::Datagram => self.fds[7],
            Fd::Epoll => self.fds[8],
            Fd::Eventfd => self.fds[9],
            Fd::Null => self.fds[10],
            Fd::Ring => self.rings.0,
            Fd::OtherRing => self.rings.1,
            Fd::Cwd => libc::AT_FDCWD,
            Fd::Closed => 1 << 20,
            Fd::Negative => -2,
            Fd::Slot(slot) => i32::from(slot % 8),
        }
    }

    /// The number of an address.
    pub fn addr(&self, addr: Addr) -> u64 {
        match addr {
            Addr::Arena(offset) => self.arena.at(usize::from(offset) % ARENA),
            Addr::Page(page) => self.arena.at(usize::from(page) * 4096 % ARENA),
            Addr::Argument(word) => self.arena.at((ARGUMENT + usize::from(word) % 16) * 8),
            Addr::Template(which) => self.templates.at(usize::from(which) % COUNT * TEMPLATE),
            Addr::Path(which) => {
                self.templates.at(COUNT * TEMPLATE + usize::from(which) % PATHS.len() * 16)
            }
            Addr::Edge(bytes) => self.arena.at(ARENA - usize::from(bytes)),
            Addr::Null => 0,
            Addr::Guard => self.arena.at(ARENA),
            Addr::ReadOnly(offset) => self.templates.at(usize::from(offset)),
            Addr::Kernel(low) => 0xffff_8000_0000_0000 | u64::from(low),
            Addr::Number(number) => u64::from(number),
        }
    }

    /// The eight bytes of a word.
    pub fn word(&self, word: Word) -> u64 {
        let value = match word {
            Word::Number(number) => u64::from(number.value()),
            Word::Pair(low, high) => u64::from(high.value()) << 32 | u64::from(low.value()),
            Word::Fds(low, high) => (self.fd(high) as u64) << 32 | u64::from(self.fd(low) as u32),
            Word::Addr(addr) => return self.addr(addr),
            Word::Any(value) => value,
        };
        without_slashes(value)
    }

    /// Writes words to the arena; where they stand. What is too much for it is left out.
    pub(super) fn poke(&self, at: usize, words: &[u64]) -> u64 {
        let at = at * 8 % (ARENA / 2);
        for (i, word) in words.iter().take(ARENA / 2 / 8).enumerate() {
            self.arena.write(at + i * 8, *word);
        }
        self.arena.at(at)
    }

    /// Tells whether two worlds' memory is the same, addresses in it aside.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        for at in (0..ARENA).step_by(8) {
            let word: u64 = self.arena.read(at);
            word.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Sends bytes to the pipe and to the stream, as far as there is room.
    pub(super) fn feed(&self, len: u8) {
        let bytes = vec![1; usize::from(len)];
        for fd in [Fd::Writer, Fd::Right] {
            sys::write_now(self.fd(fd), &bytes);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::env::set_current_dir("/").expect("the root directory");
        for fd in self.fds {
            sys::close_if_open(fd);
        }
    }
}

/// A path that a program makes up stays below its directory.
fn without_slashes(value: u64) -> u64 {
    let bytes = value.to_le_bytes().map(|byte| if byte == b'/' { b'-' } else { byte });
    u64::from_le_bytes(bytes)
}

/// Well-formed arguments of the operations, and the paths.
fn write_templates(at: &Mapping, arena: &Mapping, listener: &TcpListener) {
    let iovecs = [(0, 16), (64, 4096), (8192, 1)];
    let hour = sys::ms(3_600_000);
    let times = [timespec(sys::ms(0)), timespec(hour), Timespec { tv_sec: -1, tv_nsec: 0 }];
    let words = |which: usize, words: &[u64]| {
        for (i, word) in words.iter().enumerate() {
            at.write(which * TEMPLATE + i * 8, *word);
        }
    };
    for (i, (offset, len)) in iovecs.into_iter().enumerate() {
        at.write(i * 16, arena.at(offset));
        at.write(i * 16 + 8, len as u64);
    }
    // One vector that is bad in the middle.
    words(1, &[arena.at(0), 16, arena.at(ARENA), 16, arena.at(32), 16]);
    // Message headers: one with a vector, one with an address and control data.
    let iovec = at.at(0);
    words(2, &[0, 0, iovec, 2, 0, 0, 0]);
    words(3, &[at.at(9 * TEMPLATE), 16, iovec, 1, arena.at(1024), 64, 0]);
    for (i, time) in times.into_iter().enumerate() {
        at.write((4 + i) * TEMPLATE, time);
    }
    // A microsecond from now.
    at.write(7 * TEMPLATE, timespec(std::time::Duration::from_micros(1)));
    // An open_how: create for writing.
    words(8, &[(libc::O_CREAT | libc::O_RDWR) as u64, 0o600, 0]);
    for (i, byte) in sys::address_of(listener).into_iter().enumerate() {
        at.write(9 * TEMPLATE + i, byte);
    }
    // An epoll event, a futex word, an address length, a group of descriptors.
    words(10, &[libc::EPOLLIN as u64, 5]);
    words(11, &[0, arena.at(0), 2]);
    words(12, &[16]);
    words(13, &[u64::MAX, u64::MAX]);
    for (i, path) in PATHS.iter().enumerate() {
        for (j, byte) in path.bytes().enumerate() {
            at.write(COUNT * TEMPLATE + i * 16 + j, byte);
        }
    }
}

const _: () = assert!(COUNT * TEMPLATE + PATHS.len() * 16 <= TEMPLATES);
