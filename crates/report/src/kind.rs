//! What sort of failure a title stands for.

use crate::tables::kinds::{BY_PREFIX, NAMES};

/// What sort of failure a report tells of.
///
/// The names that [`Kind::as_str`] gives are those that kernel fuzzing has settled on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// No rule names the title.
    #[default]
    Unknown,
    /// AddressSanitizer in user space.
    Asan,
    /// Sleeping, or scheduling, where that is forbidden.
    AtomicSleep,
    /// An assertion of the kernel that failed.
    Bug,
    /// The machine stops, without a sign of corrupted memory.
    DoS,
    /// A task or a CPU makes no progress.
    Hang,
    /// KASAN: memory freed twice, or freed that was never allocated.
    KasanInvalidFree,
    /// KASAN: a read through a null pointer.
    KasanNullRead,
    /// KASAN: a write through a null pointer.
    KasanNullWrite,
    /// KASAN: a read outside an object.
    KasanRead,
    /// KASAN, without the details.
    KasanUnknown,
    /// KASAN: a read after free.
    KasanUafRead,
    /// KASAN: a write after free.
    KasanUafWrite,
    /// KASAN: a write outside an object.
    KasanWrite,
    /// KCSAN: an assertion on exclusive access failed.
    KcsanAssert,
    /// KCSAN: a data race.
    KcsanDataRace,
    /// KCSAN, without the details.
    KcsanUnknown,
    /// KFENCE: memory freed twice, or freed that was never allocated.
    KfenceInvalidFree,
    /// KFENCE: the canary beside an object was overwritten.
    KfenceCorruption,
    /// KFENCE: a read outside an object.
    KfenceRead,
    /// KFENCE, without the details.
    KfenceUnknown,
    /// KFENCE: a read after free.
    KfenceUafRead,
    /// KFENCE: a write after free.
    KfenceUafWrite,
    /// KFENCE: a write outside an object.
    KfenceWrite,
    /// KMSAN: kernel memory that was never written leaves the kernel.
    KmsanInfoLeak,
    /// KMSAN: a decision on memory that was never written.
    KmsanUninit,
    /// KMSAN, without the details.
    KmsanUnknown,
    /// KMSAN: a read after free.
    KmsanUafRead,
    /// LeakSanitizer or the kernel's leak detector.
    Leak,
    /// A lock validator: order, context, balance.
    Lockdep,
    /// The connection to the machine was lost.
    LostConnection,
    /// A bad address, or a list that is corrupted.
    MemorySafetyBug,
    /// UBSAN: an index outside an array.
    MemorySafetyUbsan,
    /// MemorySanitizer in user space: a decision on memory that was never written.
    Msan,
    /// The machine said nothing.
    NoOutput,
    /// A null pointer.
    NullPointer,
    /// The machine started anew.
    Reboot,
    /// A reference count that overflows, or is used after zero.
    Refcount,
    /// A panic of a Rust program.
    RustPanic,
    /// The fuzzer itself failed.
    SyzFailure,
    /// ThreadSanitizer: a data race, or another report of it.
    Tsan,
    /// UBSAN, other than an index outside an array.
    Ubsan,
    /// A warning.
    Warning,
}

impl Kind {
    /// The kind of the failure that carries `title`.
    ///
    /// ```
    /// use ringfence_report::Kind;
    /// assert_eq!(Kind::of_title("possible deadlock in io_timeout_fn"), Kind::Lockdep);
    /// ```
    #[must_use]
    pub fn of_title(title: &str) -> Kind {
        BY_PREFIX
            .iter()
            .find(|(_, prefixes)| prefixes.iter().any(|prefix| title.starts_with(prefix)))
            .map_or(Kind::Unknown, |(kind, _)| *kind)
    }

    /// The name of the kind, for instance `KASAN-USE-AFTER-FREE-READ`; `UNKNOWN` for
    /// [`Kind::Unknown`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("UNKNOWN", |(_, name)| name)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
