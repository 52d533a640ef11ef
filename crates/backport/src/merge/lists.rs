//! The rung for lists of names that run over several lines, as build files have them.
//!
//! The same list is broken into lines differently on every branch, so that lines tell little about
//! it. What the fix adds is told in names: those go to the end of the branch's list, or where its
//! order asks for them. A fix that takes names out, or text that is no such list, is left alone.

use super::edits::is_list_entry;
use super::{Resolved, Rung};

/// Lines are filled up to this column.
const WIDTH: usize = 79;

/// A line of a list: its indent, its names, and whether the list goes on behind it.
struct Line<'a> {
    indent: &'a [u8],
    names: Vec<&'a [u8]>,
    goes_on: bool,
}

/// Enters the names that the fix adds into the branch's list.
pub(super) fn carry_names(base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]]) -> Option<Resolved> {
    let (old, new) = (read(base)?, read(theirs)?);
    let here = read(ours)?;
    // Without any line that goes on this may be anything.
    if ![&old, &new, &here].iter().any(|side| side.iter().any(|line| line.goes_on)) {
        return None;
    }
    let known = |side: &[Line<'_>], name: &[u8]| side.iter().any(|line| line.names.contains(&name));
    let names = |side: &[Line<'_>]| -> usize { side.iter().map(|line| line.names.len()).sum() };
    let added: Vec<&[u8]> = new
        .iter()
        .flat_map(|line| &line.names)
        .copied()
        .filter(|name| !known(&old, name))
        .collect();
    if added.is_empty() || names(&old) + added.len() != names(&new) {
        return None;
    }
    let wanted: Vec<&[u8]> = added.into_iter().filter(|name| !known(&here, name)).collect();
    let (mut lines, last) = match here.iter().rposition(|line| !line.names.is_empty()) {
        Some(last) => (ours.iter().map(|line| line.to_vec()).collect::<Vec<_>>(), last),
        None => return None,
    };
    if wanted.is_empty() {
        return Some(Resolved { lines, steps: vec![(Rung::AlreadyThere, 0)] });
    }
    if here[last].goes_on {
        let steps = enter_sorted(&mut lines, &here, &wanted)?;
        return Some(Resolved { lines, steps });
    }
    let indent = [&here, &old, &new]
        .iter()
        .flat_map(|side| side.iter())
        .map(|line| line.indent)
        .rfind(|indent| !indent.is_empty())
        .unwrap_or(b"\t");
    let own = here[last].indent;
    append(&mut lines, last, if own.is_empty() { indent } else { own }, &wanted);
    Some(Resolved { lines, steps: vec![(Rung::NameList, last)] })
}

/// Reads lines as a list of names; `None` if one of them is something else.
fn read<'a>(lines: &[&'a [u8]]) -> Option<Vec<Line<'a>>> {
    let mut found = Vec::new();
    for line in lines {
        let text = line.trim_ascii_end();
        let indent = &text[..text.len() - text.trim_ascii_start().len()];
        let goes_on = text.ends_with(b"\\");
        let text = text.strip_suffix(b"\\").unwrap_or(text);
        let mut names: Vec<&[u8]> =
            text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        // `NAME := …` opens a list; a comment closes one.
        if names.get(1).is_some_and(|word| [&b"="[..], b":=", b"+=", b"?="].contains(word)) {
            names.drain(..2);
        } else if names.first().is_some_and(|word| word.starts_with(b"#")) {
            names.clear();
        } else if text.is_empty() && found.len() + 1 < lines.len() {
            return None;
        }
        if !names.iter().all(|name| is_list_entry(name)) {
            return None;
        }
        found.push(Line { indent, names, goes_on });
    }
    Some(found)
}

/// Adds names behind the last ones.
fn append(lines: &mut Vec<Vec<u8>>, last: usize, indent: &[u8], wanted: &[&[u8]]) {
    let mut at = last;
    for name in wanted {
        let line = lines[at].trim_ascii_end().to_vec();
        if columns(&line) + 1 + name.len() <= WIDTH {
            lines[at] = [&line, &b" "[..], name, b"\n"].concat();
        } else {
            lines[at] = [&line, &b" \\\n"[..]].concat();
            at += 1;
            lines.insert(at, [indent, name, b"\n"].concat());
        }
    }
}

fn columns(line: &[u8]) -> usize {
    line.iter().fold(0, |column, byte| match byte {
        b'\t' => (column / 8 + 1) * 8,
        _ => column + 1,
    })
}

/// Enters names into a sorted list of one name a line.
fn enter_sorted(
    lines: &mut Vec<Vec<u8>>,
    here: &[Line<'_>],
    wanted: &[&[u8]],
) -> Option<Vec<(Rung, usize)>> {
    let single: Vec<(usize, &[u8])> = here
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.indent.is_empty() && !line.names.is_empty())
        .map(|(at, line)| (at, line.names[0]))
        .collect();
    // `$(…)` and such stand before the names.
    let names: Vec<&(usize, &[u8])> =
        single.iter().filter(|(_, name)| name[0].is_ascii_alphanumeric()).collect();
    let plain = here.iter().all(|line| line.names.len() <= 1) && names.len() >= 3;
    if !plain || !names.is_sorted_by_key(|(_, name)| *name) {
        return None;
    }
    let mut steps = Vec::new();
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    // From the last to the first, so that the numbers of the lines before stay what they are.
    for name in sorted.iter().rev() {
        let (at, _) = names.iter().find(|(_, other)| other > name).or(names.last())?;
        let behind = usize::from(names.last().is_some_and(|(_, other)| other < name));
        lines.insert(at + behind, [here[*at].indent, name, b" \\\n"].concat());
        steps.push((Rung::SortedList, at + behind));
    }
    Some(steps)
}
