//! What kind of file a descriptor names, looked up once and kept while closes are told.

use ringfence_abi::Result;
use ringfence_host::Host;
use std::collections::HashMap;

/// What reads and writes must know of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// A regular file or a block device: it never waits for readiness, and a short transfer goes
    /// on until the end of the file.
    pub(crate) regular: bool,
    /// Opened with `O_DIRECT`: every transfer waits for the device.
    pub(crate) direct: bool,
    /// It refuses `RWF_NOWAIT`, for reads and for writes.
    pub(crate) no_nowait: [bool; 2],
    /// It has no positions: offsets mean nothing.
    pub(crate) stream: bool,
    /// A device that answers at once, always: `/dev/null`.
    pub(crate) instant: bool,
    /// A socket, which refuses offsets.
    pub(crate) socket: bool,
}

/// The device numbers of `/dev/null`, as `st_rdev` has them.
const NULL_DEVICE: u64 = 0x103;

impl Kind {
    /// Whether its pages may be in memory, and it tells when they are not.
    pub(crate) fn may_be_resident(self) -> bool {
        self.regular && !self.direct && !self.no_nowait[0]
    }

    /// Whether nothing goes wrong at a given position if the number has come to name another file
    /// unseen: with a position and `RWF_NOWAIT` every other file does the right thing, or refuses
    /// and is then asked what it is.
    fn is_harmless(self) -> bool {
        self.regular && !self.direct && self.no_nowait == [false; 2]
    }
}

/// What a kind is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) fd: i32,
    /// Of a file of the engine's own, whose numbers are given again and again: which one it is. The
    /// program's files have 0.
    pub(crate) serial: u64,
}

impl Name {
    /// A descriptor of the program's.
    pub(crate) fn of_program(fd: i32) -> Name {
        Name { fd, serial: 0 }
    }
}

/// Kinds by descriptor.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    /// With the serial numbers of their files.
    known: HashMap<i32, (u64, Kind), crate::poll::FdHash>,
    /// The one that was found last: most batches are of one file.
    last: Option<(Name, Kind)>,
}

impl Kinds {
    /// The kind of a file; asked again each time unless closes are told, or the transfer has a
    /// position at which a mistake would be harmless.
    pub(crate) fn get<H: Host>(
        &mut self,
        host: &H,
        name: Name,
        trusted: bool,
        position: bool,
    ) -> Result<Kind> {
        let found = match self.last {
            Some((last, kind)) if last == name => Some(kind),
            _ => self.found(name),
        };
        if let Some(kind) = found
            && (trusted || position && kind.is_harmless())
        {
            self.last = Some((name, kind));
            return Ok(kind);
        }
        self.ask(host, name)
    }

    fn found(&self, name: Name) -> Option<Kind> {
        let (serial, kind) = self.known.get(&name.fd)?;
        (*serial == name.serial).then_some(*kind)
    }

    /// Asks the system what a descriptor names, and keeps what was learnt if it is the same.
    pub(crate) fn ask<H: Host>(&mut self, host: &H, name: Name) -> Result<Kind> {
        let kind = look(host, name.fd)?;
        let kind = match self.found(name) {
            Some(known) if known.regular == kind.regular && known.direct == kind.direct => known,
            _ => kind,
        };
        self.learn(name, kind);
        Ok(kind)
    }

    /// Remembers more of a file.
    pub(crate) fn learn(&mut self, name: Name, kind: Kind) {
        self.last = None;
        self.known.insert(name.fd, (name.serial, kind));
    }

    /// Remembers that a file refuses `RWF_NOWAIT` in this direction.
    pub(crate) fn refuses_nowait(&mut self, name: Name, way: usize) {
        self.last = None;
        if let Some((serial, kind)) = self.known.get_mut(&name.fd)
            && *serial == name.serial
        {
            kind.no_nowait[way] = true;
        }
    }

    /// Forgets descriptors that are closed or replaced.
    pub(crate) fn forget(&mut self, first: u32, last: u32) {
        self.last = None;
        if first == last {
            self.known.remove(&(first as i32));
        } else {
            self.known.retain(|fd, _| !(first..=last).contains(&(*fd as u32)));
        }
    }
}

fn look<H: Host>(host: &H, fd: i32) -> Result<Kind> {
    let flags = host.syscall(libc::SYS_fcntl, [fd as u64, libc::F_GETFL as u64, 0, 0, 0, 0])?;
    // struct stat, of which st_mode stands in the low half of the fourth word on x86-64.
    let mut stat = [0u64; 18];
    host.syscall(libc::SYS_fstat, [fd as u64, stat.as_mut_ptr() as u64, 0, 0, 0, 0])?;
    let mode = stat[3] as u32 & libc::S_IFMT;
    let regular = mode == libc::S_IFREG || mode == libc::S_IFBLK;
    let stream = mode == libc::S_IFIFO || mode == libc::S_IFSOCK;
    let direct = regular && flags & libc::O_DIRECT as u64 != 0;
    let instant = mode == libc::S_IFCHR && stat[5] == NULL_DEVICE;
    let socket = mode == libc::S_IFSOCK;
    Ok(Kind { regular, direct, no_nowait: [false; 2], stream, instant, socket })
}

/// Whether a descriptor names `/dev/null`.
pub(crate) fn is_null<H: Host>(host: &H, fd: i32) -> bool {
    look(host, fd).is_ok_and(|kind| kind.instant)
}
