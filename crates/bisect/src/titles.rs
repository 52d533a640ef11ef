//! Which titles are the bug and which are something else.
//!
//! A bug shows under several titles: one function, seen from two checkers; one corruption, noticed
//! in two places. Titles of one *family* count as the bug.

use std::collections::{BTreeMap, BTreeSet};

/// The failure titles seen at each revision, and how often.
#[derive(Debug, Clone, Default)]
pub struct Titles {
    seen: BTreeMap<String, BTreeMap<String, u32>>,
    first: Option<String>,
}

/// A title that makes up less than this part of a revision's failures may be chance.
const PART: f64 = 0.2;

impl Titles {
    /// Notes a failure of a revision; the first revision noted is the one that must fail.
    pub fn note(&mut self, revision: &str, title: &str) {
        self.first.get_or_insert_with(|| revision.to_owned());
        let at = self.seen.entry(revision.to_owned()).or_default();
        *at.entry(title.to_owned()).or_default() += 1;
    }

    /// The titles that count as the bug.
    ///
    /// It starts from the commonest at the first revision. A title joins when it names the same
    /// function as one of the family, or when it came up at least twice, and for a good part of
    /// the failures, at a revision where the family came up too.
    #[must_use]
    pub fn family(&self) -> BTreeSet<String> {
        let mut family = BTreeSet::new();
        let Some(first) = self.first.as_ref().and_then(|first| self.seen.get(first)) else {
            return family;
        };
        let commonest = first.iter().max_by_key(|(title, count)| (**count, title.len()));
        family.extend(commonest.map(|(title, _)| title.clone()));
        loop {
            let before = family.len();
            for at in self.seen.values() {
                let all: u32 = at.values().sum();
                let known = at.keys().any(|title| family.contains(title));
                for (title, &count) in at {
                    let often = count >= 2 && f64::from(count) >= PART * f64::from(all);
                    let same = || family.iter().any(|other| same_function(title, other));
                    if (known && often) || same() {
                        family.insert(title.clone());
                    }
                }
            }
            if family.len() == before {
                return family;
            }
        }
    }

    /// Every title seen at a revision, with its count.
    #[must_use]
    pub fn at(&self, revision: &str) -> Option<&BTreeMap<String, u32>> {
        self.seen.get(revision)
    }
}

/// Whether two titles name the same function (`... in FUNCTION`).
fn same_function(one: &str, two: &str) -> bool {
    let function = |title: &str| Some(title.rsplit_once(" in ")?.1.trim().to_owned());
    function(one).is_some() && function(one) == function(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_that_changes_its_title_stays_one_family() {
        let mut titles = Titles::default();
        for _ in 0..8 {
            titles.note("new", "WARNING: refcount bug in io_link_timeout_fn");
        }
        titles.note("new", "WARNING in kvm_wait");
        for _ in 0..6 {
            titles.note("old", "possible deadlock in io_link_timeout_fn");
            titles.note("old", "possible deadlock in io_timeout_fn");
        }
        titles.note("lone", "BUG: soft lockup in other");
        let family = titles.family();
        assert_eq!(family.len(), 3, "{family:?}");
        assert!(!family.contains("WARNING in kvm_wait"));
    }
}
