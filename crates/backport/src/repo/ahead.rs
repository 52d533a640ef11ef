//! Asking git the questions that are sure to come, several at once.
//!
//! A run over many branches asks the same few questions of each, and each answer takes a process.
//! Answers fetched ahead are handed out when their question comes up, so the record of a run and
//! its order stay what they were.

use super::index::Index;
use super::pool::{Pool, threads};
use super::port::merge_args;
use crate::fingerprint::Fingerprint;
use crate::there::find;
use ringfence_git::{Commit, Error, Oid};

fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

fn own_commits(tip: Oid, fix: Oid) -> Vec<String> {
    words(&["rev-list", "--no-merges", &tip.to_string(), &format!("^{fix}")])
}

/// Asks what is asked of every branch, fingerprints what only the branches have, and carries the
/// fix over to those that hold no copy of it. Gives the oldest commit at which a branch left the
/// fix's history; `tell` hears how the fingerprints come along.
///
/// # Errors
///
/// When git cannot list what the branches have.
pub fn learn(
    pool: &Pool,
    index: &mut Index,
    fix: &Commit,
    branches: &[(String, Oid)],
    tell: impl Fn(String),
) -> Result<Option<String>, Error> {
    let id = fix.id.to_string();
    let mut questions = Vec::new();
    for (_, tip) in branches {
        let name = tip.to_string();
        questions.push(words(&["merge-base", "--is-ancestor", &id, &name]));
        questions.push(words(&["merge-base", &id, &name]));
        questions.push(own_commits(*tip, fix.id));
    }
    pool.fetch(&questions);
    let mut open = Vec::new();
    for (_, tip) in branches {
        // A branch that has the fix itself has all of upstream's later commits as its own.
        let ancestor = words(&["merge-base", "--is-ancestor", &id, &tip.to_string()]);
        if pool.ask(&ancestor)?.code != Some(0) {
            open.push(*tip);
        }
    }
    let mut own: Vec<Oid> = Vec::new();
    for tip in &open {
        let list = pool.ask(&own_commits(*tip, fix.id))?.text();
        own.extend(list.lines().filter_map(|line| line.parse::<Oid>().ok()));
    }
    own.push(fix.id);
    index.learn(pool.repo(), &own, |done, all| tell(format!("fingerprints: {done} of {all}")))?;
    carry(pool, index, fix, &open)?;
    // Every branch's start is an ancestor of the fix, and this one of all the starts.
    let mut args = words(&["merge-base", "--octopus", &id]);
    args.extend(branches.iter().map(|(_, tip)| tip.to_string()));
    Ok(pool.ask(&args)?.text().lines().next().map(str::to_owned))
}

/// Merges the fix into the branches where no copy of it is found.
fn carry(pool: &Pool, index: &Index, fix: &Commit, open: &[Oid]) -> Result<(), Error> {
    let (Some(print), Some(parent)) = (index.get(&fix.id.to_string()), fix.parents.first()) else {
        return Ok(());
    };
    let mut merges = Vec::new();
    for tip in open {
        let list = pool.ask(&own_commits(*tip, fix.id))?.text();
        let prints: Vec<&Fingerprint> = list.lines().filter_map(|id| index.get(id)).collect();
        if !prints.is_empty() && find(print, &prints, true).is_none() {
            merges.push((*parent, fix.id, *tip));
        }
    }
    // Neighbours differ least: what one git has read for the one serves the other.
    std::thread::scope(|scope| {
        for part in merges.chunks(merges.len().div_ceil(threads()).max(1)) {
            scope.spawn(|| merge_all(pool, part));
        }
    });
    Ok(())
}

/// Carries changes (before, after, onto) over, all in one git, which reads what they share once. It
/// ends at the first for which an object is missing; another git goes on behind that one.
fn merge_all(pool: &Pool, mut merges: &[(Oid, Oid, Oid)]) {
    while !merges.is_empty() {
        let line =
            |(before, after, onto): &(Oid, Oid, Oid)| format!("{before} -- {onto} {after}\n");
        let input: String = merges.iter().map(line).collect();
        let args = ["merge-tree", "--write-tree", "--no-messages", "--stdin"];
        let Ok(output) = pool.repo().call(args, input.as_bytes()) else { return };
        let mut done = 0;
        let mut rest = &output.stdout[..];
        while let Some((clean, answer, next)) = first_answer(rest)
            && let Some((before, after, onto)) = merges.get(done)
        {
            let question = merge_args(*before, *after, *onto);
            pool.put(&question, i32::from(!clean), answer, "");
            (done, rest) = (done + 1, next);
        }
        // What ended it would end a git for that merge alone in the same way.
        if let (Some((before, after, onto)), Some(code @ 1..), []) =
            (merges.get(done), output.code, rest)
        {
            pool.put(&merge_args(*before, *after, *onto), code, b"", &output.stderr);
        }
        merges = merges.get(done + 1..).unwrap_or_default();
    }
}

/// Splits off the first answer of `merge-tree --stdin`: whether it is clean, what `merge-tree -z`
/// answers to it alone, and the rest.
fn first_answer(text: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let clean = match text.get(..2)? {
        b"1\0" => true,
        b"0\0" => false,
        _ => return None,
    };
    let text = &text[2..];
    // The tree and the conflicts end with a NUL each, all of them with another.
    let end = text.windows(2).position(|pair| pair == [0, 0])?;
    Some((clean, &text[..=end], &text[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::first_answer;

    #[test]
    fn answers_are_taken_apart_and_half_an_answer_is_none() {
        let all = b"1\x00aa\x00\x000\x00bb\x00100644 c 1\tf\x00\x00";
        let (clean, first, rest) = first_answer(all).unwrap();
        assert!(clean && first == b"aa\0");
        let (clean, second, rest) = first_answer(rest).unwrap();
        assert!(!clean && second == b"bb\x00100644 c 1\tf\0" && rest.is_empty());
        assert!(first_answer(b"1\x00aa\x00").is_none() && first_answer(b"").is_none());
    }
}
