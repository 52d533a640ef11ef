//! Walking releases backwards until one does not fail.

use crate::drive::{Drive, News};
use crate::error::Error;
use crate::search::Sense;
use ringfence_git::{Oid, Tag};

/// Finds the range between the oldest failing and the newest sound release.
///
/// Gives the failing end and the sound end.
pub(crate) fn walk(
    drive: &mut Drive<'_>,
    bad: Oid,
    news: &mut dyn FnMut(&News<'_>),
) -> Result<(Oid, Oid), Error> {
    if drive.job.config.sense == Sense::Mended {
        let what = "--fix needs --good REV, the revision that no longer fails".to_owned();
        return Err(Error::Range(what));
    }
    let tags = drive.repo.tags(&drive.job.releases, bad)?;
    let tags: Vec<Tag> = tags.into_iter().filter(|tag| tag.commit != bad).collect();
    if tags.is_empty() {
        let what =
            format!("no tag matches `{}` below {}: give --good", drive.job.releases, bad.short());
        return Err(Error::Range(what));
    }
    let first = drive.job.config.first_runs;
    if fails(drive, bad, first, news)? == Some(false) {
        let what = format!("{bad} did not fail in {first} runs: the test does not reproduce it");
        return Err(Error::Range(what));
    }
    let mut failing = bad;
    for tag in thinned(&tags) {
        match fails(drive, tag.commit, drive.job.config.batch, news)? {
            Some(true) => failing = tag.commit,
            Some(false) => return Ok((failing, tag.commit)),
            None => {}
        }
    }
    Err(Error::Range(format!("the oldest release that matches `{}` fails too", drive.job.releases)))
}

/// Whether a revision fails; none when it cannot be tested.
fn fails(
    drive: &mut Drive<'_>,
    id: Oid,
    runs: u32,
    news: &mut dyn FnMut(&News<'_>),
) -> Result<Option<bool>, Error> {
    let Some((dir, _)) = drive.ready(id, news)? else { return Ok(None) };
    let hash = id.to_string();
    let done = drive.book.records.get(&hash).map_or(0, |record| record.runs.len());
    let left = (runs as usize).saturating_sub(done);
    let tasks: Vec<_> = (0..left).map(|_| (id, dir.clone())).collect();
    drive.run_all(&tasks, news)?;
    let tally = drive.book.tally(&hash, &drive.book.titles.family());
    Ok(match (tally.hit, tally.ok + tally.other) {
        (0, 0) => None,
        (hit, _) => Some(hit > 0),
    })
}

/// The newest releases one by one, then ever fewer of the older ones, and always the oldest.
fn thinned(tags: &[Tag]) -> Vec<&Tag> {
    let kept = |at: usize| match at {
        0..3 => true,
        3..10 => (at - 3) % 2 == 1,
        _ => (at - 10) % 3 == 2,
    };
    let last = tags.len() - 1;
    tags.iter().enumerate().filter(|(at, _)| kept(*at) || *at == last).map(|(_, tag)| tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_releases_are_thinned_but_the_oldest_stays() {
        let id = "a".repeat(40).parse().unwrap();
        let tags: Vec<Tag> = (0..20).map(|at| Tag { name: at.to_string(), commit: id }).collect();
        let names: Vec<&str> = thinned(&tags).iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["0", "1", "2", "4", "6", "8", "12", "15", "18", "19"]);
    }
}
