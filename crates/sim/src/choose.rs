//! Who runs next: the strategies behind a schedule.

use crate::rng::Rng;
use crate::schedule::Schedule;
use std::collections::BTreeMap;

/// What there is to choose from at a point.
pub(crate) struct Options<'a> {
    /// The running thread, if it could go on.
    pub(crate) current: Option<usize>,
    /// Threads that could run, the running one first, then by number.
    pub(crate) ready: &'a [usize],
    /// Time may pass instead, until the next timer.
    pub(crate) may_pass: bool,
}

impl Options<'_> {
    fn count(&self) -> usize {
        self.ready.len() + usize::from(self.may_pass)
    }

    /// Preemptions that a choice costs.
    fn cost(&self, choice: usize) -> u32 {
        u32::from(choice > 0 && (self.current.is_some() || choice >= self.ready.len()))
    }
}

/// A choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// This thread runs.
    Thread(usize),
    /// Time passes until the next timer.
    Time,
}

/// A point of an exhaustive search.
#[derive(Clone, Debug)]
struct Frame {
    chosen: u16,
    count: u16,
    /// What another choice than the first costs.
    other: u32,
    /// What letting time pass costs, which is the last choice.
    last: u32,
    /// Preemptions spent before.
    spent: u32,
}

impl Frame {
    fn cost(&self, choice: u16) -> u32 {
        match choice {
            0 => 0,
            choice if choice + 1 == self.count => self.last,
            _ => self.other,
        }
    }
}

/// The state of a depth-first search over all schedules with so many preemptions.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    bound: u32,
    frames: Vec<Frame>,
    at: usize,
    spent: u32,
}

impl Search {
    pub(crate) fn new(bound: u32) -> Search {
        Search { bound, frames: Vec::new(), at: 0, spent: 0 }
    }

    /// Goes on to the next schedule; false when there is none.
    pub(crate) fn advance(&mut self) -> bool {
        self.frames.truncate(self.at);
        (self.at, self.spent) = (0, 0);
        while let Some(frame) = self.frames.last_mut() {
            let next = frame.chosen + 1;
            let affordable =
                (next..frame.count).find(|choice| frame.spent + frame.cost(*choice) <= self.bound);
            if let Some(choice) = affordable {
                frame.chosen = choice;
                return true;
            }
            self.frames.pop();
        }
        false
    }

    fn choose(&mut self, count: usize, other: u32, last: u32) -> usize {
        if self.at == self.frames.len() {
            let frame = Frame { chosen: 0, count: count as u16, other, last, spent: self.spent };
            self.frames.push(frame);
        }
        let frame = &self.frames[self.at];
        // A body that is not deterministic may offer less than before.
        let chosen = usize::from(frame.chosen).min(count - 1);
        self.at += 1;
        self.spent += frame.cost(frame.chosen);
        chosen
    }
}

#[derive(Clone, Debug)]
enum Mind {
    Random,
    Pct { priorities: BTreeMap<usize, i64>, changes: Vec<u64>, lowest: i64 },
    Steps { steps: Vec<u16>, at: usize },
    Search(Search),
}

/// Makes the choices of one run, and remembers them.
#[derive(Clone, Debug)]
pub(crate) struct Chooser {
    mind: Mind,
    rng: Rng,
    step: u64,
    /// The choices taken where there was more than one.
    taken: Vec<u16>,
}

/// Where any thread may be chosen, time passes instead once in so many points.
const PASS_ONE_IN: u64 = 24;

impl Chooser {
    pub(crate) fn of(schedule: &Schedule) -> Chooser {
        let (mind, seed) = match schedule {
            Schedule::Random { seed } => (Mind::Random, *seed),
            Schedule::Pct { seed, depth, length } => {
                let mut rng = Rng::new(!*seed);
                let draw = |_| 1 + rng.below((*length).max(1));
                let changes = (1..(*depth).min(1000)).map(draw).collect();
                (Mind::Pct { priorities: BTreeMap::new(), changes, lowest: 0 }, *seed)
            }
            Schedule::Steps(steps) => (Mind::Steps { steps: steps.clone(), at: 0 }, 0),
        };
        Chooser { mind, rng: Rng::new(seed), step: 0, taken: Vec::new() }
    }

