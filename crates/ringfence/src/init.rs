//! What happens when, from the start of the process to each loaded object.

use crate::config::{self, Backend, Log, Tier};
use crate::objects::{self, Object};
use crate::probe::{self, Kernel};
use crate::scan::{Found, scan};
use crate::trap::{self, Means, Request};
use crate::{backend, entry, loader, patch, process, real, signal};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Whether calls are intercepted.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Whether the loader tells of new objects (see `loader`).
static LOADER_TELLS: AtomicBool = AtomicBool::new(false);

/// The preload's own path, where children are to get it too.
static LIBRARY: OnceLock<Vec<u8>> = OnceLock::new();

/// Objects that have been scanned, and how many the loader had loaded by then.
#[derive(Debug)]
struct Seen {
    objects: Vec<(u64, String)>,
    loaded_ever: u64,
    means: Option<Option<Means>>,
}

static SEEN: Mutex<Seen> = Mutex::new(Seen { objects: Vec::new(), loaded_ever: 0, means: None });

/// Whether calls are intercepted.
#[inline]
pub(crate) fn active() -> bool {
    ACTIVE.load(Relaxed)
}

/// Whether the loader tells of new objects by itself.
pub(crate) fn loader_tells() -> bool {
    LOADER_TELLS.load(Relaxed)
}

/// The path that executed programs are to preload.
pub(crate) fn library_path() -> Option<&'static [u8]> {
    if active() { LIBRARY.get().map(Vec::as_slice) } else { None }
}

/// Whether the engine is to serve this process.
fn wanted() -> bool {
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

/// Starts to intercept, once; true if calls are intercepted from now on. `library` is the path of
/// the preload, for children.
pub(crate) fn start(library: Option<Vec<u8>>) -> bool {
    static ONCE: OnceLock<bool> = OnceLock::new();
    *ONCE.get_or_init(|| {
        if !wanted() {
            return false;
        }
        if let Some(library) = library.filter(|_| config::get().follow) {
            let _ = LIBRARY.set(library);
        }
        real::resolve();
        process::start();
        signal::start();
        backend::start();
        ACTIVE.store(true, Relaxed);
        if config::get().tier > Tier::Symbols {
            let listening = loader::listen(&objects::list());
            LOADER_TELLS.store(listening, Relaxed);
            if !listening {
                config::log(Log::Info, || "the loader does not tell of new objects".into());
            }
            objects_changed();
        }
        true
    })
}

/// Looks at objects that were not there before.
pub(crate) fn objects_changed() {
    if !active() || config::get().tier <= Tier::Symbols {
        return;
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let objects = objects::list();
    seen.loaded_ever = objects::loaded_ever();
    seen.objects.retain(|(start, name)| {
        objects.iter().any(|object| object.start == *start && object.name == *name)
    });
    for object in &objects {
        let known =
            seen.objects.iter().any(|(start, name)| object.start == *start && object.name == *name);
        if !known {
            seen.objects.push((object.start, object.name.clone()));
            if !is_exempt(object) {
                intercept(object, &mut seen.means);
            }
        }
    }
}

/// Objects whose calls are left alone: libc's own, which are none of io_uring's, the kernel's, ours.
fn is_exempt(object: &Object) -> bool {
    const LIBC: [&str; 6] =
        ["ld-linux", "ld-musl", "libc.so", "libpthread.so", "linux-vdso", "linux-gate"];
    let own = object.contains(entry::address()) && !object.name.is_empty();
    own || LIBC.iter().any(|name| object.file_name().starts_with(name))
}

/// Patches what can be patched of an object and has the rest trapped.
fn intercept(object: &Object, means: &mut Option<Option<Means>>) {
    let tier = config::get().tier;
    let mut found = Found::default();
    for segment in &object.code {
        let part = scan(segment.bytes(), segment.start);
        found.sites.extend(part.sites);
        found.suspects.extend(part.suspects);
        found.others.extend(part.others);
    }
    let left = match tier {
        _ if found.sites.is_empty() => Vec::new(),
        Tier::Dispatch | Tier::Filter => found.sites.clone(),
        _ => patch::apply(object, &found.sites, entry::address()),
    };
    let patched = found.sites.len() - left.len();
    let name = if object.name.is_empty() { "the program" } else { &object.name };
    if !found.sites.is_empty() || !found.suspects.is_empty() {
        config::log(Log::Info, || {
            let suspects = found.suspects.len();
            format!(
                "{name}: {patched} call sites patched, {} left, {suspects} suspects",
                left.len()
            )
        });
    }
    // In a program that we are linked into, calls of unknown numbers are our own.
    let ours = object.contains(entry::address());
    let mut calls: Vec<u64> = left.iter().map(|site| site.call).collect();
    if !ours {
        calls.extend(&found.suspects);
    }
    if calls.is_empty() || tier <= Tier::Patch {
        return;
    }
    let mut all = found.others;
    all.extend(&found.suspects);
    let request = Request { object, calls, all };
    let result = match *means.get_or_insert_with(choose_means) {
        Some(means) => trap_with_fallback(&request, means),
        None => Err("neither syscall user dispatch nor a seccomp filter works here".into()),
    };
    match result {
        Ok(means) => config::log(Log::Info, || {
            format!("{name}: {} calls trapped ({means:?})", request.calls.len())
        }),
        Err(why) => config::log(Log::Info, || {
            format!("{name}: {} calls cannot be trapped: {why}", request.calls.len())
        }),
    }
}

/// Traps by `means`, or by a filter where a second object wants to be dispatched.
fn trap_with_fallback(request: &Request<'_>, means: Means) -> Result<Means, String> {
    match trap::install(request, means) {
        Ok(()) => Ok(means),
        Err(why) if means == Means::Dispatch && config::get().tier == Tier::Auto => {
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
