//! Settings, all from `RINGFENCE_*` variables of the environment.

use std::sync::OnceLock;

/// Who serves io_uring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The kernel where it grants io_uring, else the engine.
    Auto,
    /// The engine.
    User,
    /// The kernel; nothing is intercepted.
    Kernel,
    /// The kernel, with everything intercepted on the way: what the interception alone does and
    /// costs.
    Through,
}

/// Who serves Linux AIO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aio {
    /// The kernel while it grants contexts, the engine for those it refuses.
    Auto,
    /// The engine.
    User,
    /// The kernel.
    Kernel,
}

/// How calls are intercepted; each tier includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Exported functions only.
    Symbols,
    /// Call sites are patched too.
    Patch,
    /// What cannot be patched is trapped, by what works here.
    Auto,
    /// Nothing is patched; everything is trapped by syscall user dispatch. For tests.
    Dispatch,
    /// Nothing is patched; everything is trapped by a seccomp filter. For tests.
    Filter,
}

/// What is written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    /// Failures of our own.
    Error,
    /// What was chosen, and why.
    Info,
    /// Each object and call site too.
    Debug,
}

/// Where counters go when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counters {
    /// Nowhere.
    Off,
    /// To standard error, for people.
    Stderr,
    /// To this file, as JSON.
    File(&'static str),
}

/// The settings.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// `RINGFENCE_BACKEND`.
    pub backend: Backend,
    /// `RINGFENCE_AIO`.
    pub aio: Aio,
    /// `RINGFENCE_TIER`.
    pub tier: Tier,
    /// `RINGFENCE_LOG`.
    pub log: Log,
    /// `RINGFENCE_STATS`: 1 for standard error, else the path of a file that gets a line of JSON
    /// from each process.
    pub stats: Counters,
    /// `RINGFENCE_CHILDREN`: programs that this one executes get the preload too, whatever
    /// environment it gives them.
    pub follow: bool,
    /// `RINGFENCE_REQUEST_MEMORY`: bytes of requests that a ring may have in flight.
    pub request_memory: Option<usize>,
    /// `RINGFENCE_WORKERS`: threads for bounded and unbounded work; 0 for our own limit.
    pub workers: [u32; 2],
}

const BACKENDS: &[(&str, Backend)] = &[
    ("auto", Backend::Auto),
    ("user", Backend::User),
    ("kernel", Backend::Kernel),
    ("through", Backend::Through),
];

const AIOS: &[(&str, Aio)] = &[("auto", Aio::Auto), ("user", Aio::User), ("kernel", Aio::Kernel)];

const TIERS: &[(&str, Tier)] = &[
    ("auto", Tier::Auto),
    ("symbols", Tier::Symbols),
    ("patch", Tier::Patch),
    ("dispatch", Tier::Dispatch),
    ("filter", Tier::Filter),
];

const LOGS: &[(&str, Log)] = &[("error", Log::Error), ("info", Log::Info), ("debug", Log::Debug)];
const CHILDREN: &[(&str, bool)] = &[("follow", true), ("leave", false)];

impl Config {
    /// Reads the settings through `get`; an unknown value is an error that names what is known.
    ///
    /// # Errors
    /// The text says which variable holds what, and what it may hold.
    pub fn parse(get: impl Fn(&str) -> Option<String>) -> Result<Config, String> {
        Ok(Config {
            backend: choose(&get, "RINGFENCE_BACKEND", BACKENDS)?.unwrap_or(Backend::Auto),
            aio: choose(&get, "RINGFENCE_AIO", AIOS)?.unwrap_or(Aio::Auto),
            tier: choose(&get, "RINGFENCE_TIER", TIERS)?.unwrap_or(Tier::Auto),
            log: choose(&get, "RINGFENCE_LOG", LOGS)?.unwrap_or(Log::Error),
            stats: counters(get("RINGFENCE_STATS")),
            follow: choose(&get, "RINGFENCE_CHILDREN", CHILDREN)?.unwrap_or(true),
            request_memory: read(&get, "RINGFENCE_REQUEST_MEMORY", parse_bytes)?,
            workers: read(&get, "RINGFENCE_WORKERS", parse_workers)?.unwrap_or_default(),
        })
    }
}

