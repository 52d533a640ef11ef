//! A small language for the lines of a log, so that a table of them reads like the log itself.
//!
//! A pattern is text that stands for itself, with holes: `{class}` or `{:a|b}` fits and is
//! forgotten, `{name:class}` and `{name:a|b}` fit and are kept. `^` at the start and `$` at the end
//! tie the pattern to the ends of the line; else it fits anywhere within. `~` at the start makes
//! capitals and small letters the same. The classes:
//!
//! | class | fits |
//! |---|---|
//! | `*`, `rest` | anything, as much as can be |
//! | `some` | the same, but not nothing |
//! | `few` | anything, as little as can be |
//! | `fn` | a function, before `+0x12/0x34` or a suffix such as `.part.0` |
//! | `at` | nothing, or a program counter and a blank |
//! | `pc` | a program counter: `[<ffffffff81234567>]`, `[c0001234]` |
//! | `ip` | the instruction pointer's line, and its function as a frame |
//! | `warned` | the same, or the line of an interrupt on PowerPC |
//! | `src` | a file and a line: `mm/slab.c:123` |
//! | `hex`, `num` | digits |
//! | `slug` | lower-case words with dashes; `phrase` has blanks too |
//! | `ident`, `word`, `unbracketed` | a name; anything without a blank; without a bracket |
//! | `gap`, `blank` | one blank or more; any number |
//! | `crc` | nothing, or a checksum in brackets |
//! | `task` | a task's name and number, which may be anything, up to a hundred characters |

use regex::{Captures, Regex};

/// The holes that hold a function which may be the guilty one.
const FRAMES: [&str; 2] = ["frame", "interrupted"];

const PC: &str = r"\[<?(?:0x)?[0-9a-f]+>?\]";

/// The line of the instruction pointer: its name (x86, PowerPC, ARM), a segment, up to two
/// addresses, the function; or an address or a null pointer where no function is known.
const IP: &str = concat!(
    r"(?:IP|NIP|pc |PC is at):? (?:",
    r"(?:[0-9]+:)?(?:\[<?(?:0x)?[0-9a-f]+>?\] +){0,2}(?P<frame>[a-zA-Z0-9_]+)[.+]",
    r"|(?:[0-9]+:)?0x[0-9a-f]+",
    r"|(?:[0-9]+:)?\[<?(?:0x)?[0-9a-f]+>?\] +\[< *\(null\)>\] +\(null\)",
    r"|[0-9]+: +\(null\))",
);

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern of the tables.
    ///
    /// # Panics
    ///
    /// If the pattern is wrong. A test compiles every pattern of the tables.
    pub(crate) fn new(pattern: &str) -> Pattern {
        let (start, pattern) = match pattern.split_at_checked(1) {
            Some(("^", rest)) => ("^", rest),
            Some(("~", rest)) => ("(?i)", rest),
            _ => ("", pattern),
        };
        let (pattern, end) = match pattern.strip_suffix('$') {
            Some(rest) => (rest, "(?m:$)"),
            None => (pattern, ""),
        };
        let mut regex = String::from(start);
        let mut rest = pattern;
        while let Some((text, after)) = rest.split_once('{') {
            let (hole, after) = after.split_once('}').expect("a hole has an end");
            regex.push_str(&regex::escape(text));
            push_hole(&mut regex, hole);
            rest = after;
        }
        regex.push_str(&regex::escape(rest));
        regex.push_str(end);
        Pattern(Regex::new(&regex).expect("a pattern of the tables"))
    }

    /// Whether `text` holds the pattern.
    pub(crate) fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// What the holes hold, if `text` holds the pattern.
    pub(crate) fn read<'t>(&self, text: &'t str) -> Option<Found<'_, 't>> {
        Some(Found { regex: &self.0, captures: self.0.captures(text)? })
    }
}

/// What the holes of a pattern hold.
pub(crate) struct Found<'p, 't> {
    regex: &'p Regex,
    captures: Captures<'t>,
}

impl<'p, 't> Found<'p, 't> {
    /// Where in the text the pattern begins to fit.
    pub(crate) fn start(&self) -> usize {
        self.captures.get(0).map_or(0, |all| all.start())
    }

    /// The function that the pattern names as a frame.
    pub(crate) fn frame(&self) -> Option<&'t str> {
        FRAMES.iter().find_map(|name| self.captures.name(name)).map(|frame| frame.as_str())
    }

    /// Every hole that is kept, by name.
    pub(crate) fn holes(&self) -> impl Iterator<Item = (&'p str, &'t str)> {
        self.regex.capture_names().flatten().map(|name| {
            let held = self.captures.name(name).map_or("", |held| held.as_str());
            (name, held)
        })
    }
}

