//! The cases: what must be reported and, as important, what must not.

use crate::machine::Column::{self, Mutex, OtherMutex, RLock, RSem, Spin, WLock, WSem};

/// What a case must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// At least one report.
    Report,
    /// None.
    Silent,
}

use Verdict::{Report, Silent};

/// In which contexts, and with its parts in which orders, a row is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vary {
    /// Once, as it stands.
    Once,
    /// In each order of its parts.
    Orders,
    /// In each order, once with a signal handler and once with a callback for the context.
    OrdersAndContexts,
}

use Vary::{Once, Orders, OrdersAndContexts};

/// One row: parts that happen one after the other, and a verdict for each kind of lock.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) vary: Vary,
    pub(crate) parts: &'static [&'static str],
    pub(crate) verdicts: &'static [(Column, Verdict)],
}

/// Readers may recurse; all else that blocks itself is reported.
const READERS_RECURSE: &[(Column, Verdict)] = &[
    (Spin, Report),
    (WLock, Report),
    (RLock, Silent),
    (Mutex, Report),
    (WSem, Report),
    (RSem, Report),
    (OtherMutex, Report),
];

const ALL_REPORT: &[(Column, Verdict)] = &[
    (Spin, Report),
    (WLock, Report),
    (RLock, Report),
    (Mutex, Report),
    (WSem, Report),
    (RSem, Report),
    (OtherMutex, Report),
];

/// The kinds that a context may take: recursive readers stay silent.
const SPINNING: &[(Column, Verdict)] = &[(Spin, Report), (WLock, Report), (RLock, Silent)];

/// Rows about the two sides of one lock.
const SIDES: &[(Column, Verdict)] = &[(WLock, Report), (RLock, Silent)];

/// The script names every lock's kind itself.
const REPORT: &[(Column, Verdict)] = &[(Mutex, Report)];
const SILENT: &[(Column, Verdict)] = &[(Mutex, Silent)];

const fn row(
    name: &'static str,
    vary: Vary,
    parts: &'static [&'static str],
    verdicts: &'static [(Column, Verdict)],
) -> Row {
    Row { name, vary, parts, verdicts }
}

/// Every row, in groups as the kernel's self-test has them.
pub(crate) const GROUPS: &[(&str, &[Row])] = &[
    ("order", ORDER),
    ("read-write", READ_WRITE),
    ("contexts", CONTEXTS),
    ("nesting", NESTING),
    ("queued readers", QUEUED),
    ("per-thread", PER_THREAD),
    ("two contexts", TWO_CONTEXTS),
];

const ORDER: &[Row] = &[
    row("A-A", Once, &["+X1 +X2"], READERS_RECURSE),
    row("A-B-B-A", Once, &["+A +B -B -A", "+B +A -A -B"], READERS_RECURSE),
    row("A-B-B-C-C-A", Once, &["+A +B -B -A", "+B +C -C -B", "+C +A -A -C"], READERS_RECURSE),
    row("A-B-C-A-B-C", Once, &["+A +B -B -A", "+C +A -A -C", "+B +C -C -B"], READERS_RECURSE),
    row(
        "A-B-B-C-C-D-D-A",
        Once,
        &["+A +B -B -A", "+B +C -C -B", "+C +D -D -C", "+D +A -A -D"],
        READERS_RECURSE,
    ),
    row(
        "A-B-C-D-B-D-D-A",
        Once,
        &["+A +B -B -A", "+C +D -D -C", "+B +D -D -B", "+D +A -A -D"],
        READERS_RECURSE,
    ),
    row(
        "A-B-C-D-B-C-D-A",
        Once,
        &["+A +B -B -A", "+C +D -D -C", "+B +C -C -B", "+D +A -A -D"],
        READERS_RECURSE,
    ),
    row("double unlock", Once, &["+A -A -A"], ALL_REPORT),
    row("destroyed while held", Once, &["+A !A"], ALL_REPORT),
];

