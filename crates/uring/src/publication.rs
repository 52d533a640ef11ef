//! What the engine and the program publish to each other through ring memory, under every order that
//! the memory model allows: the code that is shipped, on the words of a model checker.
//!
//! Entries are cells whose unordered use the checker reports, so that a test needs no unlucky value
//! to fail: that an entry could be read while it is written is enough. The program's side is written
//! out here as liburing has it.

use crate::cq::{Cq, Entry, View};
use crate::ring::Layout;
use crate::sq;
use loom::sync::Mutex;
use loom::thread;
use ringfence_abi::{Cqe, IORING_SQ_CQ_OVERFLOW, IORING_SQ_NEED_WAKEUP, layout};
use ringfence_host::sync::{Arc, Ordering::*};
use ringfence_host::words::Words;
use ringfence_weak::{LoomWord, Memory};

/// Preemptions per interleaving; switches where a thread ends are free.
const PREEMPTIONS: usize = 3;

fn explore(body: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(body);
}

/// Entries of the submission queue, in memory of their own: a number each.
const SQE: usize = 16;

fn sqes(count: usize) -> Memory {
    Memory::new(0..count * SQE, SQE)
}

/// A ring's words, with room for `cq` completions.
fn ring(sq: u32, cq: u32) -> (Layout, Memory) {
    let first = layout::CQES as usize;
    let layout = Layout::new(sq, cq, 0);
    (layout, Memory::new(first..first + cq as usize * size_of::<Cqe>(), size_of::<Cqe>()))
}

/// The program publishes two entries through a queue of one: each arrives whole, and the second is
/// not written before the first was copied.
#[test]
fn entries_arrive_whole_and_are_reused_when_copied() {
    explore(|| {
        let (layout, words) = ring(1, 1);
        let (layout, words, sqes) = (Arc::new(layout), Arc::new(words), Arc::new(sqes(1)));
        let program = {
            let (layout, words, sqes) = (layout.clone(), words.clone(), sqes.clone());
            thread::spawn(move || {
                let array = layout.array().expect("an index array");
                for tail in 0..2u32 {
                    while tail.wrapping_sub(words.load(layout::SQ_HEAD, Acquire)) >= 1 {
                        thread::yield_now();
                    }
                    sqes.write(0, [u64::from(tail) + 1; 2]);
                    words.store(array, 0, Relaxed);
                    words.store(layout::SQ_TAIL, tail + 1, Release);
                }
            })
        };
        let mut head = 0;
        while head < 2 {
            if sq::queued(&*words, head) == 0 {
                thread::yield_now();
                continue;
            }
            let index = sq::index(&*words, &layout, head).expect("an index in range");
            let entry: [u64; 2] = sqes.read(index as usize * SQE);
            assert_eq!(entry, [u64::from(head) + 1; 2]);
            head += 1;
            sq::consumed(&*words, head);
        }
        program.join().expect("the program");
    });
}

/// The index is the one that was written with its entry, not one from before.
#[test]
fn an_index_comes_with_its_entry() {
    explore(|| {
        let (layout, words) = ring(2, 1);
        let (words, sqes) = (Arc::new(words), Arc::new(sqes(2)));
        let array = layout.array().expect("an index array");
        let program = {
            let (words, sqes) = (words.clone(), sqes.clone());
            thread::spawn(move || {
                sqes.write(SQE, [7u64; 2]);
                words.store(array, 1, Relaxed);
                words.store(layout::SQ_TAIL, 1, Release);
            })
        };
        if sq::queued(&*words, 0) == 1 {
            let index = sq::index(&*words, &layout, 0).expect("an index in range");
            assert_eq!(sqes.read::<[u64; 2]>(index as usize * SQE), [7; 2]);
        }
        program.join().expect("the program");
    });
}

/// What the completion lock guards, and its memory.
struct Queue {
    layout: Layout,
    words: Memory,
    view: Arc<View<LoomWord>>,
    cq: Mutex<Cq<LoomWord>>,
}

impl Queue {
    fn new(entries: u32) -> Arc<Queue> {
        let (layout, words) = ring(1, entries);
        let view = Arc::<View<LoomWord>>::default();
        let cq = Mutex::new(Cq::new(Arc::clone(&view)));
        Arc::new(Queue { layout, words, view, cq })
    }

