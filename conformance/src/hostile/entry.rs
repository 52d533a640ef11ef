//! One submission entry of a hostile program: each field is chosen by what it would mean.

use super::World;
use arbitrary::{Arbitrary, Unstructured};
use ringfence_abi::{Op, Sqe};

/// A descriptor, by what it is. What every world has; see [`World`].
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fd {
    /// A regular file of some bytes.
    File,
    /// A directory, empty but for what the program makes.
    Dir,
    /// The working directory, which is that directory.
    Cwd,
    /// The two ends of a pipe.
    Reader,
    /// The end that is written to.
    Writer,
    /// The two ends of a stream between sockets.
    Left,
    /// The other end.
    Right,
    /// A listening TCP socket.
    Listener,
    /// A datagram socket.
    Datagram,
    /// An epoll set.
    Epoll,
    /// An eventfd.
    Eventfd,
    /// The program's ring.
    Ring,
    /// Another ring.
    OtherRing,
    /// `/dev/null`.
    Null,
    /// A number that nobody has open.
    Closed,
    /// A negative number.
    Negative,
    /// A number as a slot of a table has it.
    Slot(u8),
}

/// An address, by what lies there.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addr {
    /// Memory that may be read and written; the number is an offset.
    Arena(u16),
    /// A well-formed argument: an iovec, a message header, a time, a socket address...
    Template(u8),
    /// A path.
    Path(u8),
    /// Where a page of such memory begins: rings of buffers and regions are whole pages.
    Page(u8),
    /// A word of the argument of the registration itself, or of the last one: what points on to more.
    Argument(u8),
    /// So many bytes before memory ends.
    Edge(u8),
    /// Nothing.
    Null,
    /// A page that cannot be touched.
    Guard,
    /// Memory that cannot be written.
    ReadOnly(u8),
    /// No address at all.
    Kernel(u16),
    /// A number: the user data of a request, an offset of a file.
    Number(u8),
}

/// A length or a count.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Len {
    /// A few.
    Few(u8),
    /// Some thousand.
    Many(u16),
    /// As many as there can be, and more.
    All(u32),
}

/// An offset, or what else stands in that field.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// An offset in a file, a count.
    Small(u16),
    /// The file's position.
    Current,
    /// A second address.
    Addr(Addr),
    /// Anything.
    Any(u64),
}

/// A number that is mostly nothing, or one bit.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Zero.
    Zero,
    /// Zero, too: most entries have no flags.
    None,
    /// One bit.
    Bit(u8),
    /// A small number.
    Small(u8),
    /// Anything.
    Any(u32),
}

/// A count that is mostly what fits the argument.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// As many as were given.
    Fits,
    /// One.
    One,
    /// Some other number.
    Other(Number),
}

impl Number {
    /// The number.
    pub fn value(self) -> u32 {
        match self {
            Number::Zero | Number::None => 0,
            Number::Bit(bit) => 1 << (bit % 32),
            Number::Small(value) => u32::from(value % 16),
            Number::Any(value) => value,
        }
    }
}

impl Len {
    /// The length.
    pub fn value(self) -> u32 {
        match self {
            Len::Few(value) => u32::from(value),
            Len::Many(value) => u32::from(value),
            Len::All(value) => value | 1 << 31,
        }
    }
}

/// A submission entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The operation; one more than there are is none.
    pub op: u8,
    /// `IOSQE_*`.
    pub flags: u8,
    /// Priority, or flags of the operation.
    pub ioprio: Number,
    /// The descriptor.
    pub fd: Fd,
    /// Offset or second address.
    pub off: Off,
    /// Address.
    pub addr: Addr,
    /// Length.
    pub len: Len,
    /// The operation's flags.
    pub op_flags: Number,
    /// Which request it is, for those that look for it.
    pub user_data: u8,
    /// Buffer or group.
    pub buf_index: Number,
    /// Credentials.
    pub personality: Number,
    /// Slot, plus one.
    pub file_index: Number,
    /// Third address.
    pub addr3: Option<Addr>,
    /// What should be zero.
    pub pad2: Number,
}

/// One time in four what `T` is, else nothing: most entries are well-formed in most fields.
fn seldom<'a, T: Arbitrary<'a>>(u: &mut Unstructured<'a>, else_: T) -> arbitrary::Result<T> {
    if u.ratio(1, 4)? { u.arbitrary() } else { Ok(else_) }
}

impl<'a> Arbitrary<'a> for Entry {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Entry> {
        Ok(Entry {
            op: u.int_in_range(0..=Op::COUNT as u8)?,
            flags: seldom(u, 0)?,
            fd: u.arbitrary()?,
            off: u.arbitrary()?,
            addr: u.arbitrary()?,
            len: u.arbitrary()?,
            user_data: u.int_in_range(0..=15)?,
            ioprio: seldom(u, Number::Zero)?,
            op_flags: seldom(u, Number::Zero)?,
            buf_index: seldom(u, Number::Zero)?,
            personality: if u.ratio(1, 32)? { u.arbitrary()? } else { Number::Zero },
            file_index: seldom(u, Number::Zero)?,
            addr3: if u.ratio(1, 8)? { Some(u.arbitrary()?) } else { None },
            pad2: if u.ratio(1, 32)? { u.arbitrary()? } else { Number::Zero },
        })
    }
}

impl Entry {
    /// The entry in a world.
    pub fn sqe(&self, world: &World) -> Sqe {
        let off = match self.off {
            Off::Small(off) => u64::from(off),
            Off::Current => u64::MAX,
            Off::Addr(addr) => world.addr(addr),
            Off::Any(off) => off,
        };
        harmless(Sqe {
            opcode: self.op,
            flags: self.flags,
            ioprio: self.ioprio.value() as u16,
            fd: world.fd(self.fd),
            off,
            addr: world.addr(self.addr),
            len: self.len.value(),
            op_flags: self.op_flags.value(),
            user_data: u64::from(self.user_data),
            buf_index: self.buf_index.value() as u16,
            personality: self.personality.value() as u16,
            file_index: self.file_index.value(),
            addr3: self.addr3.map_or(0, |addr| world.addr(addr)),
            pad2: u64::from(self.pad2.value()),
        })
    }
}

/// What a program may ask for but no test wants: memory of the test given up or poisoned, a disk
/// filled.
pub(super) fn harmless(mut sqe: Sqe) -> Sqe {
    const DISK: u64 = 1 << 20;
    match Op::from_code(sqe.opcode) {
        Some(Op::Madvise) => {
            sqe.op_flags %= libc::MADV_HWPOISON as u32;
            // Newer programs give a 64-bit length in `off`.
            sqe.len %= 1 << 12;
            sqe.off %= 1 << 12;
        }
        // Where memory lies differs from run to run, but for the last bits.
        Some(Op::Fallocate) => (sqe.off, sqe.addr) = (sqe.off % DISK, sqe.addr % 4096),
        _ => {}
    }
    sqe
}
