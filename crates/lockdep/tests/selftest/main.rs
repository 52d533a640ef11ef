//! The truth table of the kernel's locking self-test, 358 verdicts, restated for user space.

mod beyond;
mod inapplicable;
mod machine;
mod table;

use machine::{CALLBACK, Column};
use ringfence_lockdep::{Context, SIGNAL};
use table::{GROUPS, Row, Vary, Verdict};

/// Verdicts in the kernel's self-test, without those of its optional checks of wait types.
const KERNEL_VERDICTS: usize = 358;

/// One case of a row: the script, the kind of lock, the context, and what must come of it.
struct Case {
    name: String,
    script: String,
    column: Column,
    context: &'static Context,
    verdict: Verdict,
}

/// Every order of `parts`.
fn orders(parts: &[&'static str]) -> Vec<Vec<&'static str>> {
    if parts.len() < 2 {
        return vec![parts.to_vec()];
    }
    let mut all = Vec::new();
    for first in 0..parts.len() {
        let mut rest = parts.to_vec();
        let part = rest.remove(first);
        all.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, part);
            order
        }));
    }
    all
}

fn cases(row: &Row) -> Vec<Case> {
    let orders = match row.vary {
        Vary::Once => vec![row.parts.to_vec()],
        Vary::Orders | Vary::OrdersAndContexts => orders(row.parts),
    };
    let contexts: &[(&str, &'static Context)] = match row.vary {
        Vary::OrdersAndContexts => &[("signal", &SIGNAL), ("callback", &CALLBACK)],
        Vary::Once | Vary::Orders => &[("signal", &SIGNAL)],
    };
    let mut cases = Vec::new();
    for order in &orders {
        for &(context_name, context) in contexts {
            for &(column, verdict) in row.verdicts {
                let script = order.join(" ");
                let name = format!("{} ({column:?}, {context_name}): {script}", row.name);
                cases.push(Case { name, script, column, context, verdict });
            }
        }
    }
    cases
}

fn all_cases() -> Vec<Case> {
    GROUPS.iter().flat_map(|(_, rows)| rows.iter()).flat_map(cases).collect()
}

/// Runs all cases and fails with those that come out otherwise than they must.
fn check(cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for case in cases {
        let titles = machine::run(&case.script, case.column, case.context);
        let verdict = if titles.is_empty() { Verdict::Silent } else { Verdict::Report };
        if verdict != case.verdict {
            wrong.push(format!("{}: must be {:?}, was {titles:?}", case.name, case.verdict));
        }
    }
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_verdict_is_the_kernels() {
    check(all_cases());
}

#[test]
fn cases_beyond_the_kernels() {
    check(beyond::ROWS.iter().flat_map(cases).collect());
}

/// What a context takes does not depend on what it interrupted; that it could invert the two does.
#[test]
fn an_interrupted_thread_is_no_outer_lock() {
    let script = "m+A <h m+B m-B >h m-A [h m+B m+A m-A m-B ]h";
    let titles = machine::run(script, Column::Mutex, &SIGNAL);
    assert_eq!(titles, ["WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"]);
}

#[test]
fn the_table_and_the_exceptions_add_up() {
    let restated = all_cases().len();
    let left_out: usize = inapplicable::ALL.iter().map(|entry| entry.verdicts).sum();
    println!("{restated} verdicts restated, {left_out} inapplicable:");
    for entry in inapplicable::ALL {
        println!("  {:>2} {}: {}", entry.verdicts, entry.what, entry.why);
    }
    assert_eq!(restated + left_out, KERNEL_VERDICTS);
    assert!(restated >= 250);
}

#[test]
fn every_kind_of_lock_has_a_column() {
    let (_, order) = GROUPS[0];
    for row in order {
        assert!(row.verdicts.iter().map(|(column, _)| *column).eq(Column::ALL));
    }
}
