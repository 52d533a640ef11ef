//! The names in a text: identifiers, included files, and the functions that lines stand in.

use crate::diff::{Hunk, Side};
use std::collections::BTreeSet;

/// Words that are no names in most languages that fixes are written in.
const KEYWORDS: &[&str] = &[
    "auto", "await", "bool", "break", "case", "char", "class", "const", "continue", "default",
    "define", "double", "elif", "else", "endif", "enum", "error", "extern", "false", "float",
    "for", "from", "goto", "ifdef", "ifndef", "import", "include", "inline", "int", "long", "none",
    "null", "pass", "pragma", "public", "register", "return", "self", "short", "signed", "sizeof",
    "static", "struct", "switch", "this", "true", "typedef", "undef", "union", "unsigned", "void",
    "volatile", "while", "with",
];

/// The identifiers of a line outside of its strings and comments, at least three letters long.
///
/// ```
/// use ringfence_backport::names::identifiers;
/// let found: Vec<_> = identifiers("  if (req_ref(x) == \"text\") // why").collect();
/// assert_eq!(found, ["req_ref"]);
/// ```
pub fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    let code = code_part(line);
    let mut quote = None;
    let mut escaped = false;
    // Quoted text becomes a separator; a closing quote and its text are never part of a word.
    code.split(move |c: char| {
        if let Some(open) = quote {
            let closes = c == open && !escaped;
            escaped = c == '\\' && !escaped;
            if closes {
                quote = None;
            }
            return true;
        }
        if c == '"' {
            quote = Some(c);
        }
        !(c.is_alphanumeric() || c == '_')
    })
    .filter(|word| is_identifier(word))
}

fn is_identifier(word: &str) -> bool {
    word.len() >= 3
        && !word.starts_with(|c: char| c.is_ascii_digit())
        && word.is_ascii()
        && KEYWORDS.binary_search(&word.to_ascii_lowercase().as_str()).is_err()
}

/// The line without its comment; nothing for a line that is all comment.
fn code_part(line: &str) -> &str {
    let text = line.trim_start();
    let directive = ["#include", "#define", "#if", "#el", "#endif", "#undef", "# "];
    let comment = text.starts_with("//")
        || text.starts_with("/*")
        || text.starts_with("* ")
        || text.starts_with('#') && !directive.iter().any(|word| text.starts_with(word));
    if comment {
        return "";
    }
    let end = line.find("//").or_else(|| line.find("/*")).unwrap_or(line.len());
    &line[..end]
}

/// The names that a change uses and a file did not need before: in its added lines, neither in
/// its removed lines nor declared by it.
#[must_use]
pub fn needed<'a>(
    added: impl Iterator<Item = &'a str>,
    removed: impl Iterator<Item = &'a str>,
) -> BTreeSet<String> {
    let before: BTreeSet<&str> = removed.flat_map(identifiers).collect();
    let (mut used, mut own) = (BTreeSet::new(), BTreeSet::new());
    for line in added {
        for name in identifiers(line).filter(|name| !before.contains(name)) {
            let set = if declares(line, name) { &mut own } else { &mut used };
            set.insert(name.to_owned());
        }
    }
    used.retain(|name| !own.contains(name));
    used
}

/// The part of a line that names what the program is made of: in assembly all but the instruction.
#[must_use]
pub fn naming_part<'a>(path: &str, line: &'a str) -> &'a str {
    let text = line.trim_start();
    let assembly = [".S", ".s", ".asm"].iter().any(|end| path.ends_with(end));
    if !assembly || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return line;
    }
    text.find(|c: char| c.is_whitespace()).map_or("", |end| &text[end..])
}

