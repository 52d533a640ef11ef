//! Puts reports of the same bug together.

use crate::Report;
use std::collections::HashMap;

/// Groups of reports that tell of the same bug: two with a title in common, of either sort, are
/// in one group, and so are those that a third one connects. Groups and their members, which are
/// places in `reports`, stand in the order of the log.
#[must_use]
pub fn group(reports: &[Report]) -> Vec<Vec<usize>> {
    let mut roots: Vec<usize> = (0..reports.len()).collect();
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (place, report) in reports.iter().enumerate() {
        for title in report.titles() {
            let owner = *owners.entry(title).or_insert(place);
            let (a, b) = (root(&mut roots, owner), root(&mut roots, place));
            // The earlier report stays the root, so that a group is found under its first member.
            roots[a.max(b)] = a.min(b);
        }
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); reports.len()];
    for place in 0..reports.len() {
        groups[root(&mut roots, place)].push(place);
    }
    groups.retain(|members| !members.is_empty());
    groups
}

/// The root of a place; every place on the way is moved nearer to it.
fn root(roots: &mut [usize], mut place: usize) -> usize {
    while roots[place] != place {
        roots[place] = roots[roots[place]];
        place = roots[place];
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(title: &str, alt: &[&str]) -> Report {
        let mut report = crate::first("BUG: x").unwrap();
        report.title = title.to_owned();
        report.alt_titles = alt.iter().map(|&title| title.to_owned()).collect();
        report
    }

    #[test]
    fn a_third_report_connects_two() {
        let reports =
            [report("a", &[]), report("b", &[]), report("c", &["a", "b"]), report("d", &["e"])];
        assert_eq!(group(&reports), [vec![0, 1, 2], vec![3]]);
        assert_eq!(group(&[]), Vec::<Vec<usize>>::new());
    }
}
