//! Call stacks: captured where something new is learnt, named only when a report needs it.
#![expect(unsafe_code, reason = "the unwinder is asked where a function begins")]

use crate::graph::Index;
use std::ffi::c_void;
use std::panic::Location;

/// Frames kept of one stack.
const FRAMES_MAX: usize = 40;

/// A stack in [`Traces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId(u32);

impl TraceId {
    pub(crate) const NONE: TraceId = TraceId(0);
}

/// Every stack captured, each once.
#[derive(Debug)]
pub(crate) struct Traces {
    enabled: bool,
    frames: Vec<u64>,
    /// Where in `frames` each stack ends; a stack begins where the one before it ends.
    ends: Vec<u32>,
    index: Index,
    /// The first stack of each acquisition site, found by the site's address.
    sites: Index,
    site_entries: Vec<(usize, TraceId)>,
}

impl Traces {
    pub(crate) fn new() -> Traces {
        Traces {
            enabled: true,
            frames: Vec::new(),
            ends: vec![0],
            index: Index::new(),
            sites: Index::new(),
            site_entries: Vec::new(),
        }
    }

    /// Captures stacks or leaves it; a simulation names its sites and needs none.
    pub(crate) fn enable(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The stack of the caller.
    pub(crate) fn capture(&mut self) -> TraceId {
        if !self.enabled {
            return TraceId::NONE;
        }
        let mut frames = [0u64; FRAMES_MAX];
        let mut len = 0;
        backtrace::trace(|frame| {
            frames[len] = frame.ip() as u64;
            len += 1;
            len < FRAMES_MAX
        });
        self.store(&frames[..len])
    }

    fn store(&mut self, frames: &[u64]) -> TraceId {
        let hash = hash(frames);
        if let Some(id) = self.index.get(hash, |id| self.frames(TraceId(id)) == frames) {
            return TraceId(id);
        }
        let id = self.ends.len() as u32;
        self.frames.extend_from_slice(frames);
        self.ends.push(self.frames.len() as u32);
        let (all, ends) = (&self.frames, &self.ends);
        self.index.put(hash, id, |id| hash_of(all, ends, id));
        TraceId(id)
    }

    pub(crate) fn frames(&self, id: TraceId) -> &[u64] {
        let id = id.0 as usize;
        if id == 0 { &[] } else { &self.frames[self.ends[id - 1] as usize..self.ends[id] as usize] }
    }

    /// The stack that first acquired at `site`.
    pub(crate) fn of_site(&self, site: &'static Location<'static>) -> Option<TraceId> {
        let address = std::ptr::from_ref(site) as usize;
        let found =
            self.sites.get(site_hash(address), |id| self.site_entries[id as usize].0 == address);
        found.map(|id| self.site_entries[id as usize].1)
    }

    /// Records `trace` as the stack of `site`.
    pub(crate) fn set_site(&mut self, site: &'static Location<'static>, trace: TraceId) {
        let address = std::ptr::from_ref(site) as usize;
        let id = self.site_entries.len() as u32;
        self.site_entries.push((address, trace));
        let entries = &self.site_entries;
        self.sites.put(site_hash(address), id, |id| site_hash(entries[id as usize].0));
    }

    /// How many distinct stacks there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len() - 1
    }
}

fn hash(frames: &[u64]) -> u64 {
    frames.iter().fold(0, |key, &ip| crate::chain::extend(key, ip, 0))
}

fn hash_of(frames: &[u64], ends: &[u32], id: u32) -> u64 {
    let id = id as usize;
    hash(&frames[ends[id - 1] as usize..ends[id] as usize])
}

fn site_hash(address: usize) -> u64 {
    crate::chain::extend(0, address as u64, 0)
}

/// One function of a stack.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Frame {
    /// The whole path of the function, generics left out.
    pub path: String,
    /// Bytes from the start of the function; nothing if it was inlined or its start is unknown.
    pub offset: Option<u64>,
    /// The source file, shortened to what stands below its package's directory.
    pub file: Option<String>,
    /// The line in that file.
    pub line: Option<u32>,
    /// It was inlined into the frame that follows.
    pub inlined: bool,
}

impl Frame {
    /// The last part of the path that names a function, as a kernel stack would have it.
    pub fn function(&self) -> &str {
        let named = self.path.split("::").filter(|part| !part.starts_with('{'));
        // An inlined closure has no path, and so no function that it stands in.
        let unnamed = if self.path.contains("{closure") { "closure" } else { "unknown" };
        named.last().unwrap_or(unnamed)
    }
}