/// Whether a line brings `name` into being: as a macro, a label, or behind the name of its type.
fn declares(line: &str, name: &str) -> bool {
    // Words that a name follows without being declared.
    const USES: &[&str] =
        &["return", "goto", "else", "case", "sizeof", "in", "not", "new", "ifdef", "ifndef", "if"];
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (line[..at].trim_end(), line[at + name.len()..].trim_start());
        if line[..at].ends_with(word) || line[at + name.len()..].starts_with(word) {
            return false;
        }
        let stem = before.trim_end_matches(['*', ' ', '\t']);
        let last = stem.rsplit(|c: char| !word(c)).next().unwrap_or_default();
        let label = after.starts_with(':') || before.ends_with('(') && after.starts_with("):");
        let typed = !last.is_empty()
            && !USES.contains(&last)
            && (stem.len() == before.len() || !stem.contains(['=', '(']))
            && (after.is_empty() || after.starts_with(['=', ';', ',', ')', '[']));
        last == "define" || label && last != "case" && !before.contains('?') || typed
    })
}

/// The file that a line includes, as written.
#[must_use]
pub fn included(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("include")?;
    let rest = rest.trim_start();
    let close = if rest.starts_with('<') { '>' } else { '"' };
    let path = rest.strip_prefix(['<', '"'])?;
    path.split_once(close).map(|(path, _)| path)
}

/// The function a line of a text stands in: the last line before it that starts at the margin
/// with a name and is no label, as `git diff` chooses its hunk heads.
#[must_use]
pub fn enclosing<'a>(lines: &[&'a str], at: usize) -> Option<&'a str> {
    let head = |line: &&&str| {
        line.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
            && !line.trim_end().ends_with(':')
    };
    lines[..at.min(lines.len())].iter().rev().find(head).copied()
}

/// The name of the function that a hunk head or a definition's first line names.
#[must_use]
pub fn function_name(head: &str) -> Option<&str> {
    let before = head.split_once('(').map_or(head, |(before, _)| before);
    let words = before.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.rev().find(|word| is_identifier(word))
}

/// The body of the function `name`: from the line that defines it to the closing brace at the
/// margin (or the next definition). Empty when there is none.
#[must_use]
pub fn body_of<'a>(lines: &[&'a str], name: &str) -> Vec<&'a str> {
    let defines = |line: &str| {
        line.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && !line.trim_end().ends_with(';')
            && line.contains('(')
            && function_name(line) == Some(name)
    };
    let Some(start) = lines.iter().position(|line| defines(line)) else { return Vec::new() };
    let rest = &lines[start..];
    let end = rest.iter().skip(1).position(|line| {
        line.starts_with('}') || line.starts_with(|c: char| c.is_alphabetic()) && line.contains('(')
    });
    rest[..end.map_or(rest.len(), |end| end + 2).min(rest.len())].to_vec()
}

/// Endings of files in languages that call each other freely.
const KINDRED: &[&[&str]] = &[
    &["c", "h", "S", "s", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "inc", "m", "mm"],
    &["js", "jsx", "mjs", "ts", "tsx", "vue"],
    &["java", "kt", "scala", "groovy"],
];

/// The lines that a hunk adds, without what stands inside of a comment of several lines, which only
/// its neighbours tell from code.
#[must_use]
pub fn added_code<'a>(path: &str, hunk: &'a Hunk) -> Vec<&'a str> {
    let ending = path.rsplit('.').next().unwrap_or_default();
    if !KINDRED.iter().any(|family| family.contains(&ending)) {
        return hunk.only(Side::Added).collect();
    }
    // The hunk begins inside of a comment if one ends before any begins.
    let ends_first = |line: &str| {
        let (open, close) = (line.find("/*"), line.find("*/"));
        close.is_some_and(|close| open.is_none_or(|open| close < open))
    };
    let marked = |line: &&str| line.contains("/*") || line.contains("*/");
    let mut inside = hunk.post_image().find(marked).is_some_and(ends_first);
    let mut found = Vec::new();
    for line in hunk.lines.iter().filter(|line| line.side != Side::Removed) {
        let mut text = line.text.as_str();
        if inside {
            let Some((_, rest)) = text.split_once("*/") else { continue };
            text = rest;
        }
        inside = text.rfind("/*") > text.rfind("*/");
        if line.side == Side::Added {
            found.push(text);
        }
    }
    found
}

