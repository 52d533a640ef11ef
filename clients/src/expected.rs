//! The expected result of each program, kept in a file beside this crate.
//!
//! The file is a table from program to result: `pass`; `void`, for a program that passes with
//! io_uring refused and no engine at all, and so proves nothing; or `skip: why`, `fail: why`.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a program says about the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It fails without the engine and passes with it.
    Pass,
    /// It passes with the engine, and without it just as well.
    Void,
    /// It found that it cannot test here, for this reason.
    Skip(String),
    /// It fails, for this reason.
    Fail(String),
}

impl Verdict {
    /// Whether both say the same, be it for reasons that are worded otherwise.
    pub(crate) fn agrees(&self, other: &Verdict) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    fn parse(text: &str) -> Option<Verdict> {
        let reason = |reason: &str| (!reason.trim().is_empty()).then(|| reason.trim().to_owned());
        match text.split_once(':') {
            None if text == "pass" => Some(Verdict::Pass),
            None if text == "void" => Some(Verdict::Void),
            Some(("skip", why)) => reason(why).map(Verdict::Skip),
            Some(("fail", why)) => reason(why).map(Verdict::Fail),
            _ => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Pass => f.write_str("pass"),
            Verdict::Void => f.write_str("void"),
            Verdict::Skip(why) => write!(f, "skip: {why}"),
            Verdict::Fail(why) => write!(f, "fail: {why}"),
        }
    }
}

/// The file of expected results.
pub(crate) struct Expected {
    path: PathBuf,
    /// The lines of comment at its head, kept when it is written anew.
    head: String,
    verdicts: BTreeMap<String, Verdict>,
}

impl Expected {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Expected> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let head = text.lines().take_while(|line| line.starts_with('#') || line.is_empty());
        let head = head.map(|line| format!("{line}\n")).collect();
        let table: BTreeMap<String, String> =
            toml::from_str(&text).with_context(|| path.display().to_string())?;
        let mut verdicts = BTreeMap::new();
        for (program, text) in table {
            let Some(verdict) = Verdict::parse(&text) else {
                bail!("{}: {program}: {text:?} is no result", path.display());
            };
            verdicts.insert(program, verdict);
        }
        Ok(Expected { path: path.to_owned(), head, verdicts })
    }

    /// What is expected of `program`, if the file names it.
    pub(crate) fn of(&self, program: &str) -> Option<&Verdict> {
        self.verdicts.get(program)
    }

    /// The programs that the file names.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &str> {
        self.verdicts.keys().map(String::as_str)
    }

    /// Takes `verdict` over; a reason that still holds keeps its wording.
    pub(crate) fn accept(&mut self, program: &str, verdict: Verdict) {
        if !self.of(program).is_some_and(|old| old.agrees(&verdict)) {
            self.verdicts.insert(program.to_owned(), verdict);
        }
    }

    /// Writes the file anew.
    pub(crate) fn write(&self) -> Result<()> {
        let mut text = self.head.clone();
        for (program, verdict) in &self.verdicts {
            text += &format!("{program:?} = {:?}\n", verdict.to_string());
        }
        std::fs::write(&self.path, text).with_context(|| self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_survives_being_written_anew_and_keeps_reasons_that_hold() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("expected.toml");
        let text = "# head\n\n\"a\" = \"pass\"\n\"b\" = \"fail: well known\"\n\"c\" = \"void\"\n";
        std::fs::write(&path, text).unwrap();
        let mut expected = Expected::read(&path).unwrap();
        expected.accept("b", Verdict::Fail("exit 1".into()));
        expected.write().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        expected.accept("b", Verdict::Pass);
        expected.write().unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            text.replace("fail: well known", "pass")
        );
    }

    #[test]
    fn a_failure_without_a_reason_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("expected.toml");
        for text in ["a = \"fail\"\n", "a = \"fail: \"\n", "a = \"maybe\"\n", "a = 1\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(Expected::read(&path).is_err(), "{text}");
        }
    }
}