    pub(crate) fn search(search: Search) -> Chooser {
        Chooser { mind: Mind::Search(search), rng: Rng::new(0), step: 0, taken: Vec::new() }
    }

    /// The state of the search, if it is one.
    pub(crate) fn into_search(self) -> Option<Search> {
        match self.mind {
            Mind::Search(search) => Some(search),
            _ => None,
        }
    }

    /// The choices taken so far.
    pub(crate) fn taken(&self) -> &[u16] {
        &self.taken
    }

    /// A number below `limit` that is drawn, never explored: for faults and their like.
    pub(crate) fn draw(&mut self, limit: u64) -> u64 {
        self.rng.below(limit)
    }

    /// A choice of the simulated world's own, below `count`; explored by a search, free of cost.
    pub(crate) fn decide(&mut self, count: usize) -> usize {
        if count < 2 {
            return 0;
        }
        let choice = match &mut self.mind {
            Mind::Random | Mind::Pct { .. } => self.rng.below(count as u64) as usize,
            Mind::Steps { steps, at } => next_step(steps, at, count),
            Mind::Search(search) => search.choose(count, 0, 0),
        };
        self.taken.push(choice as u16);
        choice
    }

    /// Who runs next.
    pub(crate) fn choose(&mut self, options: &Options<'_>) -> Pick {
        self.step += 1;
        let count = options.count();
        if count < 2 {
            // A priority must be drawn at a thread's first point, however many there are.
            self.meet(options);
            return Pick::Thread(options.ready[0]);
        }
        let choice = match &mut self.mind {
            Mind::Random => pick_random(&mut self.rng, options),
            Mind::Pct { .. } => self.pick_pct(options),
            Mind::Steps { steps, at } => next_step(steps, at, count),
            Mind::Search(search) => search.choose(count, options.cost(1), options.cost(count - 1)),
        };
        self.taken.push(choice as u16);
        match options.ready.get(choice) {
            Some(thread) => Pick::Thread(*thread),
            None => Pick::Time,
        }
    }

    /// The running thread spins: it falls behind.
    pub(crate) fn spins(&mut self, thread: usize) {
        if let Mind::Pct { priorities, lowest, .. } = &mut self.mind {
            *lowest -= 1;
            priorities.insert(thread, *lowest);
        }
    }

    fn meet(&mut self, options: &Options<'_>) {
        if let Mind::Pct { priorities, .. } = &mut self.mind {
            for thread in options.ready {
                let rng = &mut self.rng;
                priorities.entry(*thread).or_insert_with(|| 1 + rng.below(1 << 40) as i64);
            }
        }
    }

    fn pick_pct(&mut self, options: &Options<'_>) -> usize {
        self.meet(options);
        let pass = options.may_pass && self.rng.below(PASS_ONE_IN) == 0;
        let Mind::Pct { priorities, changes, lowest } = &mut self.mind else { return 0 };
        if let Some(current) = options.current
            && changes.contains(&self.step)
        {
            *lowest -= 1;
            priorities.insert(current, *lowest);
        }
        if pass {
            return options.ready.len();
        }
        let best = (0..options.ready.len()).max_by_key(|i| priorities.get(&options.ready[*i]));
        best.unwrap_or(0)
    }
}

fn pick_random(rng: &mut Rng, options: &Options<'_>) -> usize {
    if options.may_pass && rng.below(PASS_ONE_IN) == 0 {
        return options.ready.len();
    }
    rng.below(options.ready.len() as u64) as usize
}

fn next_step(steps: &[u16], at: &mut usize, count: usize) -> usize {
    let step = steps.get(*at).copied().unwrap_or(0);
    *at += 1;
    usize::from(step).min(count - 1)
}