/// Patterns of the files that can call what the code of these paths defines; empty where any file
/// can, as when a path has no ending.
#[must_use]
pub fn file_kinds(paths: &[String]) -> Vec<String> {
    let mut endings = std::collections::BTreeSet::new();
    for path in paths.iter().filter(|path| !crate::presence::is_beside_the_code(path)) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some((_, ending)) = name.rsplit_once('.') else { return Vec::new() };
        match KINDRED.iter().find(|family| family.contains(&ending)) {
            Some(family) => endings.extend(family.iter().copied()),
            None => drop(endings.insert(ending)),
        }
    }
    endings.into_iter().map(|ending| format!("*.{ending}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_so_that_they_are_found() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn includes_and_functions_are_named() {
        assert_eq!(included("# include <support/check.h>"), Some("support/check.h"));
        assert_eq!(included("#define include"), None);
        assert_eq!(function_name("static int do_lookup(struct x *p, int n)"), Some("do_lookup"));
        let text = ["int a (void)", "{", "  x;", "out:", "  y;", "}"];
        assert_eq!(enclosing(&text, 4), Some("int a (void)"));
        assert_eq!(body_of(&text, "a").len(), 0, "names of one letter are not looked for");
    }

    #[test]
    fn a_body_ends_with_its_brace() {
        let text = ["int one_f(int n)", "{", "  x();", "}", "", "int two_f(int n)", "{", "}"];
        assert_eq!(body_of(&text, "one_f"), text[..4]);
    }

    #[test]
    fn what_a_change_needs_is_new_to_it() {
        let found =
            needed(["  lock_it (ctx);", "  run (ctx);"].into_iter(), ["  run (ctx);"].into_iter());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["lock_it"]);
    }

    #[test]
    fn an_instruction_is_no_name() {
        assert_eq!(naming_part("a/strlen.S", "\tvpminub VEC(1), ymm0"), " VEC(1), ymm0");
        assert_eq!(naming_part("a/strlen.S", "L(loop):"), "L(loop):");
        assert_eq!(naming_part("a.c", "\tcall (x);"), "\tcall (x);");
    }

    #[test]
    fn what_a_change_declares_it_does_not_need() {
        for line in
            ["  int width = 1;", "#define width 3", "width:", "  struct x *width;", "L(width):"]
        {
            assert!(declares(line, "width"), "{line}");
        }
        for line in [
            "  return width;",
            "  x = a * width;",
            "  use (width);",
            "  case width:",
            "  goto width;",
        ] {
            assert!(!declares(line, "width"), "{line}");
        }
    }

    #[test]
    fn callers_are_looked_for_where_they_can_be() {
        let kinds = |paths: &[&str]| {
            file_kinds(&paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>())
        };
        assert!(kinds(&["a/b.c", "NEWS"]).contains(&"*.h".to_owned()));
        assert_eq!(kinds(&["a/b.py"]), ["*.py"]);
        assert!(kinds(&["a/b.c", "configure"]).is_empty() && kinds(&["NEWS"]).is_empty());
    }

    #[test]
    fn words_of_a_comment_are_no_names() {
        let hunk = |body: &str| {
            let old = body.lines().filter(|line| !line.starts_with('+')).count();
            let new = body.lines().filter(|line| !line.starts_with('-')).count();
            let text =
                format!("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,{old} +1,{new} @@\n{body}");
            crate::diff::Patch::read(&text).files.remove(0).hunks.remove(0)
        };
        let all = hunk("+  /* Ensure that it\n+     tops out below.  */ act (x);\n+  more (y);\n");
        assert_eq!(added_code("a.c", &all), ["  /* Ensure that it", " act (x);", "  more (y);"]);
        let begun = hunk("   bytes plus whatever\n+  leaving space.  */\n+  call (z);\n");
        assert_eq!(added_code("a.h", &begun), ["", "  call (z);"]);
        let shell = hunk("+for f in /tmp/*\n+do echo; done\n");
        assert_eq!(added_code("a.sh", &shell).len(), 2);
    }
}
