//! What is known of every revision, read from the journal's events.

use crate::journal::Event;
use crate::range::Range;
use crate::search::{Config, Search, TITLED, Tally, UNTITLED};
use crate::titles::Titles;
use crate::verdict::Verdict;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// One revision's record.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// What it built to.
    pub signature: Option<String>,
    /// Why it could not be built.
    pub unbuildable: Option<String>,
    /// Its runs in the order they ended, each with its round.
    pub runs: Vec<(u32, Verdict)>,
}

/// All revisions' records, and how long things took.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Revisions in the order they were first touched.
    pub order: Vec<String>,
    /// Their records.
    pub records: HashMap<String, Record>,
    /// Titles seen.
    pub titles: Titles,
    /// Seconds spent building, and builds.
    pub building: (f64, u32),
    /// Seconds of runs added up, and runs.
    pub testing: (f64, u32),
    /// The last round.
    pub round: u32,
}

impl Book {
    /// Takes in an event.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Began { .. } | Event::Range { .. } => {}
            Event::Built { hash, signature, seconds } => {
                self.at(hash).signature = Some(signature.clone());
                self.building.0 += seconds;
                self.building.1 += 1;
            }
            Event::Unbuildable { hash, why, seconds } => {
                self.at(hash).unbuildable = Some(why.clone());
                self.building.0 += seconds;
                self.building.1 += 1;
            }
            Event::Ran { hash, round, verdict, seconds } => {
                self.round = self.round.max(*round);
                self.testing.0 += seconds;
                self.testing.1 += 1;
                if let Verdict::Crashed(title) = verdict {
                    self.titles.note(hash, title);
                }
                self.at(hash).runs.push((*round, verdict.clone()));
            }
        }
    }

    fn at(&mut self, hash: &str) -> &mut Record {
        if !self.records.contains_key(hash) {
            self.order.push(hash.to_owned());
        }
        self.records.entry(hash.to_owned()).or_default()
    }

    /// A revision's runs added up, by the titles that count as the bug.
    #[must_use]
    pub fn tally(&self, hash: &str, family: &BTreeSet<String>) -> Tally {
        let mut tally = Tally::default();
        for (_, verdict) in self.records.get(hash).map_or(&[][..], |record| &record.runs) {
            tally.add(one(verdict, family));
        }
        tally
    }

    /// How far the titles seen can be trusted to tell the bug from other failures.
    #[must_use]
    pub fn noise(&self) -> f64 {
        let family = self.titles.family();
        let bare = |title: &str| title == crate::verdict::UNTITLED_FAILURE || title == "timed out";
        if family.iter().any(|title| bare(title)) { UNTITLED } else { TITLED }
    }

    /// The search as these records leave it.
    #[must_use]
    pub fn search(&self, range: &Range, config: &Config) -> Search {
        let family = self.titles.family();
        let mut search = Search::new(Arc::clone(&range.history), config.clone());
        for hash in &self.order {
            let Some(node) = hash.parse().ok().and_then(|id| range.node(id)) else { continue };
            let record = &self.records[hash];
            if record.unbuildable.is_some() {
                search.skip(node);
                continue;
            }
            if let Some(signature) = &record.signature {
                search.built(node, signature);
            }
            for rounds in record.runs.chunk_by(|one, two| one.0 == two.0) {
                let mut tally = Tally::default();
                rounds.iter().for_each(|(_, verdict)| tally.add(one(verdict, &family)));
                search.record(node, tally);
            }
            if hopeless(search.tally(node), config.batch) {
                search.skip(node);
            }
        }
        search
    }
}

/// Whether a revision was tried often enough without a run that says anything.
fn hopeless(tally: Tally, batch: u32) -> bool {
    tally.ok + tally.hit + tally.other == 0 && tally.lost >= batch
}

fn one(verdict: &Verdict, family: &BTreeSet<String>) -> Tally {
    let mut tally = Tally::default();
    match verdict {
        Verdict::Ok => tally.ok = 1,
        Verdict::Crashed(title) if family.contains(title) => tally.hit = 1,
        Verdict::Crashed(_) => tally.other = 1,
        Verdict::BootFailed(_) | Verdict::BasicFailed(_) | Verdict::Unknown => tally.lost = 1,
    }
    tally
}
