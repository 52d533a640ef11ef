//! Lock classes: what the validator reasons about instead of single locks.
//!
//! All locks that play one role are of one class, so that one run over two of them speaks for all.

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Subclasses a class can have; the default one included.
pub const SUBCLASSES: u8 = 8;

/// A class of locks, declared with [`lock_classes!`](crate::lock_classes) or by itself.
#[derive(Debug)]
pub struct Class {
    pub(crate) name: &'static str,
    pub(crate) site: Option<&'static Location<'static>>,
    place: Option<Place>,
    /// Its place if it was declared at run time.
    late: OnceLock<Place>,
    pub(crate) traits: Traits,
    /// The number the process-wide validator knows it by; 0 until its first use.
    pub(crate) number: AtomicU32,
}

/// Where a class stands in a declared order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The whole declaration, outermost first.
    pub(crate) order: &'static [&'static Class],
    /// The position of this class in it.
    pub(crate) rank: usize,
}

/// What is declared of a class besides its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traits {
    /// Waiting for it spins and never parks: printed as wait type 2, as a kernel spin lock.
    pub spins: bool,
    /// It must not be held where its thread parks; see [`parking`](crate::parking).
    pub no_park: bool,
    /// Each thread (or CPU) has its own: it is never waited for across threads, so it takes no part
    /// in inversions by a context. The kernel's `local_lock`.
    pub per_thread: bool,
}

impl Class {
    /// A class named `name`, the locks of which park who waits.
    #[track_caller]
    pub const fn new(name: &'static str) -> Class {
        Class::at(name, Location::caller())
    }

    /// As [`Class::new`], declared at `site`.
    pub const fn at(name: &'static str, site: &'static Location<'static>) -> Class {
        Class {
            name,
            site: Some(site),
            place: None,
            late: OnceLock::new(),
            traits: Traits { spins: false, no_park: false, per_thread: false },
            number: AtomicU32::new(0),
        }
    }

    /// The same class as the `rank`th of `order`; what [`lock_classes!`](crate::lock_classes) calls.
    #[doc(hidden)]
    pub const fn ranked(mut self, order: &'static [&'static Class], rank: usize) -> Class {
        self.place = Some(Place { order, rank });
        self
    }

    /// Declares an order at run time, outermost first, as [`lock_classes!`](crate::lock_classes)
    /// does for classes that are known when the program is built. They live as long as the process.
    pub fn declare(classes: Vec<Class>) -> &'static [&'static Class] {
        let classes: &'static [Class] = classes.leak();
        let order: &'static [&'static Class] = classes.iter().collect::<Vec<_>>().leak();
        for (rank, class) in classes.iter().enumerate() {
            // Each is new, so that its place is free.
            let _ = class.late.set(Place { order, rank });
        }
        order
    }

    /// Where it stands in a declared order.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place.or_else(|| self.late.get().copied())
    }

    /// Declares that waiting for these locks spins.
    pub const fn spins(mut self) -> Class {
        self.traits.spins = true;
        self
    }

    /// Declares that these locks must not be held where their thread parks.
    pub const fn no_park(mut self) -> Class {
        self.traits.no_park = true;
        self
    }

    /// Declares that each thread has its own such lock.
    pub const fn per_thread(mut self) -> Class {
        self.traits.per_thread = true;
        self
    }

    /// The name it was declared by.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// A class as one validator numbers it, with a subclass.
///
/// Subclasses tell apart locks of one class that are nested in a fixed order, as parent and child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassKey(u32);