/// The longest piece of a pattern that stands for itself: a line without it cannot fit.
pub(crate) fn longest_text(pattern: &'static str) -> &'static str {
    let pieces = pattern.split('{').map(|piece| piece.split_once('}').map_or(piece, |p| p.1));
    pieces.max_by_key(|piece| piece.len()).unwrap_or("")
}

fn push_hole(regex: &mut String, hole: &str) {
    let (name, class) = hole.split_once(':').unwrap_or(("", hole));
    let (body, after) = match known(class) {
        Some(known) => known,
        None => {
            assert!(class.contains('|'), "no class is called {class}");
            (class.split('|').map(regex::escape).collect::<Vec<_>>().join("|"), "")
        }
    };
    if name.is_empty() {
        regex.push_str(&format!("(?:{body}){after}"));
    } else {
        regex.push_str(&format!("(?P<{name}>{body}){after}"));
    }
}

/// The expression of a class, and what has to follow it.
fn known(class: &str) -> Option<(String, &'static str)> {
    let body = match class {
        "*" | "rest" => ".*",
        "some" => ".+",
        "few" => ".*?",
        "fn" => return Some(("[a-zA-Z0-9_]+".to_owned(), "[.+]")),
        "at" => return Some((format!("(?:{PC} +)?"), "")),
        "pc" => PC,
        "ip" => IP,
        "warned" => {
            let interrupt = "--- interrupt: [0-9]+ at (?P<interrupted>[a-zA-Z0-9_]+)[.+]";
            return Some((format!("{IP}|{interrupt}"), ""));
        }
        "src" => r"[a-zA-Z0-9_/.-]+\.[a-z]+:[0-9]+",
        "hex" => "[0-9a-f]+",
        "num" => "[0-9]+",
        "slug" => "[a-z-]+",
        "phrase" => "[a-z -]+",
        "ident" => "[a-zA-Z0-9_]+",
        "word" => "[^ ]+",
        "unbracketed" => r"[^\]]+",
        "gap" => " +",
        "blank" => r"[ \t]*",
        "crc" => r"(?: \(crc [0-9a-fA-F]*\))?",
        "task" => r"[\s\S]{0,100}?",
        _ => return None,
    };
    Some((body.to_owned(), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_hold_what_they_fit() {
        let pattern = Pattern::new("BUG: KASAN: {bug:slug} in {frame:fn}");
        let found = pattern.read("[1.2] BUG: KASAN: use-after-free in foo.part.0+0x1/0x2").unwrap();
        let holes: Vec<_> = found.holes().collect();
        assert_eq!(holes, [("bug", "use-after-free"), ("frame", "foo")]);
        assert_eq!((found.start(), found.frame()), (6, Some("foo")));
        assert!(!pattern.fits("BUG: KASAN: use-after-free on address"));
    }

    #[test]
    fn text_stands_for_itself_and_ends_tie() {
        assert!(Pattern::new("^a.b(c) {x:one|two}$").fits("a.b(c) two"));
        assert!(!Pattern::new("^a.b(c) {x:one|two}$").fits("a.b(c) two "));
        assert!(!Pattern::new("a.b").fits("axb"));
    }

    #[test]
    fn case_may_be_ignored() {
        assert!(Pattern::new("~warning: {*} uses").fits("WARNING: IT USES"));
        assert!(!Pattern::new("warning: {*} uses").fits("WARNING: IT USES"));
    }

    #[test]
    fn the_text_of_a_pattern() {
        assert_eq!(longest_text("Killed {*} ({:a|b})"), "Killed ");
        assert_eq!(longest_text("a: {*}out of memory"), "out of memory");
        assert_eq!(longest_text("text"), "text");
    }

    #[test]
    fn the_instruction_pointer_on_every_machine() {
        let pattern = Pattern::new("{ip}");
        for (line, frame) in [
            ("RIP: 0010:foo+0x1/0x2", Some("foo")),
            ("RIP: 0010:[<ffffffff81>]  [<ffffffff81>] foo+0x1/0x2", Some("foo")),
            ("EIP: foo+0x1/0x2", Some("foo")),
            ("NIP [c0001] foo+0x1/0x2", Some("foo")),
            ("pc : foo+0x1/0x2", Some("foo")),
            ("PC is at foo+0x1/0x2", Some("foo")),
            ("RIP: 0010:0xffffffff81", None),
            ("RIP: 0010:          (null)", None),
        ] {
            assert_eq!(pattern.read(line).expect(line).frame(), frame, "{line}");
        }
        assert!(!pattern.fits("Code: 00 00"));
    }
}
