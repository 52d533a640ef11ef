//! What kind of change a fix is, by its words and its lines.
//!
//! Each row names words; that a row matches is a fact ("the message says …", "the diff adds …"),
//! not a judgement.

use crate::diff::{Patch, Side};
use crate::names::identifiers;
use crate::presence::is_beside_the_code;

/// A kind of fault and the words that speak of it.
struct Kind {
    name: &'static str,
    /// In the message, lower case.
    says: &'static [&'static str],
    /// In identifiers on added lines, lower case.
    adds: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "synchronisation",
        says: &[
            "race",
            "racy",
            "deadlock",
            "locking",
            "lockdep",
            "concurrent",
            "unlocked",
            "kcsan",
        ],
        adds: &["lock", "mutex", "rcu_", "atomic", "barrier", "read_once", "write_once"],
    },
    Kind {
        name: "lifetime",
        says: &["use-after-free", "use after free", "uaf", "double free", "refcount", "dangling"],
        adds: &["_get", "_put", "tryget", "refcount", "kref"],
    },
    Kind {
        name: "memory safety",
        says: &[
            "overflow",
            "out-of-bounds",
            "out of bounds",
            "overrun",
            "null pointer",
            "null deref",
            "uninitialized",
            "uninitialised",
            "segfault",
            "segmentation fault",
            "corrupt",
        ],
        adds: &["array_index_nospec", "size_max", "bound"],
    },
    Kind { name: "leak", says: &["leak"], adds: &["free", "release", "close", "cleanup"] },
    Kind {
        name: "crash or hang",
        says: &[
            "oops",
            "panic",
            "crash",
            "hang",
            "stuck",
            "infinite loop",
            "bug:",
            "warning:",
            "abort",
            "stall",
        ],
        adds: &[],
    },
    Kind {
        name: "wrong result",
        says: &["wrong", "incorrect", "invalid", "bogus", "regression", "miscompil", "broken"],
        adds: &[],
    },
    Kind {
        name: "security",
        says: &["cve-", "security", "exploit", "privilege", "disclosure"],
        adds: &[],
    },
];

/// The kinds whose words the message holds, each with the first such word.
#[must_use]
pub fn said(message: &str) -> Vec<(&'static str, &'static str)> {
    let text = message.to_ascii_lowercase();
    let first = |kind: &'static Kind| {
        Some((kind.name, *kind.says.iter().find(|word| text.contains(*word))?))
    };
    KINDS.iter().filter_map(first).collect()
}

/// The kinds whose words stand in names that the change adds, each with the first such name.
#[must_use]
pub fn added(patch: &Patch) -> Vec<(&'static str, String)> {
    let files = patch.files.iter().filter(|file| !is_beside_the_code(&file.new_path));
    let lines = files.flat_map(|file| &file.hunks).flat_map(|hunk| hunk.only(Side::Added));
    let names: Vec<&str> = lines.flat_map(identifiers).collect();
    let first = |kind: &'static Kind| {
        let name = names.iter().find(|name| {
            let name = name.to_ascii_lowercase();
            kind.adds.iter().any(|word| name.contains(word))
        })?;
        Some((kind.name, (*name).to_owned()))
    };
    KINDS.iter().filter_map(first).collect()
}

/// The sentences of a message that say how the fault shows itself or what triggers it.
#[must_use]
pub fn telling_sentences(message: &str) -> Vec<String> {
    let words = KINDS.iter().flat_map(|kind| kind.says);
    let words: Vec<&str> = words.copied().chain(["trigger", "reproduc", "when ", "if "]).collect();
    let body = message.split_once('\n').map_or("", |(_, body)| body);
    let text = body.lines().filter(|line| !is_tag_line(line)).collect::<Vec<_>>().join(" ");
    let sentences = text.split_inclusive(". ").map(str::trim);
    sentences
        .filter(|sentence| {
            let lower = sentence.to_ascii_lowercase();
            words.iter().any(|word| lower.contains(word))
        })
        .take(4)
        .map(|sentence| sentence.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn is_tag_line(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(name, _)| !name.is_empty() && !name.contains(' '))
}

/// The class of changes that the stable rules let in although they fix no fault.
#[must_use]
pub fn exception(message: &str, patch: &Patch) -> Option<&'static str> {
    let paths: Vec<&str> = patch.files.iter().map(|file| file.new_path.as_str()).collect();
    let all =
        |test: &dyn Fn(&str) -> bool| !paths.is_empty() && paths.iter().all(|path| test(path));
    let ends = |suffixes: &'static [&'static str]| {
        move |path: &str| suffixes.iter().any(|suffix| path.ends_with(suffix))
    };
    let title = message.lines().next().unwrap_or_default().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| title.contains(word));
    let added =
        patch.files.iter().flat_map(|file| &file.hunks).flat_map(|hunk| hunk.only(Side::Added));
    let added: Vec<&str> = added.filter(|line| !line.trim().is_empty()).collect();
    let ids = |line: &&str| -> bool {
        let line = line.to_ascii_lowercase();
        [
            "usb_device",
            "pci_device",
            "pci_vdevice",
            "hid_usb_device",
            "of_device_id",
            ".compatible",
            "dmi_match",
        ]
        .iter()
        .any(|word| line.contains(word))
    };
    if all(&ends(&[".dts", ".dtsi", ".dtso"])) {
        Some("device tree")
    } else if all(&ends(&[".md", ".rst", ".texi", ".txt", ".adoc"]))
        || all(&|path: &str| path.starts_with("Documentation/"))
    {
        Some("documentation")
    } else if patch.counts().1 == 0
        && !added.is_empty()
        && added.iter().any(ids)
        && added.len() <= 12
    {
        Some("device id")
    } else if says(&["quirk", "workaround for", "blacklist", "denylist"]) {
        Some("quirk")
    } else if says(&[
        "build error",
        "build fail",
        "compile",
        "build fix",
        "fix build",
        "linker error",
    ]) || all(&ends(&[
        "Makefile",
        "Kconfig",
        "Kbuild",
        "CMakeLists.txt",
        "configure",
        "configure.ac",
        "meson.build",
    ])) {
        Some("build")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(path: &str, body: &str) -> Patch {
        let old = body.lines().filter(|line| !line.starts_with('+')).count();
        let new = body.lines().filter(|line| !line.starts_with('-')).count();
        Patch::read(&format!(
            "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1,{old} +1,{new} @@\n{body}"
        ))
    }

    #[test]
    fn words_and_lines_name_the_kind() {
        let message = "aio: fix lookup\n\nThis can potentially race with io_destroy(). Nothing else.\n\nFixes: 123 (\"race\")\n";
        assert_eq!(said(message)[0], ("synchronisation", "race"));
        assert_eq!(telling_sentences(message), ["This can potentially race with io_destroy()."]);
        let change = patch("fs/aio.c", "+\tif (percpu_ref_tryget_live(&ctx->users))\n");
        assert_eq!(added(&change), [("lifetime", "percpu_ref_tryget_live".to_owned())]);
    }

    #[test]
    fn exceptions_are_told_by_what_changes() {
        let none = patch("a.c", "-x = 1;\n+x = 2;\n");
        assert_eq!(exception("a: fix", &none), None);
        assert_eq!(exception("doc", &patch("docs/a.rst", "+text\n")), Some("documentation"));
        let id = patch("u.c", "+\t{ USB_DEVICE(0x1234, 0x5678) },\n");
        assert_eq!(exception("usb: add one", &id), Some("device id"));
        assert_eq!(exception("x: fix build with gcc 14", &none), Some("build"));
    }
}