impl ClassKey {
    #[inline]
    pub(crate) const fn new(number: u32, subclass: u8) -> ClassKey {
        assert!(subclass < SUBCLASSES, "a class has 8 subclasses, 0 to 7");
        ClassKey(number << 3 | subclass as u32)
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> ClassKey {
        ClassKey(bits as u32)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0 as u64
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    #[inline]
    pub(crate) const fn number(self) -> u32 {
        self.0 >> 3
    }

    /// Whether both are of one class, subclasses aside.
    #[inline]
    pub(crate) const fn is_same_lock(self, other: ClassKey) -> bool {
        (self.0 ^ other.0) < SUBCLASSES as u32
    }

    /// The subclass, 0 if none was asked for.
    pub const fn subclass(self) -> u8 {
        (self.0 & 7) as u8
    }

    /// The same class with another subclass.
    ///
    /// # Panics
    ///
    /// If `subclass` is not below [`SUBCLASSES`].
    #[inline]
    pub const fn with_subclass(self, subclass: u8) -> ClassKey {
        ClassKey::new(self.number(), subclass)
    }
}

/// What a lock carries to find its class: declared, or by the place that made the lock.
#[derive(Debug)]
pub struct Map {
    class: Option<&'static Class>,
    site: Option<&'static Location<'static>>,
    number: AtomicU32,
}

impl Map {
    /// A lock of a declared class.
    pub const fn declared(class: &'static Class) -> Map {
        Map { class: Some(class), site: None, number: AtomicU32::new(0) }
    }

    /// A lock whose class is the place of construction, `site`.
    pub const fn at_site(site: &'static Location<'static>) -> Map {
        Map { class: None, site: Some(site), number: AtomicU32::new(0) }
    }

    /// A lock of which nothing is known yet: the place that takes it first becomes its class.
    pub const fn unknown() -> Map {
        Map { class: None, site: None, number: AtomicU32::new(0) }
    }

    /// What tells this lock from others of its class: where it lies in memory.
    #[inline]
    pub(crate) fn instance(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// The class of this lock in the process-wide validator.
    #[inline]
    pub(crate) fn key(&self, used_at: &'static Location<'static>) -> ClassKey {
        match self.number.load(Ordering::Relaxed) {
            0 => self.resolve(used_at),
            number => ClassKey::new(number, 0),
        }
    }

    #[cold]
    fn resolve(&self, used_at: &'static Location<'static>) -> ClassKey {
        let key = match self.class {
            Some(class) => crate::global::key_of(class),
            None => crate::global::key_of_site(self.site.unwrap_or(used_at)),
        };
        self.number.store(key.number(), Ordering::Relaxed);
        key
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let number = *self.number.get_mut();
        if number != 0 {
            crate::global::destroyed_here(ClassKey::new(number, 0), self.instance());
        }
    }
}

/// Declares the lock classes of a crate in one place, outermost first.
///
/// The order binds: taking a class while one that stands below it is held is reported at once,
/// before any run has shown the opposite order. Each entry may end in the names of what else is
/// declared of it: `spins`, `no_park`, `per_thread`.
///
/// ```
/// ringfence_lockdep::lock_classes! {
///     /// Serialises submission.
///     pub SUBMIT: "submission lock",
///     /// Guards the completion queue; innermost.
///     pub COMPLETION: "completion lock" [no_park],
/// }
/// assert_eq!(SUBMIT.name(), "submission lock");
/// ```
#[macro_export]
macro_rules! lock_classes {
    ($($(#[$doc:meta])* $vis:vis $name:ident : $text:literal $([$($extra:ident),*])?),+ $(,)?) => {
        $crate::lock_classes!(@each [$($name),+] 0; $($(#[$doc])* $vis $name : $text [$($($extra),*)?],)+);
    };
    (@each [$($all:ident),+] $rank:expr;) => {};
    (@each [$($all:ident),+] $rank:expr;
     $(#[$doc:meta])* $vis:vis $name:ident : $text:literal [$($extra:ident),*], $($rest:tt)*) => {
        $(#[$doc])*
        $vis static $name: $crate::Class =
            $crate::Class::new($text)$(.$extra())*.ranked(&[$(&$all),+], $rank);
        $crate::lock_classes!(@each [$($all),+] $rank + 1; $($rest)*);
    };
}
