//! What happens when, from the start of the process to each loaded object.

use crate::config::{self, Backend, Log, Tier};
use crate::lock::ForkLock;
use crate::objects::{self, Object};
use crate::patch::Sealed;
use crate::probe::{self, Kernel};
use crate::scan::{Found, Number, Site, scan};
use crate::trap::{self, Means, Request};
use crate::window::Inside;
use crate::{backend, entry, got, loader, patch, process, raw, real, signal};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};

/// Whether calls are intercepted.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Whether the engine serves io_uring.
static IO_URING: AtomicBool = AtomicBool::new(false);

/// Whether the loader tells of new objects (see `loader`).
static LOADER_TELLS: AtomicBool = AtomicBool::new(false);

/// Whether calls are led here by the tables of loaded objects.
static REWRITES: AtomicBool = AtomicBool::new(false);

/// Whether every close is noticed, as far as code has been looked at.
static CLOSES_SEEN: AtomicBool = AtomicBool::new(false);

/// The preload's own path, where children are to get it too.
static LIBRARY: OnceLock<Vec<u8>> = OnceLock::new();

/// An object that has been scanned.
#[derive(Debug)]
struct SeenObject {
    start: u64,
    name: String,
    stubs: Option<Sealed>,
}

impl SeenObject {
    fn is(&self, object: &Object) -> bool {
        object.start == self.start && object.name == self.name
    }
}

/// Objects that have been scanned, and how many the loader had loaded by then.
#[derive(Debug)]
struct Seen {
    objects: Vec<SeenObject>,
    loaded_ever: u64,
    means: Option<Option<Means>>,
}

static SEEN: ForkLock<Seen> =
    ForkLock::new(Seen { objects: Vec::new(), loaded_ever: 0, means: None });

/// Whether calls are intercepted.
#[inline]
pub(crate) fn active() -> bool {
    ACTIVE.load(Relaxed)
}

/// Whether the loader tells of new objects by itself.
pub(crate) fn loader_tells() -> bool {
    LOADER_TELLS.load(Relaxed)
}

/// Whether every close of a descriptor is noticed: made through libc, or where it is led to us.
pub(crate) fn closes_are_seen() -> bool {
    CLOSES_SEEN.load(Relaxed)
}

/// From now on closes may go unnoticed.
pub(crate) fn distrust_closes() {
    if CLOSES_SEEN.swap(false, Relaxed) {
        backend::trust_closes(false);
    }
}

/// The path that executed programs are to preload.
pub(crate) fn library_path() -> Option<&'static [u8]> {
    if active() { LIBRARY.get().map(Vec::as_slice) } else { None }
}

/// Whether calls are to be intercepted in this process.
fn wanted() -> bool {
    let io_uring = wants_io_uring();
    IO_URING.store(io_uring && config::get().backend != Backend::Through, Relaxed);
    let aio = crate::aio::decide();
    io_uring || aio
}

/// Whether the engine serves io_uring, if anything is intercepted.
pub(crate) fn serves_io_uring() -> bool {
    IO_URING.load(Relaxed)
}

fn wants_io_uring() -> bool {
    match config::get().backend {
        Backend::User | Backend::Through => true,
        Backend::Kernel => false,
        Backend::Auto => {
            let kernel = probe::kernel();
            config::log(Log::Info, || format!("the kernel's io_uring: {kernel:?}"));
            kernel != Kernel::Granted
        }
    }
}

/// Whether calls are led here by the tables of loaded objects, not by the preload's exports.
fn rewrites() -> bool {
    REWRITES.load(Relaxed)
}

/// Starts to intercept in a program that is linked against this crate.
pub(crate) fn install() -> bool {
    if !active() {
        REWRITES.store(true, Relaxed);
    }
    start(None)
}

/// Starts to intercept, once; true if calls are intercepted from now on. `library` is the path of
/// the preload, for children.
pub(crate) fn start(library: Option<Vec<u8>>) -> bool {
    static ONCE: OnceLock<bool> = OnceLock::new();
    *ONCE.get_or_init(|| {
        if let Some(library) = library.filter(|_| config::get().follow) {
            let _ = LIBRARY.set(library);
        }
        let wanted = wanted();
        if wanted {
            start_late();
        } else if crate::aio::may_be_refused() && !rewrites() {
            crate::inline_aio::watch();
        }
        wanted
    })
}