const READ_WRITE: &[Row] = &[
    row("reader, same lock again", Once, &["r+X1 r+X1"], SILENT),
    row("queued reader, same lock again", Once, &["R+X1 R+X1"], REPORT),
    row("reader, same class again", Once, &["r+X1 r+X2"], SILENT),
    row("queued reader, same class again", Once, &["R+X1 R+X2"], REPORT),
    row("read then write", Once, &["r+X1 w+X2"], REPORT),
    row("queued read then write", Once, &["R+X1 W+X2"], REPORT),
    row("write then read", Once, &["w+X1 r+X2"], REPORT),
    row("write then queued read", Once, &["W+X1 R+X2"], REPORT),
    row("read-lock, lock-write", Once, &["r+X s+Y s-Y r-X", "s+Y w+X w-X s-Y"], REPORT),
    row("queued read-lock, lock-write", Once, &["R+X m+Y m-Y R-X", "m+Y W+X W-X m-Y"], REPORT),
    row("read-lock, lock-read", Once, &["r+X s+Y s-Y r-X", "s+Y r+X r-X s-Y"], SILENT),
    row("queued read-lock, lock-read", Once, &["R+X m+Y m-Y R-X", "m+Y R+X R-X m-Y"], REPORT),
    row("write-lock, lock-write", Once, &["w+X s+Y s-Y w-X", "s+Y w+X w-X s-Y"], REPORT),
    row("queued write-lock, lock-write", Once, &["W+X m+Y m-Y W-X", "m+Y W+X W-X m-Y"], REPORT),
    row(
        "a known chain of readers hides no writer",
        Once,
        &["r+X s+Y s-Y r-X", "s+Y r+X r-X s-Y", "s+Y w+X w-X s-Y"],
        REPORT,
    ),
    row(
        "W1R2 W2R3 W3R1",
        Orders,
        &["w+X r+Y r-Y w-X", "w+Y r+Z r-Z w-Y", "w+Z r+X r-X w-Z"],
        REPORT,
    ),
    row(
        "W1W2 R2R3 W3R1",
        Orders,
        &["w+X w+Y w-Y w-X", "r+Y r+Z r-Z r-Y", "w+Z r+X r-X w-Z"],
        REPORT,
    ),
    row(
        "W1W2 R2R3 R3W1",
        Orders,
        &["w+X w+Y w-Y w-X", "r+Y r+Z r-Z r-Y", "r+Z w+X w-X r-Z"],
        SILENT,
    ),
    row(
        "W1R2 R2R3 W3W1",
        Orders,
        &["w+X r+Y r-Y w-X", "r+Y r+Z r-Z r-Y", "w+Z w+X w-X w-Z"],
        SILENT,
    ),
];

const CONTEXTS: &[Row] = &[
    row("taken inside, and held open", OrdersAndContexts, &["< +A -A >", "+A -A"], SPINNING),
    row("callback's lock held, signals let in", Orders, &["<s +A -A >s", "[h +A ]h -A"], SPINNING),
    row("held, context let in", OrdersAndContexts, &["< +A -A >", "[ +A ] -A"], SPINNING),
    row(
        "safe A over unsafe B",
        OrdersAndContexts,
        &["+A +B -B -A", "+B -B", "< +A -A >"],
        SPINNING,
    ),
    row(
        "safe A over unsafe B, blocked",
        OrdersAndContexts,
        &["[ +A +B -B -A ]", "+B -B", "< +A -A >"],
        SPINNING,
    ),
    row(
        "writer over B, reader inside",
        OrdersAndContexts,
        &["[ w+A +B -B w-A ]", "+B -B", "< r+A r-A >"],
        SPINNING,
    ),
    row(
        "readers outside, read or write inside",
        OrdersAndContexts,
        &["[ w+A w-A ]", "r+A r-A", "< +A s+B s-B -A >"],
        SIDES,
    ),
    row(
        "lock over readers, lock inside",
        OrdersAndContexts,
        &["[ s+B +A -A s-B ]", "r+A r-A", "< s+B s-B >"],
        SIDES,
    ),
    row(
        "writer over readers, reader inside",
        OrdersAndContexts,
        &["[ w+B +A -A w-B ]", "r+A r-A", "< r+B r-B >"],
        SIDES,
    ),
];

