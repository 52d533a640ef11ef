//! What a line means for the log: whether it announces a failure, or says something else that
//! matters. Nearly all lines say nothing of the sort, and one search finds that out.

use crate::family::{Family, Within};
use crate::pattern::{self, Pattern};
use crate::tables::FAMILIES;
use crate::tables::marks::{
    ALL_CPUS, CONSOLE_LOST, LOCK_ORDER, PANIC, QUOTES, REPLAY, SUPPRESS, TAINT, WITH_TRACE,
};
use crate::work;
use regex::Regex;
use std::sync::LazyLock;

/// What a line means for the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signs {
    /// The failure that the line announces.
    pub(crate) headline: Option<Headline>,
    /// A trace follows that belongs to no failure.
    pub(crate) foreign_trace: bool,
    /// The kernel panics.
    pub(crate) panic: bool,
    /// A report of lock order begins.
    pub(crate) lock_order: bool,
    /// The note on the validator.
    pub(crate) taint: bool,
    /// Every CPU prints its stack from here on.
    pub(crate) all_cpus: bool,
    /// The line before was cut off.
    pub(crate) replay: bool,
    /// The console was lost.
    pub(crate) console_lost: bool,
    /// What is in the log is not worth a look.
    pub(crate) suppress: bool,
}

/// What a line announces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headline {
    /// The failure's family.
    pub(crate) family: &'static Family,
    /// What the line does within the report of another failure.
    pub(crate) within: Within,
}

/// All patterns that signs are found with.
struct Finder {
    /// The words of which every line with a sign has one.
    words: Regex,
    /// What the headlines of each family have to fit besides, and their exceptions.
    conditions: Vec<(Option<Pattern>, Vec<Pattern>)>,
    suppress: Vec<Pattern>,
    quotes: Vec<Pattern>,
}

static FINDER: LazyLock<Finder> = LazyLock::new(|| {
    let marks = [PANIC, LOCK_ORDER, TAINT, ALL_CPUS, REPLAY, CONSOLE_LOST];
    let words = (FAMILIES.iter().map(|family| family.words))
        .chain(marks)
        .chain(WITH_TRACE.iter().copied())
        .chain(SUPPRESS.iter().map(|pattern| pattern::longest_text(pattern)));
    let optional = |only: &str| (!only.is_empty()).then(|| Pattern::new(only));
    let words: Vec<String> = words.map(regex::escape).collect();
    let patterns = |list: &[&str]| list.iter().map(|pattern| Pattern::new(pattern)).collect();
    Finder {
        words: Regex::new(&words.join("|")).expect("the words are escaped"),
        conditions: FAMILIES
            .iter()
            .map(|family| (optional(family.only), patterns(family.except)))
            .collect(),
        suppress: patterns(SUPPRESS),
        quotes: patterns(QUOTES),
    }
});

/// The signs of a line.
pub(crate) fn read(line: &str) -> Signs {
    let finder = &*FINDER;
    work::add(line.len());
    if !finder.words.is_match(line) {
        return Signs::default();
    }
    Signs {
        headline: headline(finder, line),
        foreign_trace: WITH_TRACE.iter().any(|words| line.contains(words)),
        panic: line.contains(PANIC),
        lock_order: line.contains(LOCK_ORDER),
        taint: line.contains(TAINT),
        all_cpus: line.contains(ALL_CPUS),
        replay: line.contains(REPLAY),
        console_lost: line.contains(CONSOLE_LOST),
        suppress: finder.suppress.iter().any(|pattern| pattern.fits(line)),
    }
}

/// What `line` announces. Where several families' words are in it the first of the table is meant,
/// for the table goes from the cause to what follows from it; but `Internal error: Oops - BUG: 0`
/// goes on with a report, as its first words do.
fn headline(finder: &Finder, line: &str) -> Option<Headline> {
    let announces = |(family, (only, except)): &(&'static Family, &(Option<Pattern>, Vec<_>))| {
        line.contains(family.words)
            && only.as_ref().is_none_or(|pattern| pattern.fits(line))
            && !except.iter().any(|pattern: &Pattern| pattern.fits(line))
    };
    if finder.quotes.iter().any(|pattern| pattern.fits(line)) {
        return None;
    }
    let (family, _) = FAMILIES.iter().zip(&finder.conditions).find(announces)?;
    let goes_on = |other: &&Family| other.within != Within::Starts && line.contains(other.words);
    let within = FAMILIES.iter().find(goes_on).map_or(family.within, |other| other.within);
    Some(Headline { family, within })
}
