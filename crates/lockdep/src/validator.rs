//! A validator: what is known of all lock classes, asked and taught at each acquisition.

use crate::chain::{ChainCache, extend};
use crate::class::{Class, ClassKey, Traits};
use crate::context::Context;
use crate::graph::{ClassInfo, Graph};
use crate::mode::Mode;
use crate::report::{Report, Sink};
use crate::rules::{Check, Finding, bits};
use crate::signals::SignalsBlocked;
use crate::task::{Entered, Held, NEST, TRY, Task, Word};
use crate::usage::{Kind, Usage};
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

/// The set of rules at work, with all that it has seen.
///
/// A process has one that the lock types of this crate share. Others can be made for simulations
/// and tests; those are driven by hand.
///
/// ```
/// use ringfence_lockdep::{Acquire, Mode, OnReport, Task, Validator};
/// let validator = Validator::new(OnReport::Collect);
/// let (a, b) = (validator.class("a"), validator.class("b"));
/// let task = Task::new();
/// for [outer, inner] in [[a, b], [b, a]] {
///     validator.acquire(&task, Acquire::new(outer, Mode::Exclusive));
///     validator.acquire(&task, Acquire::new(inner, Mode::Exclusive));
///     validator.release(&task, inner, 0);
///     validator.release(&task, outer, 0);
/// }
/// let titles: Vec<_> = validator.reports().iter().map(|report| report.title.clone()).collect();
/// assert_eq!(titles, ["WARNING: possible circular locking dependency detected"]);
/// ```
#[derive(Debug)]
pub struct Validator {
    chains: ChainCache,
    graph: Mutex<Option<Box<Graph>>>,
    sink: Sink,
}

/// One acquisition, as a validator is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Acquire {
    /// What is taken.
    pub class: ClassKey,
    /// How.
    pub mode: Mode,
    /// It was tried, did not wait, and succeeded.
    pub try_lock: bool,
    /// Which lock of the class; its address, or any number that tells them apart.
    pub instance: usize,
    /// The instance of a held lock that serialises all nesting of this class.
    pub nest: Option<usize>,
    /// Where in the source.
    pub site: &'static Location<'static>,
}

impl Acquire {
    /// The acquisition of the only instance, 0, of `class`, at the place of this call.
    #[track_caller]
    pub const fn new(class: ClassKey, mode: Mode) -> Acquire {
        let site = Location::caller();
        Acquire { class, mode, try_lock: false, instance: 0, nest: None, site }
    }

    /// Of the lock `instance`.
    #[inline]
    pub const fn instance(mut self, instance: usize) -> Acquire {
        self.instance = instance;
        self
    }

    /// By a try-lock that succeeded.
    #[inline]
    pub const fn tried(mut self) -> Acquire {
        self.try_lock = true;
        self
    }

    /// While the lock `instance` is held, which serialises all nesting of this class.
    #[inline]
    pub const fn under(mut self, instance: usize) -> Acquire {
        self.nest = Some(instance);
        self
    }

    /// At another place in the source.
    #[inline]
    pub const fn at(mut self, site: &'static Location<'static>) -> Acquire {
        self.site = site;
        self
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        let tried = if self.try_lock { TRY } else { 0 };
        let nested = if self.nest.is_some() { NEST } else { 0 };
        Word::new(self.class, self.mode, tried | nested)
    }
}

/// What a validator has seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Classes in use, each subclass counted.
    pub classes: usize,
    /// Dependencies seen between them.
    pub edges: usize,
    /// Distinct acquisition chains, each validated once.
    pub chains: usize,
    /// Distinct call stacks kept.
    pub stacks: usize,
    /// Reports made.
    pub reports: usize,
}

impl Validator {
    /// A validator that has seen nothing.
    pub const fn new(on_report: crate::OnReport) -> Validator {
        Validator { chains: ChainCache::new(), graph: Mutex::new(None), sink: Sink::new(on_report) }
    }