    fn post(&self, numbers: &[u64]) {
        let entry = |number: &u64| {
            let cqe = Cqe { user_data: *number, res: *number as i32, flags: 0 };
            Entry { cqe, ..Entry::default() }
        };
        let entries: Vec<Entry> = numbers.iter().map(entry).collect();
        self.cq.lock().expect("the lock").post(&self.words, &self.layout, &entries);
    }

    /// As a wait does it first of all.
    fn flush(&self) {
        self.cq.lock().expect("the lock").flush_overflow(&self.words, &self.layout);
    }

    /// The program takes the next completion, if it sees one.
    fn take(&self, head: &mut u32) -> Option<u64> {
        if self.words.load(layout::CQ_TAIL, Acquire) == *head {
            return None;
        }
        let at = self.layout.cqe_at(*head & (self.layout.cq_entries() - 1));
        let cqe: Cqe = self.words.read(at);
        assert_eq!(cqe.user_data as i32, cqe.res, "half of an entry");
        *head += 1;
        self.words.store(layout::CQ_HEAD, *head, Release);
        Some(cqe.user_data)
    }
}

/// A batch through a queue of two: no entry is read before it is written, nor written before it was
/// read, and they come in order.
#[test]
fn completions_arrive_whole_and_in_order() {
    explore(|| {
        let queue = Queue::new(2);
        let poster = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.post(&[1, 2]);
                queue.post(&[3]);
            })
        };
        let (mut head, mut taken) = (0, Vec::new());
        taken.extend(queue.take(&mut head));
        taken.extend(queue.take(&mut head));
        poster.join().expect("the poster");
        while taken.len() < 3 {
            queue.flush();
            taken.push(queue.take(&mut head).expect("one more"));
        }
        assert_eq!(taken, [1, 2, 3]);
    });
}

/// Completions that overflow: the flag is there when they are outside the ring, and gone when they
/// are in it. A program that takes what it sees and asks for the rest by the flag gets all.
#[test]
fn the_overflow_flag_tells_what_is_kept_outside() {
    explore(|| {
        let queue = Queue::new(1);
        let poster = {
            let queue = queue.clone();
            thread::spawn(move || queue.post(&[1, 2]))
        };
        let (mut head, mut taken) = (0, Vec::new());
        taken.extend(queue.take(&mut head));
        if queue.words.load(layout::SQ_FLAGS, Relaxed) & IORING_SQ_CQ_OVERFLOW != 0 {
            queue.flush();
            taken.extend(queue.take(&mut head));
        }
        poster.join().expect("the poster");
        let flagged = || queue.words.load(layout::SQ_FLAGS, Relaxed) & IORING_SQ_CQ_OVERFLOW != 0;
        while taken.len() < 2 {
            match queue.take(&mut head) {
                Some(number) => taken.push(number),
                None => {
                    assert!(flagged(), "something is kept outside and nothing says so");
                    queue.flush();
                }
            }
        }
        assert_eq!(taken, [1, 2]);
        assert!(!flagged(), "the flag stands though nothing is kept outside");
    });
}

/// A wait that finds its completions without the lock returns to a program that sees them too.
#[test]
fn what_a_wait_saw_the_program_sees() {
    explore(|| {
        let queue = Queue::new(2);
        let poster = {
            let queue = queue.clone();
            thread::spawn(move || queue.post(&[1]))
        };
        let seen = queue.view.look(&queue.words, &queue.layout);
        if seen.is_some_and(|(ready, _)| ready >= 1) {
            assert_eq!(queue.take(&mut 0), Some(1), "the wait is over and the queue is empty");
        }
        poster.join().expect("the poster");
    });
}

/// The SQPOLL thread falls asleep as the program submits: it sees the entry, or the program sees
/// that the thread has to be woken.
#[test]
fn a_thread_that_sleeps_is_woken() {
    explore(|| {
        let (_, words) = ring(1, 1);
        let words = Arc::new(words);
        let program = {
            let words = words.clone();
            thread::spawn(move || {
                words.store(layout::SQ_TAIL, 1, Release);
                words.full_fence();
                words.load(layout::SQ_FLAGS, Relaxed) & IORING_SQ_NEED_WAKEUP != 0
            })
        };
        let sleeps = sq::fall_asleep(&*words);
        if !sleeps {
            sq::wake_up(&*words);
        }
        let wakes = program.join().expect("the program");
        assert!(!sleeps || wakes, "it sleeps, and nobody wakes it");
        assert_eq!(sq::is_asleep(&*words), sleeps);
    });
}
