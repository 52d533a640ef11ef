//! Every chain of up to four requests against a model of links.
//!
//! A request succeeds, fails, is short, is refused when prepared, or waits until it is cancelled;
//! what follows it hangs on no link, a link or a hard link. The model is validated on the kernel.

use crate::prelude::*;

/// What a request in the table does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Completes with 0.
    Ok,
    /// Fails when it runs.
    Fail,
    /// Reads less than it was asked to.
    Short,
    /// Waits, and is cancelled.
    Cancel,
    /// Is refused when prepared.
    Refused,
}

/// How the next request hangs on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tie {
    Link,
    Hard,
}

const KINDS: [Kind; 5] = [Kind::Ok, Kind::Fail, Kind::Short, Kind::Cancel, Kind::Refused];
const TIES: [Tie; 2] = [Tie::Link, Tie::Hard];

/// What requests of each kind need.
struct World {
    file: std::fs::File,
    pipe: (std::fs::File, std::fs::File),
    buf: [u8; 8],
}

fn entry(world: &mut World, kind: Kind) -> Sqe {
    match kind {
        Kind::Ok => sqe::nop(),
        Kind::Fail => sqe::nop_result(-5),
        Kind::Short => sqe::read(fd(&world.file), &mut world.buf, 0),
        Kind::Cancel => sqe::poll_add(fd(&world.pipe.0), libc::POLLIN),
        Kind::Refused => Sqe { opcode: 0xfe, ..Sqe::default() },
    }
}

/// The results of a chain, by position.
fn model(kinds: &[Kind], ties: &[Tie]) -> Vec<i32> {
    if kinds.contains(&Kind::Refused) {
        let result = |&kind| if kind == Kind::Refused { EINVAL } else { ECANCELED };
        return kinds.iter().map(result).collect();
    }
    let mut is_dead = false;
    let mut results = Vec::new();
    for (i, kind) in kinds.iter().enumerate() {
        let result = match kind {
            _ if is_dead => ECANCELED,
            Kind::Ok => 0,
            Kind::Fail => -5,
            Kind::Short => 4,
            Kind::Cancel | Kind::Refused => ECANCELED,
        };
        results.push(result);
        let breaks = *kind != Kind::Ok && ties.get(i) == Some(&Tie::Link);
        is_dead = is_dead || breaks;
    }
    results
}

/// Runs a chain and yields its results by position.
fn run(ring: &mut Ring, world: &mut World, kinds: &[Kind], ties: &[Tie]) -> Vec<i32> {
    for (i, &kind) in kinds.iter().enumerate() {
        let entry = entry(world, kind).data(1 + i as u64);
        ring.push(match ties.get(i) {
            Some(Tie::Link) => entry.link(),
            Some(Tie::Hard) => entry.hardlink(),
            None => entry,
        });
    }
    assert_eq!(ring.submit(), Ok(kinds.len() as u32), "{kinds:?} {ties:?}");
    let mut got = ring.cqes();
    let deadline = Instant::now() + ms(5000);
    while got.len() < kinds.len() {
        assert!(Instant::now() < deadline, "{kinds:?} {ties:?} got {got:?}");
        // Whoever waits is cancelled; successors that wait in turn are the next round's.
        let cancel = sqe::cancel(0, IORING_ASYNC_CANCEL_ANY).data(99);
        ring.start(&[cancel]);
        got.extend(ring.settle(Duration::from_micros(100)));
        got.retain(|cqe| cqe.user_data != 99);
    }
    let mut results = by_data(&got);
    results.dedup_by_key(|(data, _)| *data);
    assert_eq!(results.len(), got.len(), "{kinds:?} {ties:?}: {got:?}");
    results.into_iter().map(|(_, result)| result).collect()
}

/// The `number`th word of `len` letters over `alphabet`.
fn word<T: Copy>(alphabet: &[T], len: usize, number: usize) -> Vec<T> {
    let base = alphabet.len();
    (0..len).map(|i| alphabet[number / base.pow(i as u32) % base]).collect()
}

fn all_chains_of(t: &dyn Target, len: usize) -> Outcome {
    let mut ring = t.ring(8)?;
    let mut world = World { file: sys::file_with(b"1234"), pipe: sys::pipe(), buf: [0; 8] };
    let mut wrong = Vec::new();
    for kinds in (0..KINDS.len().pow(len as u32)).map(|number| word(&KINDS, len, number)) {
        for ties in (0..TIES.len().pow(len as u32 - 1)).map(|number| word(&TIES, len - 1, number)) {
            let (expected, got) = (model(&kinds, &ties), run(&mut ring, &mut world, &kinds, &ties));
            if expected != got {
                wrong.push(format!("{kinds:?} {ties:?}: {got:?}, the model says {expected:?}"));
            }
        }
    }
    let shown = &wrong[..wrong.len().min(20)];
    assert!(wrong.is_empty(), "{} chains differ:\n{}", wrong.len(), shown.join("\n"));
    Ok(())
}

// Single requests and all pairs.
ring_test!(chains_of_one_and_two, |t| {
    all_chains_of(t, 1)?;
    all_chains_of(t, 2)?;
});

// All 500 chains of three.
ring_test!(chains_of_three, |t| {
    all_chains_of(t, 3)?;
});

// All 5000 chains of four.
ring_test!(chains_of_four, |t| {
    all_chains_of(t, 4)?;
});
