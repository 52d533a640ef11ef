//! How each class has been used: in which contexts, and open to which.

use crate::context::{CONTEXTS_MAX, Shown, label};
use crate::mode::Mode;

/// One way a class can have been used.
///
/// Numbered as the kernel does: bit 0 says read, bit 1 says "held while the context was open" (else
/// "taken inside the context"), the rest is the context. Two more say "used at all".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage(u8);

/// How many [`Usage`]s there are.
pub(crate) const USAGES: usize = CONTEXTS_MAX * 4 + 2;

/// What a class did with a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It was taken inside the context.
    In = 0,
    /// It was held while the context could break in.
    Open = 2,
}

impl Usage {
    /// The first use of a class that nothing else is recorded of.
    pub(crate) fn initial(mode: Mode) -> Usage {
        Usage(CONTEXTS_MAX as u8 * 4 + u8::from(mode.is_read()))
    }

    pub(crate) fn of(context: u8, kind: Kind, mode: Mode) -> Usage {
        Usage(context * 4 + kind as u8 + u8::from(mode.is_read()))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn bit(self) -> u64 {
        1 << self.0
    }

    fn is_initial(self) -> bool {
        self.0 >= CONTEXTS_MAX as u8 * 4
    }

    pub(crate) fn is_read(self) -> bool {
        self.0 & 1 != 0
    }

    /// The context it speaks of and what of it; nothing for a first use.
    pub(crate) fn context(self) -> Option<(u8, Kind)> {
        let kind = if self.0 & 2 == 0 { Kind::In } else { Kind::Open };
        (!self.is_initial()).then_some((self.0 / 4, kind))
    }

    /// The usages that cannot go with this one: a class that a context takes must not be held where
    /// that context can break in. Readers go with readers.
    pub(crate) fn conflicts(self) -> impl Iterator<Item = Usage> {
        let opposite = Usage((self.0 ^ 2) & !1);
        let with_readers = (!self.is_read()).then_some(Usage(opposite.0 | 1));
        [Some(opposite), with_readers].into_iter().flatten().filter(|usage| !usage.is_initial())
    }

    /// All in the set `bits`, in order.
    pub(crate) fn all_in(bits: u64) -> impl Iterator<Item = Usage> {
        (0..USAGES as u8).map(Usage).filter(move |usage| bits & usage.bit() != 0)
    }

    /// As the kernel writes it: `IN-HARDIRQ-W`, `SOFTIRQ-ON-R`, `INITIAL USE`.
    pub(crate) fn name(self) -> String {
        let letter = if self.is_read() { 'R' } else { 'W' };
        match self.context() {
            None if self.is_read() => "INITIAL READ USE".to_owned(),
            None => "INITIAL USE".to_owned(),
            Some((context, Kind::In)) => format!("IN-{}-{letter}", label(context)),
            Some((context, Kind::Open)) => format!("{}-ON-{letter}", label(context)),
        }
    }
}

/// The contexts in which `usages` has `kind`, as bits: taken or held exclusively, and any how.
///
/// The first counts along paths that readers alone make weak, the second along all.
pub(crate) fn contexts(usages: u64, kind: Kind) -> [u8; 2] {
    let mut exclusive = 0;
    let mut any = 0;
    for context in 0..CONTEXTS_MAX as u8 {
        let write = Usage::of(context, kind, Mode::Exclusive).bit() & usages != 0;
        let read = Usage::of(context, kind, Mode::Shared).bit() & usages != 0;
        exclusive |= u8::from(write) << context;
        any |= u8::from(write | read) << context;
    }
    [any, exclusive]
}

/// The characters in braces: for each of `contexts` one for writers and one for readers; as many as
/// the kernel has at least.
///
/// `.` never inside and never while open, `-` taken inside, `+` held while open, `?` both.
pub(crate) fn characters(usages: u64, contexts: &[Shown]) -> String {
    let character = |context, mode| {
        let inside = usages & Usage::of(context, Kind::In, mode).bit() != 0;
        let open = usages & Usage::of(context, Kind::Open, mode).bit() != 0;
        match (inside, open) {
            (false, false) => '.',
            (true, false) => '-',
            (false, true) => '+',
            (true, true) => '?',
        }
    };
    let pair =
        |shown: &Shown| [Mode::Exclusive, Mode::Shared].map(|mode| character(shown.index, mode));
    let characters: String = contexts.iter().flat_map(pair).collect();
    format!("{characters:.<4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        assert_eq!(Usage::of(0, Kind::In, Mode::Exclusive).name(), "IN-HARDIRQ-W");
        assert_eq!(Usage::of(0, Kind::Open, Mode::Shared).name(), "HARDIRQ-ON-R");
        assert_eq!(Usage::initial(Mode::Exclusive).name(), "INITIAL USE");
    }

    #[test]
    fn a_reader_conflicts_with_writers_only() {
        let read_in = Usage::of(0, Kind::In, Mode::SharedRecursive);
        let expected = [Usage::of(0, Kind::Open, Mode::Exclusive)];
        assert!(read_in.conflicts().eq(expected));
        let write_open = Usage::of(2, Kind::Open, Mode::Exclusive);
        assert_eq!(write_open.conflicts().count(), 2);
        assert_eq!(Usage::initial(Mode::Exclusive).conflicts().count(), 0);
    }

    #[test]
    fn characters_show_writers_then_readers_of_each_context() {
        let usages = Usage::of(0, Kind::In, Mode::Exclusive).bit()
            | Usage::of(1, Kind::Open, Mode::Shared).bit();
        let shown = [0, 1].map(|index| Shown { index, name: "" });
        assert_eq!(characters(usages, &shown), "-..+");
        assert_eq!(characters(usages, &shown[..1]), "-...");
    }
}
