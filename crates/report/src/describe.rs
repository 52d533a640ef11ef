//! Says what a report tells of: its title, the alternative ones, and whether it is whole.

use crate::family::{Family, Whole, World};
use crate::forms::{self, Compiled, CompiledNeed};
use crate::pattern::Found;
use crate::report::Corruption;
use crate::tables::anchors::SYSCALL_PREFIXES;
use crate::trace::{self, Start};
use crate::trail::{self, Culprit};
use crate::{title, work};
use std::collections::BTreeSet;

/// What a report tells of.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) title: String,
    pub(crate) alt_titles: Vec<String>,
    pub(crate) corrupted: Option<Corruption>,
}

/// Describes the report that a headline of `family` announces. Its first `titled` lines alone may
/// give it a title: what follows may be of another failure.
pub(crate) fn describe(family: &'static Family, lines: &[&str], titled: usize) -> Description {
    let head = &lines[..titled];
    match best_fit(family, head) {
        Fit::Form { compiled, holes, start } => by_form(compiled, holes, &head[start..], lines),
        Fit::HeadlineOnly => by_headline(family, head, Some(Corruption::HeadlineOnly)),
        Fit::Nothing => by_headline(family, head, None),
    }
}

/// The headline itself is the title, from the family's words on.
fn by_headline(family: &Family, head: &[&str], corrupted: Option<Corruption>) -> Description {
    let title = head.iter().find_map(|line| line.find(family.words).map(|at| &line[at..]));
    let title = title.unwrap_or_default();
    let stamped = title::has_timestamp(title).then_some(Corruption::TimestampInTitle);
    let corrupted = corrupted.or(stamped);
    Description { title: title::normalise(title), alt_titles: Vec::new(), corrupted }
}

/// The report takes a known form: its body begins with `body`; `lines` are all it has.
fn by_form(
    compiled: &Compiled,
    mut holes: Holes<'_>,
    body: &[&str],
    lines: &[&str],
) -> Description {
    let form = compiled.form;
    if compiled.trail.as_ref().is_some_and(|trail| trail.world == World::User) {
        // Messages of programs have any length, and the function has to find room.
        holes.iter_mut().for_each(|(_, held)| *held = shortened(held));
    }
    let blame = compiled.trail.as_ref().map(|trail| trail::follow(trail, body));
    let (culprits, clear) = blame.map_or((Vec::new(), true), |b| (b.culprits, b.clear));
    let (title, alt_titles) = match form.frameless {
        Some(template) if !clear => frameless(compiled, template, &holes, &culprits),
        _ => titles(compiled, &holes, &culprits),
    };
    let corrupted = if !clear && form.frameless.is_none() {
        Some(Corruption::NoFrame)
    } else if form.whole == Whole::Never {
        Some(Corruption::BeginningLost)
    } else if title::has_timestamp(&title) {
        Some(Corruption::TimestampInTitle)
    } else if form.whole == Whole::WithTrace {
        missing_trace(lines)
    } else {
        None
    };
    let title = title::normalise(&title);
    let alt_titles: BTreeSet<String> = alt_titles.iter().map(|t| title::normalise(t)).collect();
    let alt_titles = alt_titles.into_iter().filter(|alt| *alt != title).collect();
    Description { title, alt_titles, corrupted }
}

/// What the holes of a form hold, by name.
type Holes<'t> = Vec<(&'static str, &'t str)>;

/// What the earliest headline fits.
enum Fit<'t> {
    /// A form, the first one whose body is there: what its holes hold, and the line where the body
    /// begins.
    Form { compiled: &'static Compiled, holes: Holes<'t>, start: usize },
    /// Forms whose bodies are not there.
    HeadlineOnly,
    /// No form at all.
    Nothing,
}