/// Locks of one class nested under a lock that serialises them. `T` is a transaction: it is taken
/// once, and the objects `O` are taken under it in any order.
const NESTING: &[Row] = &[
    row("two transactions", Once, &["m+T1 m+T2"], REPORT),
    row("transaction ended twice", Once, &["m+T -T m-T"], REPORT),
    row("object released twice", Once, &["m+O m-O m-O"], REPORT),
    row("serialising lock not held", Once, &["s+A^mT s-A"], REPORT),
    row("serialised nesting", Once, &["s+X s+Y1^X s+A s+Y2^X s-A s-Y2 s-Y1 s-X"], SILENT),
    row("transaction, then wait", Once, &["m+T m+O1^T m+O2"], REPORT),
    row("transaction, then try", Once, &["m+T m+O1^T m?O2 m-O2 m-O1"], SILENT),
    row("transaction, then transaction", Once, &["m+T m+O1^T m+O2^T m-O2 m-O1"], SILENT),
    row("try, then wait", Once, &["m?O1 m+O2 m-O2 m-O1"], REPORT),
    row("try, then try", Once, &["m?O1 m?O2 m-O2 m-O1"], SILENT),
    row("try, then transaction", Once, &["m?O1 m+T m+O2^T"], REPORT),
    row("wait, then wait", Once, &["m+O1 m+O2"], REPORT),
    row("wait, then try", Once, &["m+O1 m?O2"], SILENT),
    row("wait, then transaction", Once, &["m+O1 m+T m+O2^T"], REPORT),
    row(
        "lock and object, waiting",
        Once,
        &["s+A s-A", "m+O s+A s-A m-O", "s+A m+O m-O s-A"],
        REPORT,
    ),
    row(
        "lock and object, trying",
        Once,
        &["s+A s-A", "m?O s+A s-A m-O", "s+A m?O m-O s-A"],
        SILENT,
    ),
    row(
        "lock and object, transaction",
        Once,
        &["s+A s-A m+T", "m+O^T s+A s-A m-O", "s+A m+O^T m-O s-A"],
        REPORT,
    ),
];

/// Readers that queue behind a waiting writer, except inside a context, where they may not wait.
const QUEUED: &[Row] = &[
    row(
        "read-lock inside, lock-read outside",
        Once,
        &["<h r+A m+B m-B r-A >h", "[h m+B q+A q-A m-B ]h"],
        REPORT,
    ),
    row(
        "lock-read inside, read-lock outside",
        Once,
        &["<h m+B r+A r-A m-B >h", "[h q+A m+B m-B q-A ]h"],
        SILENT,
    ),
    row(
        "queued readers invert",
        Once,
        &["<h m+B m-B >h", "[h m+B q+A q-A m-B ]h", "q+A q-A"],
        REPORT,
    ),
];

const PER_THREAD: &[Row] = &[
    row(
        "per-thread lock under a safe one",
        Once,
        &["p+L p-L", "<h s+A s-A >h", "[h s+A p+L p-L s-A ]h"],
        SILENT,
    ),
    row(
        "only the per-thread lock joins them",
        Once,
        &["p+L s+B s-B p-L", "<h s+A s-A >h", "[h s+A p+L p-L s-A ]h"],
        SILENT,
    ),
    row(
        "and then they are joined without it",
        Once,
        &["p+L s+B s-B p-L", "<h s+A s-A >h", "[h s+A p+L p-L s-A ]h", "[h s+A s+B s-B s-A ]h"],
        REPORT,
    ),
];

/// Safe to unsafe must be found for the one context although another has no such path.
const TWO_CONTEXTS: &[Row] = &[row(
    "signal handler inverts, callback does not",
    Once,
    &[
        "m+A [h s+C s-C ]h m-A",
        "<h s+A s-A >h",
        "[h s+A s+B s-B s-A ]h",
        "[h s+B s+C s-C s-B ]h",
        "<s s+D s-D >s",
        "[s s+D s-D ]s",
        "[h s+C s+D s-D s-C ]h",
    ],
    REPORT,
)];
