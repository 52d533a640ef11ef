//! Stacks of programs: the frames that Rust's backtraces and the sanitizers print.

/// The function that a line names as a frame: `   3: krate::f`, `   3:     0x55aa - krate::f`,
/// `    #0 0x55d3fb05e1fb in f /path/a.c:5`, `    #0 f /path/a.c:5 (module+0x127b)`.
pub(crate) fn frame(line: &str) -> Option<String> {
    let text = line.trim_start();
    let (number, rest) = match text.strip_prefix('#') {
        Some(text) => text.split_once(' ')?,
        None => text.split_once(':')?,
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let name = match (text.starts_with('#'), rest.starts_with("0x")) {
        (true, true) => first_word(rest.split_once(" in ")?.1),
        (true, false) => first_word(rest),
        (false, true) => rest.split_once(" - ")?.1,
        (false, false) => rest,
    };
    let name = plain(name);
    (!name.is_empty()).then_some(name)
}

/// Whether `line` ends a stack.
pub(crate) fn ends(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || text.starts_with("note:") || text.starts_with("SUMMARY:")
}

/// The function at the start of `text`, which may have blanks within brackets; a path follows.
fn first_word(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'{' | b'[' => depth += 1,
            b'>' | b')' | b'}' | b']' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 && !text[..at].ends_with("operator") => return &text[..at],
            _ => {}
        }
    }
    text
}

/// A name without what says nothing of the place in the sources: types of parameters and of
/// generics, hashes, closures.
fn plain(name: &str) -> String {
    let name = name.strip_prefix("(anonymous namespace)::").unwrap_or(name);
    let mut plain = String::new();
    let mut depth = 0_usize;
    // `<Type as Trait>::function` opens with a bracket that belongs to the name.
    let mut in_type = false;
    for byte in name.chars() {
        match byte {
            '<' if plain.is_empty() => {
                in_type = true;
                plain.push('<');
            }
            '<' | '[' | '{' => depth += 1,
            '(' if depth == 0 && !in_type => break,
            '(' => depth += 1,
            '>' if plain.ends_with('-') => plain.push('>'),
            '>' if depth == 0 && in_type => {
                in_type = false;
                plain.push('>');
            }
            '>' | ']' | '}' | ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ => plain.push(byte),
        }
    }
    let mut parts: Vec<&str> = plain.split("::").collect();
    if parts.last().is_some_and(|part| is_hash(part)) {
        parts.pop();
    }
    let kept = parts.iter().enumerate().filter(|(at, part)| *at == 0 || !part.is_empty());
    kept.map(|(_, part)| *part).collect::<Vec<_>>().join("::")
}

/// `h05af221e174051e9`.
fn is_hash(part: &str) -> bool {
    let digits = part.strip_prefix('h').unwrap_or("");
    digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_programs() {
        for (line, name) in [
            ("    #0 0x55d3fb05e1fb in use /tmp/a.c:5", "use"),
            ("    #1 ab /tmp/t.c:4 (t+0x127b)", "ab"),
            ("    #2 0x7f in foo::bar(int, char*) const /tmp/a.cc:5:3", "foo::bar"),
            ("    #3 0x7f in operator new(unsigned long) (/lib/x+0x1)", "operator new"),
            ("    #4 0x7f in (anonymous namespace)::go(int) a.cc:1", "go"),
            ("    #5 0x7f in std::vector<int, std::allocator<int> >::at(int) a", "std::vector::at"),
            ("   3: m::deep::index", "m::deep::index"),
            ("   4: core::option::Option<T>::unwrap", "core::option::Option::unwrap"),
            ("   5: core::panicking::assert_failed::<i32, i32>", "core::panicking::assert_failed"),
            ("   6: <m::deep::S<T> as m::deep::Tr>::run", "<m::deep::S as m::deep::Tr>::run"),
            ("   7: m::main::{{closure}}", "m::main"),
            ("   8: m::main::{closure#0}::h05af221e174051e9", "m::main"),
            (
                "   9:     0x55aa - std[e28293b1aa0f68bd]::panicking::default_hook",
                "std::panicking::default_hook",
            ),
        ] {
            assert_eq!(frame(line).as_deref(), Some(name), "{line}");
        }
        for line in
            ["             at ./p/m.rs:1:66", "    #0 0x55 (module+0x1)", "12:30 o'clock", ""]
        {
            assert!(frame(line).is_none_or(|name| name == "30 o'clock"), "{line}");
        }
    }
}