/// A number of bytes, with `K`, `M` or `G` after it for powers of 1024.
///
/// # Errors
/// The text says what it must be.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let bytes = digits.parse().ok().and_then(|number: usize| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "it must be a number of bytes, such as 65536, 64K or 1M".to_owned())
}

/// Threads for bounded and for unbounded work, as `8,64`; one may be left out.
///
/// # Errors
/// The text says what it must be.
pub fn parse_workers(text: &str) -> Result<[u32; 2], String> {
    let number = |part: &str| if part.is_empty() { Some(0) } else { part.parse().ok() };
    let (bounded, unbounded) = text.split_once(',').unwrap_or((text, ""));
    match (number(bounded), number(unbounded)) {
        (Some(bounded), Some(unbounded)) => Ok([bounded, unbounded]),
        _ => Err("it must be two numbers of threads, bounded and unbounded, such as 8,64".into()),
    }
}

fn read<T>(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let Some(value) = get(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    parse(&value).map(Some).map_err(|why| format!("{name}={value}: {why}"))
}

fn counters(value: Option<String>) -> Counters {
    match value.as_deref() {
        None | Some("" | "0") => Counters::Off,
        Some("1") => Counters::Stderr,
        // Read once per process, so the leak is one path; whole, for the program may go elsewhere.
        Some(path) => {
            let whole =
                std::path::absolute(path).ok().and_then(|path| path.to_str().map(str::to_owned));
            Counters::File(String::leak(whole.unwrap_or_else(|| path.to_owned())))
        }
    }
}

fn choose<T: Copy>(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    known: &[(&str, T)],
) -> Result<Option<T>, String> {
    let Some(value) = get(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    match known.iter().find(|(text, _)| *text == value) {
        Some((_, choice)) => Ok(Some(*choice)),
        None => {
            let texts: Vec<&str> = known.iter().map(|(text, _)| *text).collect();
            Err(format!("{name}={value} is unknown; it may be {}", texts.join(", ")))
        }
    }
}

static CONFIG: OnceLock<Config> = OnceLock::new();

/// The settings in force, those of the environment if none were set.
pub(crate) fn get() -> &'static Config {
    CONFIG.get_or_init(|| {
        Config::parse(|name| std::env::var(name).ok()).unwrap_or_else(|error| {
            crate::raw::complain(&error);
            Config::parse(|_| None).expect("the defaults are known values")
        })
    })
}

/// Says `text()` if the log goes that far.
pub(crate) fn log(level: Log, text: impl FnOnce() -> String) {
    if get().log >= level {
        crate::raw::complain(&text());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_values() {
        let config = Config::parse(|_| None).unwrap();
        assert_eq!((config.backend, config.tier), (Backend::Auto, Tier::Auto));
        let config =
            Config::parse(|name| (name == "RINGFENCE_TIER").then(|| "patch".into())).unwrap();
        assert_eq!(config.tier, Tier::Patch);
        assert!(config.tier < Tier::Auto);
    }

    #[test]
    fn a_file_for_counters_is_known_by_its_whole_path() {
        let Counters::File(whole) = counters(Some("a/b".into())) else { panic!("no file") };
        assert_eq!(whole, std::env::current_dir().unwrap().join("a/b").to_str().unwrap());
        assert_eq!(counters(Some("/a/b".into())), Counters::File("/a/b"));
        assert_eq!(counters(Some("1".into())), Counters::Stderr);
        assert_eq!(counters(Some("0".into())), Counters::Off);
    }

    #[test]
    fn sizes_and_threads() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("64K"), Ok(65536));
        assert_eq!(parse_bytes("2G"), Ok(2 << 30));
        for wrong in ["", "K", "-1", "1.5M", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_workers("8,64"), Ok([8, 64]));
        assert_eq!(parse_workers("8"), Ok([8, 0]));
        assert_eq!(parse_workers(",64"), Ok([0, 64]));
        assert!(parse_workers("8,64,1").is_err() && parse_workers("many").is_err());
    }

    #[test]
    fn an_unknown_value_names_the_known_ones() {
        let error = Config::parse(|name| (name == "RINGFENCE_LOG").then(|| "loud".into()));
        assert_eq!(
            error.unwrap_err(),
            "RINGFENCE_LOG=loud is unknown; it may be error, info, debug"
        );
    }
}
