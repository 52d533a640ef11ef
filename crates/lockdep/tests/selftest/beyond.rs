//! Cases that the kernel's self-test does not have, each for a rule that no verdict there needs.

use crate::machine::Column::Mutex;
use crate::table::Row;
use crate::table::Vary::{Once, Orders, OrdersAndContexts};
use crate::table::Verdict::{Report, Silent};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "reader over a lock, reader inside: readers do not wait for readers",
        vary: OrdersAndContexts,
        parts: &["[ r+A s+B s-B r-A ]", "s+B s-B", "< r+A r-A >"],
        verdicts: &[(Mutex, Silent)],
    },
    Row {
        name: "queued reader over a lock, reader inside",
        vary: OrdersAndContexts,
        parts: &["[ q+A s+B s-B q-A ]", "s+B s-B", "< r+A r-A >"],
        verdicts: &[(Mutex, Silent)],
    },
    Row {
        name: "reader over a lock, writer inside",
        vary: OrdersAndContexts,
        parts: &["[ r+A s+B s-B r-A ]", "s+B s-B", "< w+A w-A >"],
        verdicts: &[(Mutex, Report)],
    },
    Row {
        name: "lock over a queued reader, reader open: a waiting writer stands between them",
        vary: OrdersAndContexts,
        parts: &["[ s+B q+A q-A s-B ]", "r+A r-A", "< s+B s-B >"],
        verdicts: &[(Mutex, Report)],
    },
    Row {
        name: "what is waited for under a try-lock depends on what is held outside it too",
        vary: Once,
        parts: &["m+A m?B m+C m-C m-B m-A", "m+C m+A m-A m-C"],
        verdicts: &[(Mutex, Report)],
    },
    Row {
        name: "what is waited for under a try-lock depends on it",
        vary: Once,
        parts: &["m+A m?B m+C m-C m-B m-A", "m+C m+B m-B m-C"],
        verdicts: &[(Mutex, Report)],
    },
    Row {
        name: "a lock that a context only tries is not waited for there",
        vary: OrdersAndContexts,
        parts: &["< s?A s-A >", "s+A s-A"],
        verdicts: &[(Mutex, Silent)],
    },
    Row {
        name: "blocked twice, let in by the second unblock only",
        vary: OrdersAndContexts,
        parts: &["< s+A s-A >", "[ [ ] s+A s-A ]"],
        verdicts: &[(Mutex, Silent)],
    },
    Row {
        name: "unblocking inside the context does not open it there",
        vary: OrdersAndContexts,
        parts: &["< s+A [ ] s+B s-B s-A >", "[ s+A s-A ]"],
        verdicts: &[(Mutex, Silent)],
    },
    Row {
        name: "released out of order, still held under one another",
        vary: Once,
        parts: &["m+A m+B m-A m-B", "m+B m+A"],
        verdicts: &[(Mutex, Report)],
    },
    Row {
        name: "blocked signals keep out the callback that starts behind them",
        vary: Orders,
        parts: &["<s s+A s-A >s", "[h s+A s-A ]h"],
        verdicts: &[(Mutex, Silent)],
    },
    Row {
        name: "a try-lock waits for nothing, and so closes no cycle",
        vary: Orders,
        parts: &["m+A m?B m-B m-A", "m+B m+A m-A m-B"],
        verdicts: &[(Mutex, Silent)],
    },
    Row {
        name: "a deferred callback is run under a lock that it takes, though it ran without before",
        vary: OrdersAndContexts,
        parts: &["< s+A1 s-A1 > [ s+A2 < s+A1 s-A1 > s-A2 ]"],
        verdicts: &[(Mutex, Report)],
    },
];