    /// Numbers a class by name; each call makes one.
    #[track_caller]
    pub fn class(&self, name: &str) -> ClassKey {
        self.class_with(name, Traits::default())
    }

    /// Numbers a class of which more is declared.
    #[track_caller]
    pub fn class_with(&self, name: &str, traits: Traits) -> ClassKey {
        let site = Some(Location::caller());
        self.with_graph(|graph| {
            graph.add_class(ClassInfo { name: name.to_owned(), site, class: None, traits })
        })
    }

    /// Numbers a declared class and all that is declared with it, for the process-wide validator.
    pub(crate) fn class_declared(&self, class: &'static Class) -> ClassKey {
        use std::sync::atomic::Ordering::Relaxed;
        self.with_graph(|graph| {
            let alone = [class];
            let all = class.place().map_or(&alone[..], |place| place.order);
            if class.number.load(Relaxed) == 0 {
                let info = |class: &'static Class| ClassInfo {
                    name: class.name.to_owned(),
                    site: class.site,
                    class: Some(class),
                    traits: class.traits,
                };
                for class in all {
                    class.number.store(graph.add_class(info(class)).number(), Relaxed);
                }
                for class in all {
                    graph.declare_order_of(ClassKey::new(class.number.load(Relaxed), 0));
                }
            }
            ClassKey::new(class.number.load(Relaxed), 0)
        })
    }

    /// Numbers the class of the locks made at `site`.
    pub(crate) fn class_of_site(&self, site: &'static Location<'static>) -> ClassKey {
        self.with_graph(|graph| {
            let known = graph.classes.iter().position(|info| {
                info.class.is_none() && info.site.is_some_and(|known| std::ptr::eq(known, site))
            });
            if let Some(number) = known {
                return ClassKey::new(number as u32, 0);
            }
            let name = format!("{}:{}", crate::trace::shorten(site.file()), site.line());
            let (site, class, traits) = (Some(site), None, Traits::default());
            graph.add_class(ClassInfo { name, site, class, traits })
        })
    }

    /// Tells of an acquisition: before waiting for a lock, or after a try-lock that succeeded.
    #[inline]
    pub fn acquire(&self, task: &Task, acquire: Acquire) {
        self.acquire_word(task, acquire.word(), acquire.instance, acquire.site, acquire.nest);
    }

    #[inline]
    pub(crate) fn acquire_word(
        &self,
        task: &Task,
        word: Word,
        instance: usize,
        site: &'static Location<'static>,
        nest: Option<usize>,
    ) {
        let word = word.on(task);
        let key = extend(task.key(), word.0, std::ptr::from_ref(site) as u64);
        let held = Held { word, site, instance };
        if !self.chains.contains(key) && !self.validate(task, held, nest, key) {
            return;
        }
        if !task.push(held, key) {
            self.report(task, Finding::TooDeep { next: held });
        }
    }

    /// Tells of a release: before the lock is let go. The subclass does not matter.
    #[inline]
    #[track_caller]
    pub fn release(&self, task: &Task, class: ClassKey, instance: usize) {
        self.release_at(task, class, instance, Location::caller());
    }

    #[inline]
    pub(crate) fn release_at(
        &self,
        task: &Task,
        class: ClassKey,
        instance: usize,
        site: &'static Location<'static>,
    ) {
        if !task.pop(class, instance) {
            self.release_out_of_order(task, class, instance, site);
        }
    }

    /// Begins the context `context` on this task.
    pub fn enter(&self, task: &Task, context: &'static Context) -> Entered {
        task.enter(context.bit(), context.blocks())
    }

    /// Ends the context that `entered` began; it may not keep a lock.
    #[track_caller]
    pub fn leave(&self, task: &Task, entered: Entered) {
        let leaked = task.leave(&entered);
        if let Some(&held) = leaked.first() {
            self.report(task, Finding::HeldAtExit { held, site: Location::caller() });
        }
    }

    /// Tells that `context` cannot break in on this task until the matching [`Validator::unblock`].
    pub fn block(&self, task: &Task, context: &'static Context) {
        task.block(context.blocks());
    }

    /// Ends a [`Validator::block`]; what is held is from here on held with the context open.
    pub fn unblock(&self, task: &Task, context: &'static Context) {
        let opened = task.unblock(context.blocks());
        if opened == 0 || task.is_idle() || task.busy.get() {
            return;
        }
        let key = extend(task.key(), task.state(), u64::from(opened));
        if self.chains.contains(key) {
            return;
        }
        self.learn(task, Some(key), |check| {
            for held in check.task.held() {
                let node = check.graph.node(held.word.class());
                for context in bits(opened) {
                    let usage = Usage::of(context, Kind::Open, held.word.mode());
                    if let Some(finding) = check.mark(node, held, usage) {
                        return Some(finding);
                    }
                }
            }
            None
        });
    }

    /// Tells that the thread is about to park: locks that forbid it must not be held.
    #[inline]
    #[track_caller]
    pub fn parking(&self, task: &Task) {
        self.parking_at(task, Location::caller());
    }

    #[inline]
    pub(crate) fn parking_at(&self, task: &Task, site: &'static Location<'static>) {
        const PARK: u64 = 0x7061_726b;
        if task.is_idle() || task.busy.get() {
            return;
        }
        let key = extend(task.key(), PARK, 0);
        if !self.chains.contains(key) {
            self.learn(task, Some(key), |check| {
                let forbids = |held: &Held| check.graph.info(held.word.class()).traits.no_park;
                check.task.held().find(forbids).map(|held| Finding::HeldAtPark { held, site })
            });
        }
    }

    /// Tells that the thread returns to code that knows none of these locks: it may hold none.
    #[inline]
    #[track_caller]
    pub fn returning(&self, task: &Task) {
        self.returning_at(task, Location::caller());
    }

    #[inline]
    pub(crate) fn returning_at(&self, task: &Task, site: &'static Location<'static>) {
        if !task.is_idle()
            && let Some(held) = task.held().next()
        {
            self.report(task, Finding::HeldAtReturn { held, site });
        }
    }

    /// Reports unless the task holds `instance` of `class`.
    #[track_caller]
    pub fn assert_held(&self, task: &Task, class: ClassKey, instance: usize) {
        self.assert_held_at(task, class, instance, Location::caller());
    }

    pub(crate) fn assert_held_at(
        &self,
        task: &Task,
        class: ClassKey,
        instance: usize,
        site: &'static Location<'static>,
    ) {
        if !self.is_held(task, class, instance) && !task.busy.get() {
            self.report(task, Finding::NotHeld { class, site });
        }
    }

    /// Whether the task holds `instance` of `class`, any subclass.
    pub fn is_held(&self, task: &Task, class: ClassKey, instance: usize) -> bool {
        let mut held = task.held().rev();
        held.any(|held| held.instance == instance && held.word.class().is_same_lock(class))
    }

    /// Tells that the lock `instance` is destroyed: it must not be held.
    #[track_caller]
    pub fn destroyed(&self, task: &Task, class: ClassKey, instance: usize) {
        self.destroyed_at(task, class, instance, Location::caller());
    }

    pub(crate) fn destroyed_at(
        &self,
        task: &Task,
        class: ClassKey,
        instance: usize,
        site: &'static Location<'static>,
    ) {
        if task.is_idle() {
            return;
        }
        let same = |held: &Held| held.instance == instance && held.word.class().is_same_lock(class);
        if let Some((slot, held)) = task.held_slots().rev().find(|(_, held)| same(held)) {
            self.report(task, Finding::HeldFreed { held, site });
            self.remove(task, slot);
        }
    }

    /// Whether stacks are captured; on at first. Without them a report names sites only.
    pub fn capture_stacks(&self, enabled: bool) {
        self.with_graph(|graph| graph.traces.enable(enabled));
    }

    /// What is done with the next reports.
    pub fn on_report(&self, action: crate::OnReport) {
        self.sink.set_action(action);
    }

    /// The reports so far, oldest first.
    pub fn reports(&self) -> Vec<std::sync::Arc<Report>> {
        self.sink.reports()
    }

    /// What was seen so far.
    pub fn stats(&self) -> Stats {
        self.with_graph(|graph| Stats {
            classes: graph.nodes.iter().filter(|node| node.usages != 0).count(),
            edges: graph.edges.iter().filter(|edge| !edge.declared).count(),
            chains: self.chains.len(),
            stacks: graph.traces.len(),
            reports: self.sink.len(),
        })
    }

    /// Distinct acquisition chains so far; cheap, unlike [`Validator::stats`].
    pub fn chains(&self) -> usize {
        self.chains.len()
    }

    /// Forgets all that was seen, reports included; classes and declared orders stay. No thread may
    /// hold a lock meanwhile.
    pub fn forget(&self) {
        self.with_graph(Graph::forget);
        self.chains.clear();
        self.sink.clear();
    }

    pub(crate) fn with_graph<T>(&self, work: impl FnOnce(&mut Graph) -> T) -> T {
        let _quiet = SignalsBlocked::new();
        let mut graph = self.graph.lock().unwrap_or_else(PoisonError::into_inner);
        work(graph.get_or_insert_with(|| Box::new(Graph::new())))
    }

    /// Validates a chain seen for the first time. `false` if the validator itself is taking locks:
    /// those are not recorded.
    #[cold]
    #[inline(never)]
    fn validate(&self, task: &Task, held: Held, nest: Option<usize>, key: u64) -> bool {
        if task.busy.get() {
            return false;
        }
        self.learn(task, Some(key), |check| check.acquire(held, nest));
        true
    }

    #[cold]
    #[inline(never)]
    fn release_out_of_order(
        &self,
        task: &Task,
        class: ClassKey,
        instance: usize,
        site: &'static Location<'static>,
    ) {
        if task.busy.get() {
            return;
        }
        let matches =
            |held: &Held| held.instance == instance && held.word.class().is_same_lock(class);
        match task.held_slots().rev().find(|(_, held)| matches(held)) {
            Some((slot, _)) => self.remove(task, slot),
            None if task.pop_overflow() => {}
            None => self.report(task, Finding::BadUnlock { class, site }),
        }
    }

    /// Takes one entry out of the stack; what stands above is held without it from here on, which
    /// are new chains.
    fn remove(&self, task: &Task, slot: usize) {
        if task.bury(slot) {
            return;
        }
        for held in task.unwind_to(slot) {
            let key = extend(task.key(), held.word.0, std::ptr::from_ref(held.site) as u64);
            if !self.chains.contains(key) {
                self.validate(task, held, None, key);
            }
            task.push(held, key);
        }
    }

    /// Runs one check against the graph, reports what it finds, and keeps the chain `key` from being
    /// looked at again. A full cache of chains costs time and nothing else.
    fn learn(
        &self,
        task: &Task,
        key: Option<u64>,
        check: impl FnOnce(&mut Check<'_>) -> Option<Finding>,
    ) {
        task.busy.set(true);
        let report = self.with_graph(|graph| {
            let finding = check(&mut Check::new(graph, task));
            if let Some(key) = key {
                self.chains.insert(key);
            }
            let new = finding.filter(|finding| self.sink.is_new(finding.identity()));
            new.map(|finding| Report::new(graph, task, &finding))
        });
        self.deliver(task, report);
    }

    #[cold]
    fn report(&self, task: &Task, finding: Finding) {
        if !task.busy.get() {
            self.learn(task, None, |_| Some(finding));
        }
    }

    /// Hands a report over, with the signals let in again and no lock of the validator held.
    fn deliver(&self, task: &Task, report: Option<Report>) {
        let message = report.and_then(|report| self.sink.deliver(report.named()));
        task.busy.set(false);
        if let Some(message) = message {
            panic!("{message}");
        }
    }
}
