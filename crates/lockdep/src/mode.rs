//! How a lock is taken.

/// How an acquisition takes its lock; what it waits for follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Mode {
    /// A mutex, a spin lock, or the write side of a reader-writer lock.
    Exclusive = 0,
    /// A reader that a *waiting* writer holds up, as `std::sync::RwLock` and
    /// `parking_lot::RwLock::read` may. It therefore can wait for other readers too.
    Shared = 1,
    /// A reader that only a writer *inside* holds up, as `read_recursive`. It may be taken again.
    SharedRecursive = 2,
}

impl Mode {
    /// Whether other readers may be inside at the same time.
    pub const fn is_read(self) -> bool {
        !matches!(self, Mode::Exclusive)
    }

    pub(crate) const fn from_bits(bits: u64) -> Mode {
        match bits & 3 {
            0 => Mode::Exclusive,
            1 => Mode::Shared,
            _ => Mode::SharedRecursive,
        }
    }
}

/// The kinds of dependency that have been seen between two classes, as a set.
///
/// A dependency "held P, then took N" is *exclusive* or *shared* by how P was held, and *recursive*
/// or *not* by whether N was a recursive read. Two in a row, `.. -> M -> ..`, can both be waited
/// for at once unless M was taken as a recursive reader in the first and held as a reader in the
/// second: such a path is not *strong*, and a cycle that has no strong form cannot deadlock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dep(u8);

const SHARED: u8 = 0b0101;
const EXCLUSIVE: u8 = 0b1010;
const RECURSIVE: u8 = 0b0011;
const NOT_RECURSIVE: u8 = 0b1100;

impl Dep {
    /// The single kind that `held` then `taken` make.
    pub(crate) fn of(held: Mode, taken: Mode) -> Dep {
        let exclusive = u8::from(held == Mode::Exclusive);
        let not_recursive = u8::from(taken != Mode::SharedRecursive);
        Dep(1 << (exclusive | not_recursive << 1))
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn union(self, other: Dep) -> Dep {
        Dep(self.0 | other.0)
    }

    pub(crate) const fn contains(self, other: Dep) -> bool {
        self.0 & other.0 == other.0
    }

    /// What of this set may follow a step that ended in a recursive read only.
    pub(crate) const fn after_weak(self, weak: bool) -> Dep {
        if weak { Dep(self.0 & EXCLUSIVE) } else { self }
    }

    /// Whether every kind in the set ends in a recursive read.
    pub(crate) const fn ends_weak(self) -> bool {
        self.0 & NOT_RECURSIVE == 0
    }

    /// What of this set may precede a step that began with a shared hold only.
    pub(crate) const fn before_weak(self, weak: bool) -> Dep {
        if weak { Dep(self.0 & NOT_RECURSIVE) } else { self }
    }

    /// Whether every kind in the set begins with a shared hold.
    pub(crate) const fn begins_weak(self) -> bool {
        self.0 & EXCLUSIVE == 0
    }

    /// The kinds by name, for reports: which of S/E and of R/N occur.
    pub(crate) fn letters(self) -> String {
        const KINDS: [(u8, &str); 4] = [(1, "SR"), (2, "ER"), (4, "SN"), (8, "EN")];
        let seen: Vec<_> = KINDS.iter().filter(|(bit, _)| self.0 & bit != 0).collect();
        seen.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(",")
    }
}

const _: () = assert!(SHARED | EXCLUSIVE == 0b1111 && RECURSIVE | NOT_RECURSIVE == 0b1111);