/// Whether a source file only carries an acquisition to the validator; a stack is shown from below
/// the functions of such files.
fn is_carrier(file: &str) -> bool {
    const CARRIERS: [&str; 5] =
        ["/library/", "/rustc/", "/backtrace-", "/lock_api-", "/parking_lot"];
    let own = file!().trim_end_matches("trace.rs");
    file.contains(own) || CARRIERS.iter().any(|part| file.contains(part))
}

/// Names the frames of a stack, from the function that took the lock outwards.
pub(crate) fn resolve(frames: &[u64]) -> Vec<Frame> {
    let mut named: Vec<Frame> = Vec::new();
    let mut leading = true;
    for &ip in frames {
        let from = named.len();
        backtrace::resolve(ip as *mut c_void, |symbol| {
            let Some(name) = symbol.name() else { return };
            let file = symbol.filename().map(|path| path.to_string_lossy().into_owned());
            leading &= file.as_deref().is_some_and(is_carrier);
            if !leading {
                named.push(Frame {
                    path: plain(&format!("{name:#}")),
                    offset: None,
                    file: file.as_deref().map(shorten),
                    line: symbol.lineno(),
                    inlined: true,
                });
            }
        });
        if let Some(outermost) = named[from..].last_mut() {
            outermost.inlined = false;
            outermost.offset = start_of(ip).map(|start| ip - start);
        }
    }
    let main = named.iter().position(|frame| frame.path.ends_with("__rust_begin_short_backtrace"));
    named.truncate(main.unwrap_or(named.len()));
    let is_runtime = |frame: &Frame| {
        let file = frame.file.as_deref().unwrap_or_default();
        ["core/src/", "std/src/", "alloc/src/"].iter().any(|library| file.starts_with(library))
    };
    while named.last().is_some_and(is_runtime) {
        named.pop();
    }
    named
}

/// Where the function that holds the instruction at `ip` begins.
fn start_of(ip: u64) -> Option<u64> {
    unsafe extern "C" {
        fn _Unwind_FindEnclosingFunction(pc: *mut c_void) -> *mut c_void;
    }
    // SAFETY: the unwinder looks the address up in its tables and does not read through it; the
    // standard library links it in on every platform that unwinds.
    let start = unsafe { _Unwind_FindEnclosingFunction((ip - 1) as *mut c_void) } as u64;
    (start != 0 && start <= ip).then_some(start)
}

/// A function's path without generic arguments and without the type that a method is called on.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut depth = 0usize;
    let mut previous = ' ';
    for character in name.chars() {
        match character {
            '<' => depth += 1,
            '>' if previous != '-' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
        previous = character;
    }
    let plain = plain.replace("::::", "::");
    let plain = plain.trim_matches(':');
    if plain.is_empty() || !plain.contains(|c: char| c.is_alphanumeric()) {
        name.to_owned()
    } else {
        plain.to_owned()
    }
}

/// A source path from its package's directory on: `lockdep/src/trace.rs`.
pub(crate) fn shorten(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let roots = ["src", "tests", "examples", "benches"];
    match parts.iter().rposition(|part| roots.contains(part)) {
        Some(root) => parts[root.saturating_sub(1)..].join("/"),
        None => parts[parts.len().saturating_sub(2)..].join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_generics_and_receivers() {
        assert_eq!(plain("engine::cq::flush"), "engine::cq::flush");
        assert_eq!(plain("<engine::Ring<T> as engine::Post>::post"), "post");
        assert_eq!(plain("engine::Ring<T>::post::<U>"), "engine::Ring::post");
    }

    #[test]
    fn frames_have_a_function() {
        let frame = |path: &str| Frame {
            path: path.to_owned(),
            offset: None,
            file: None,
            line: None,
            inlined: false,
        };
        assert_eq!(frame("engine::cq::flush").function(), "flush");
        assert_eq!(frame("engine::cq::flush::{{closure}}").function(), "flush");
        assert_eq!(frame("{closure#0}").function(), "closure");
    }

    #[test]
    fn files_start_at_their_package() {
        assert_eq!(shorten("/a/b/lockdep/src/trace.rs"), "lockdep/src/trace.rs");
        assert_eq!(shorten("crates/lockdep/tests/x.rs"), "lockdep/tests/x.rs");
    }

    #[test]
    fn equal_stacks_are_kept_once() {
        let mut traces = Traces::new();
        let one = traces.store(&[1, 2, 3]);
        let two = traces.store(&[1, 2]);
        assert_eq!(traces.store(&[1, 2, 3]), one);
        assert_ne!(one, two);
        assert_eq!(traces.frames(two), [1, 2]);
        assert_eq!(traces.len(), 2);
    }
}