fn best_fit<'t>(family: &'static Family, lines: &[&'t str]) -> Fit<'t> {
    let forms = forms::of(family);
    let candidates = lines.iter().enumerate().filter(|(_, line)| line.contains(family.words));
    for (at, line) in candidates {
        // A task's name may hold line ends, so a headline may take several lines.
        let joined = lines[at..lines.len().min(at + HEADLINE_LINES)].join("\n");
        work::add(joined.len() * forms.len());
        let start_of = |compiled: &Compiled| compiled.headline.read(&joined).map(|it| it.start());
        let starts: Vec<Option<usize>> = forms.iter().map(start_of).collect();
        let Some(earliest) = starts.iter().flatten().min() else { continue };
        let fitting = forms.iter().zip(&starts).filter(|(_, start)| **start == Some(*earliest));
        let whole = fitting.map(|(compiled, _)| compiled).find_map(|compiled| {
            let (holes, start) = match compiled.body.as_slice() {
                [] => (headline_holes(compiled, line), 0),
                body => body_holes(body, &lines[at..])?,
            };
            Some(Fit::Form { compiled, holes, start: at + start })
        });
        return whole.unwrap_or(Fit::HeadlineOnly);
    }
    Fit::Nothing
}

/// A headline is looked for in this many lines.
const HEADLINE_LINES: usize = 3;

fn headline_holes<'t>(compiled: &'static Compiled, line: &'t str) -> Holes<'t> {
    compiled.headline.read(line).map_or_else(Vec::new, |found| holes_of(&found))
}

fn holes_of<'t>(found: &Found<'static, 't>) -> Holes<'t> {
    found.holes().collect()
}

/// What the body's holes hold and in which line it begins, if all of it is there.
fn body_holes<'t>(body: &'static [CompiledNeed], lines: &[&'t str]) -> Option<(Holes<'t>, usize)> {
    let mut holes = Vec::new();
    let mut start = None;
    let mut rest = lines.iter().enumerate();
    for need in body {
        let (at, found) = match need {
            CompiledNeed::Later(pattern) => rest.find_map(|(at, line)| {
                work::add(line.len());
                Some((at, pattern.read(line)?))
            })?,
            CompiledNeed::Next(pattern) => {
                let (at, line) = rest.next()?;
                (at, pattern.read(line)?)
            }
        };
        start.get_or_insert(at);
        holes.extend(holes_of(&found));
    }
    Some((holes, start.unwrap_or(0)))
}

/// A message is cut to this many characters in a title.
const MESSAGE_MAX: usize = 60;

fn shortened(message: &str) -> &str {
    message.char_indices().nth(MESSAGE_MAX).map_or(message, |(end, _)| &message[..end])
}

/// What stands in a title for a function that is not known.
const NOBODY: &str = "corrupted";

/// The title, and the alternatives: with the functions' names as they stand in the report, and
/// with each prefix of system calls taken off.
fn titles(
    compiled: &Compiled,
    holes: &Holes<'_>,
    culprits: &[Option<Culprit>],
) -> (String, Vec<String>) {
    let form = compiled.form;
    let names = |name: &dyn Fn(&Culprit) -> String| -> Vec<String> {
        culprits.iter().map(|c| c.as_ref().map_or(NOBODY.to_owned(), name)).collect()
    };
    let canonical = names(&|culprit| culprit.name.clone());
    let title = fill(form.title, holes, &canonical);
    let mut alt: Vec<String> = form.alt.iter().map(|alt| fill(alt, holes, &canonical)).collect();
    let raw = names(&|culprit| culprit.raw.clone());
    let stripped = SYSCALL_PREFIXES.iter().map(|prefix| {
        names(&|culprit| culprit.raw.strip_prefix(prefix).unwrap_or(&culprit.raw).to_owned())
    });
    let variants: BTreeSet<Vec<String>> = stripped.chain([raw]).collect();
    for names in variants {
        alt.push(fill(form.title, holes, &names));
        alt.extend(form.alt.iter().map(|alt| fill(alt, holes, &names)));
    }
    (title, alt)
}

/// The title without a function, and those alternatives that need none.
fn frameless(
    compiled: &Compiled,
    template: &str,
    holes: &Holes<'_>,
    culprits: &[Option<Culprit>],
) -> (String, Vec<String>) {
    let names: Vec<String> =
        culprits.iter().flatten().map(|culprit| culprit.name.clone()).collect();
    let needs_none = compiled.form.alt.iter().filter(|alt| !alt.contains("{frame}"));
    let alt = needs_none.map(|alt| fill(alt, holes, &names)).collect();
    (fill(template, holes, &names), alt)
}

/// `template` with its holes filled.
fn fill(template: &str, holes: &Holes<'_>, names: &[String]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((text, hole)) = rest.split_once('{') {
        let (hole, after) = hole.split_once('}').unwrap_or((hole, ""));
        filled.push_str(text);
        match hole {
            "frame" => filled.push_str(names.first().map_or(NOBODY, String::as_str)),
            "origin" => filled.push_str(names.get(1).map_or(NOBODY, String::as_str)),
            "pair" => filled.push_str(&pair(names)),
            _ => filled.extend(holes.iter().find(|(name, _)| *name == hole).map(|(_, held)| *held)),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Two functions that met, in an order that does not depend on which was seen first.
fn pair(names: &[String]) -> String {
    let sorted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    if sorted.is_empty() {
        return NOBODY.to_owned();
    }
    sorted.into_iter().collect::<Vec<_>>().join(" / ")
}

/// A stack trace begins within this many lines after the one that announces it.
const TRACE_REACH: usize = 15;

/// A report ends no sooner than this many lines after what announces a trace.
const TRACE_LINES_MIN: usize = 3;

/// What is wrong with the stack traces of a report. Every sort of trace that is announced has to
/// have a frame where it comes first, and there has to be one.
fn missing_trace(lines: &[&str]) -> Option<Corruption> {
    work::add(lines.iter().map(|line| line.len()).sum());
    let mut left: Vec<Start> = Start::ALL.to_vec();
    let mut seen = false;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| trace::starts(line)) {
        let announced: Vec<Start> = left.extract_if(.., |start| start.is_in(line)).collect();
        if announced.is_empty() {
            continue;
        }
        if lines.len() - at < TRACE_LINES_MIN {
            return Some(Corruption::TraceCut);
        }
        let below = lines[at + 1..].iter().take(TRACE_REACH);
        work::add(below.clone().map(|line| line.len()).sum());
        let has_frame = below.take_while(|line| !trace::starts(line)).any(|line| {
            line.contains("(stack is not available)") || trace::frames(line).next().is_some()
        });
        if !has_frame && announced != [Start::RiscvStatus] {
            return Some(Corruption::TraceEmpty);
        }
        seen |= has_frame;
    }
    (!seen).then_some(Corruption::TraceMissing)
}