/// Starts to intercept, if that has not been done; the process may have threads by now.
pub(crate) fn start_late() {
    const DONE: u32 = u32::MAX;
    /// The process in which a thread is at it.
    static BY: AtomicU32 = AtomicU32::new(0);
    let here = raw::getpid() as u32;
    loop {
        match BY.compare_exchange(0, here, Acquire, Acquire) {
            Ok(_) => break,
            Err(DONE) => return,
            Err(by) if by == here => std::thread::yield_now(),
            // A thread of the parent's was, when this process was forked: nobody goes on with it here, and
            // the kernel serves.
            Err(_) => return,
        }
    }
    // Handlers are not behind ours yet, and would wait for locks that their own thread has.
    let mask = signal::hold();
    intercept_all();
    BY.store(DONE, Release);
    signal::set_mask(mask);
}

fn intercept_all() {
    crate::failure::watch(rewrites());
    real::resolve();
    crate::sanitizer::start();
    process::start();
    signal::start();
    backend::start();
    crate::counters::start();
    ACTIVE.store(true, Relaxed);
    if rewrites() || config::get().tier > Tier::Symbols {
        // Addresses are written after the loader tells of an object, so `dlopen` must return.
        let listening = loader_tells() || !rewrites() && loader::listen(&objects::list());
        LOADER_TELLS.store(listening, Relaxed);
        if !listening && !rewrites() {
            config::log(Log::Info, || "the loader does not tell of new objects".into());
        }
        CLOSES_SEEN.store(true, Relaxed);
        objects_changed();
    }
}

/// The loader tells of new objects from now on.
pub(crate) fn loader_will_tell() {
    LOADER_TELLS.store(true, Relaxed);
}

/// Looks at objects that were not there before.
pub(crate) fn objects_changed() {
    if !active() {
        crate::inline_aio::objects_changed();
    }
    if !active() || (config::get().tier <= Tier::Symbols && !rewrites()) {
        return;
    }
    // A handler that forks must not find this thread with the lock.
    let _inside = Inside::enter();
    let mut seen = SEEN.lock();
    let objects = objects::list();
    seen.loaded_ever = objects::loaded_ever();
    // What is gone leaves its stubs, to which nothing leads any more.
    let gone = |known: &mut SeenObject| !objects.iter().any(|object| known.is(object));
    for known in seen.objects.extract_if(.., gone) {
        if let Some(stubs) = known.stubs {
            stubs.free();
        }
    }
    for object in &objects {
        if seen.objects.iter().any(|known| known.is(object)) {
            continue;
        }
        let stubs = if is_exempt(object) { None } else { take_over(object, &mut seen.means) };
        let (start, name) = (object.start, object.name.clone());
        seen.objects.push(SeenObject { start, name, stubs });
    }
    backend::trust_closes(closes_are_seen());
}

/// Before a fork: nobody is in the middle of a change.
pub(crate) fn hold() {
    SEEN.hold();
}

/// After it, in parent and child.
pub(crate) fn release() {
    SEEN.release();
}

/// Objects whose calls are left alone: libc's own, which are none of io_uring's, the kernel's, ours,
/// the unwinder that ours brings along, and sanitizers, which stop all threads with all signals
/// blocked.
pub(crate) fn is_exempt(object: &Object) -> bool {
    const LIBC: [&str; 10] = [
        "ld-linux",
        "ld-musl",
        "libc.so",
        "libpthread.so",
        "libgcc_s.so",
        "libasan.so",
        "liblsan.so",
        "libtsan.so",
        "linux-vdso",
        "linux-gate",
    ];
    let own = object.contains(entry::address()) && !object.name.is_empty();
    own || LIBC.iter().any(|name| object.file_name().starts_with(name))
}

/// Leads an object's calls to us, by all means that are allowed.
fn take_over(object: &Object, means: &mut Option<Option<Means>>) -> Option<Sealed> {
    if rewrites() {
        let count = got::rewrite(object);
        config::log(Log::Debug, || format!("{}: {count} addresses", object.name));
    }
    if config::get().tier > Tier::Symbols { intercept(object, means) } else { None }
}

/// Patches what can be patched of an object and has the rest trapped; returns the stubs.
fn intercept(object: &Object, means: &mut Option<Option<Means>>) -> Option<Sealed> {
    let tier = config::get().tier;
    let mut found = Found::default();
    for segment in &object.code {
        let part = scan(segment.bytes(), segment.start, &|at| object.function(at));
        found.sites.extend(part.sites);
        found.suspects.extend(part.suspects);
        found.calls.extend(part.calls);
        found.closes |= part.closes;
    }
    let ours = object.contains(entry::address());
    let flag = leave_alone(object, ours, &mut found);
    let (stubs, left) = match tier {
        _ if found.sites.is_empty() => (None, Vec::new()),
        Tier::Dispatch | Tier::Filter => (None, found.sites.clone()),
        _ => patch::apply(object, &found.sites, entry::address(), flag),
    };
    let name = name(object);
    tell(object, name, &found, &left);
    // A close that cannot be led away is not worth the trap of all that stands around it.
    let worth = |site: &&Site| tier == Tier::Dispatch || site.number != Number::Closing;
    let mut calls: Vec<u64> = left.iter().filter(worth).map(|site| site.call).collect();
    if !ours {
        calls.extend(&found.suspects);
    }
    let request = Request { object, calls, all: found.calls, closes: flag.is_some() };
    let mut dispatched = false;
    if !request.calls.is_empty() && tier > Tier::Patch {
        dispatched = trap(&request, name, &left, means) == Some(Means::Dispatch);
    }
    let closing = left.iter().filter(|site| site.number != Number::Ring).map(|site| site.call);
    let unseen = |call: u64| !dispatched || !request.closes || !request.spans(call);
    // liburing closes its rings by itself, which is seen when the ring is released.
    if (found.closes || closing.chain(found.suspects).any(unseen))
        && !object.file_name().starts_with("liburing.so")
    {
        config::log(Log::Info, || format!("{name}: closes descriptors where it is not seen"));
        CLOSES_SEEN.store(false, Relaxed);
    }
    stubs
}

/// Takes off the list what is to be left alone; where the byte is that says whether closes matter,
/// if they may be led to us.
fn leave_alone(object: &Object, ours: bool, found: &mut Found) -> Option<u64> {
    // In a program that we are linked into, calls of unknown numbers are our own, and so is one
    // that a probe makes. A stack of Go's may be too small for us, who need not be called at all.
    if !ours && !object.go {
        return Some(backend::any_ring_flag());
    }
    let closes = |site: &Site| site.number != Number::Ring;
    found.closes |= found.sites.iter().any(closes) || !found.suspects.is_empty();
    if ours {
        found.sites.retain(|site| !closes(site) && !probe::is_trial(site.call));
    } else {
        found.sites.retain(|site| site.number != Number::Closing);
    }
    None
}

/// What an object is called in messages.
pub(crate) fn name(object: &Object) -> &str {
    if object.name.is_empty() { "the program" } else { &object.name }
}

/// Says what was found in an object.
fn tell(object: &Object, name: &str, found: &Found, left: &[Site]) {
    if !found.sites.is_empty() || !found.suspects.is_empty() {
        config::log(Log::Info, || {
            let patched = found.sites.len() - left.len();
            let suspects = found.suspects.len();
            format!(
                "{name}: {patched} call sites patched, {} left, {suspects} suspects",
                left.len()
            )
        });
    }
    config::log(Log::Debug, || {
        let at = |address: &u64| format!("{:#x}", address.wrapping_sub(object.base));
        let sites: Vec<String> = found.sites.iter().map(|site| at(&site.at())).collect();
        let suspects: Vec<String> = found.suspects.iter().map(at).collect();
        format!("{name}: sites {}; suspects {}", sites.join(" "), suspects.join(" "))
    });
}

/// Has calls trapped that no jump can be put before; by what, if that worked.
fn trap(
    request: &Request<'_>,
    name: &str,
    left: &[Site],
    means: &mut Option<Option<Means>>,
) -> Option<Means> {
    let tier = config::get().tier;
    // A filter is for good, and may cost the program privileges: not on a mere suspicion.
    let certain = left.iter().any(|site| site.number == Number::Ring) || tier == Tier::Filter;
    let result = match *means.get_or_insert_with(choose_means) {
        Some(Means::Filter) if !certain => Err("no filter for what may be other calls".into()),
        Some(means) => trap_with_fallback(request, means, certain),
        None => Err("neither syscall user dispatch nor a seccomp filter works here".into()),
    };
    match &result {
        Ok(means) => config::log(Log::Info, || {
            format!("{name}: {} calls trapped ({means:?})", request.calls.len())
        }),
        Err(why) => config::log(Log::Info, || {
            format!("{name}: {} calls cannot be trapped: {why}", request.calls.len())
        }),
    }
    result.ok()
}

/// Traps by `means`, or by a filter where a second object wants to be dispatched.
fn trap_with_fallback(request: &Request<'_>, means: Means, certain: bool) -> Result<Means, String> {
    match trap::install(request, means) {
        Ok(()) => Ok(means),
        Err(why) if means == Means::Dispatch && certain && config::get().tier == Tier::Auto => {
            match trap::install(request, Means::Filter) {
                Ok(()) => Ok(Means::Filter),
                Err(other) => Err(format!("{why}; {other}")),
            }
        }
        Err(why) => Err(why),
    }
}

/// What works here, by trying.
fn choose_means() -> Option<Means> {
    let tier = config::get().tier;
    if tier != Tier::Filter && probe::dispatch() {
        return Some(Means::Dispatch);
    }
    (tier != Tier::Dispatch && probe::filter_trap()).then_some(Means::Filter)
}
