//! The trap tier: calls that cannot be patched raise SIGSYS.
//!
//! The handler does next to nothing: it changes the interrupted context so that, on its return,
//! the thread arrives at the same entry that patched sites jump to, with the registers as after
//! the system call. The engine thus never runs as a signal handler, nor on its stack.
//!
//! Syscall user dispatch traps every call of a range, so the others in it are sent on through a
//! stub each that makes them from elsewhere. It is a thread's own: new threads arm it, threads
//! that exist are asked to by a signal, a child of fork arms it again, exec drops it. A seccomp
//! filter traps io_uring's numbers only, is permanent, and is scoped by address (see `filter`).
#![expect(unsafe_code, reason = "installs a signal handler and reads the tables it uses")]

use crate::config::{self, Log};
use crate::objects::Object;
use crate::patch::Stubs;
use crate::scan::{CLOSING, NUMBERS};
use crate::signal::SigInfo;
use crate::{backend, entry, filter, raw, stub};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;
const PR_SYS_DISPATCH_INCLUSIVE_ON: u64 = 2;

/// `si_code` of SIGSYS.
const SYS_SECCOMP: i32 = 1;
const SYS_USER_DISPATCH: i32 = 2;

/// Filters are for good and each costs every system call; more objects than this get none.
const FILTERS_MAX: u32 = 16;

/// What a trial's trapped call is answered with (see `probe`).
pub(crate) const TRIAL_ANSWER: i64 = 4242;

/// A trapped address that is not always io_uring's, and the stub that makes the call instead.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// Where the call returns to.
    back: u64,
    stub: u64,
}

/// What the handler looks things up in; never changed once published.
#[derive(Debug, Default, Clone)]
struct Table {
    /// Return addresses whose calls are trapped on our behalf, by range, first to last.
    ranges: Vec<(u64, u64)>,
    /// Ordered by `back`.
    passes: Vec<Pass>,
    /// Calls that close descriptors are led to us too, where they are dispatched.
    closes: bool,
}

static TABLE: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());

/// The range that threads dispatch, first return address and length; 0 and 0 for none.
static DISPATCHED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

static FILTERS: AtomicU32 = AtomicU32::new(0);

/// Threads that have followed the request to arm.
static ARMED: AtomicU32 = AtomicU32::new(0);

/// How calls are trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    Dispatch,
    Filter,
}

/// What of an object has to be trapped.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) object: &'a Object,
    /// Addresses of the `syscall` instructions.
    pub(crate) calls: Vec<u64>,
    /// Addresses of all `0f 05` bytes of the object, the above included.
    pub(crate) all: Vec<u64>,
    /// Calls that close descriptors are to be led to us too.
    pub(crate) closes: bool,
}

impl Request<'_> {
    /// Whether a call at this address is trapped too, if the range is dispatched.
    pub(crate) fn spans(&self, call: u64) -> bool {
        self.span().is_some_and(|(first, last)| (first..=last).contains(&(call + 2)))
    }

    /// The return addresses of the first and the last.
    fn span(&self) -> Option<(u64, u64)> {
        Some((self.calls.iter().min()? + 2, self.calls.iter().max()? + 2))
    }
}

fn table() -> Option<&'static Table> {
    // SAFETY: null or a table that was leaked after it was made.
    unsafe { TABLE.load(Acquire).as_ref() }
}

fn publish(change: impl FnOnce(&mut Table)) {
    let mut table = table().cloned().unwrap_or_default();
    change(&mut table);
    table.passes.sort_by_key(|pass| pass.back);
    TABLE.store(Box::leak(Box::new(table)), Release);
}

/// Starts to trap the calls of `request`; the text says why it cannot.
pub(crate) fn install(request: &Request<'_>, means: Means) -> Result<(), String> {
    let Some((first, last)) = request.span() else { return Ok(()) };
    crate::signal::own();
    match means {
        Means::Dispatch => install_dispatch(request, first, last),
        Means::Filter => install_filter(request.object, first, last),
    }
}

fn install_dispatch(request: &Request<'_>, first: u64, last: u64) -> Result<(), String> {
    if DISPATCHED[1].load(Relaxed) != 0 {
        return Err("a thread can dispatch one range only, and another object has it".into());
    }
    let inside: Vec<u64> =
        request.all.iter().map(|call| call + 2).filter(|ip| (first..=last).contains(ip)).collect();
    let room = 32 * inside.len() as u64;
    let mut stubs =
        Stubs::near(request.object, room).ok_or("there is no room near it for stubs")?;
    let mut passes = Vec::new();
    for &back in &inside {
        let stub = stubs.push(&stub::pass(back)).ok_or("its stubs do not fit")?;
        passes.push(Pass { back, stub });
    }
    if stubs.seal().is_none() {
        return Err("the system forbids to make memory executable".into());
    }
    publish(|table| {
        table.ranges.push((first, last));
        table.passes.extend(passes);
        table.closes = request.closes;
    });
    DISPATCHED[0].store(first, Release);
    DISPATCHED[1].store(last - first + 1, Release);
    arm().map_err(|number| format!("syscall user dispatch: errno {number}"))?;
    arm_other_threads();
    Ok(())
}

fn install_filter(object: &Object, first: u64, last: u64) -> Result<(), String> {
    if object.base == 0 || !addresses_are_random() {
        return Err(
            "its addresses are fixed, where a filter would also meet programs executed later"
                .into(),
        );
    }
    if FILTERS.fetch_add(1, Relaxed) >= FILTERS_MAX {
        return Err(format!("{FILTERS_MAX} filters are installed, which is the limit"));
    }
    publish(|table| table.ranges.push((first, last)));
    filter::install(first, last).map_err(|number| format!("seccomp: errno {number}"))
}

/// Whether programs are mapped at random addresses.
pub(crate) fn addresses_are_random() -> bool {
    const ADDR_NO_RANDOMIZE: i64 = 0x004_0000;
    let persona = raw::call(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0]);
    let setting = std::fs::read_to_string("/proc/sys/kernel/randomize_va_space");
    persona >= 0 && persona & ADDR_NO_RANDOMIZE == 0 && setting.is_ok_and(|s| s.trim() != "0")
}

/// Makes the calling thread dispatch calls that return to `first..=last`.
pub(crate) fn dispatch(first: u64, last: u64) -> Result<(), i32> {
    let args =
        [PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_INCLUSIVE_ON, first, last - first + 1, 0, 0];
    match raw::call(libc::SYS_prctl, args) {
        0 => Ok(()),
        error => Err(-error as i32),
    }
}

/// Arms the calling thread, if threads are to be.
pub(crate) fn arm() -> Result<(), i32> {
    let (first, len) = (DISPATCHED[0].load(Acquire), DISPATCHED[1].load(Acquire));
    if len == 0 { Ok(()) } else { dispatch(first, first + len - 1) }
}

/// Whether new threads have to arm themselves.
pub(crate) fn threads_arm() -> bool {
    DISPATCHED[1].load(Relaxed) != 0
}

/// The value by which our own SIGSYS is known.
fn token() -> u64 {
    std::ptr::from_ref(&ARMED) as u64
}

/// Has every other thread arm itself, and waits for that, though not for long: one that is stopped
/// will do so when it goes on.
fn arm_other_threads() {
    let (pid, own) = (raw::getpid(), raw::gettid());
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        config::log(Log::Error, || "without /proc, threads that exist are not trapped".into());
        return;
    };
    let before = ARMED.load(Acquire);
    let mut asked = 0;
    for task in tasks.flatten() {
        let Some(tid) = task.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if tid == own {
            continue;
        }
        let mut info = [0u64; 16];
        info[0] = libc::SIGSYS as u64;
        info[1] = u64::from(libc::SI_QUEUE as u32);
        info[2] = pid as u64;
        info[3] = token();
        let at = std::ptr::from_ref(&info) as u64;
        let args = [pid as u64, tid as u64, libc::SIGSYS as u64, at, 0, 0];
        if raw::call(libc::SYS_rt_tgsigqueueinfo, args) == 0 {
            asked += 1;
        }
    }
    let start = std::time::Instant::now();
    while ARMED.load(Acquire).wrapping_sub(before) < asked && start.elapsed().as_millis() < 200 {
        std::thread::yield_now();
    }
}

/// SIGSYS: true if it was ours.
pub(crate) fn on_sigsys(info: &SigInfo, frame: &mut libc::ucontext_t) -> bool {
    if info.code == libc::SI_QUEUE && info.value == token() {
        let _ = arm();
        ARMED.fetch_add(1, AcqRel);
        return true;
    }
    if !matches!(info.code, SYS_SECCOMP | SYS_USER_DISPATCH) {
        return false;
    }
    let (back, number) = (info.address, info.value as u32);
    let Some(table) = table() else { return false };
    if !table.ranges.iter().any(|&(first, last)| (first..=last).contains(&back)) {
        return false;
    }
    let registers = &mut frame.uc_mcontext.gregs;
    let closes = || {
        table.closes
            && info.code == SYS_USER_DISPATCH
            && CLOSING.contains(&number)
            && backend::any_ring()
    };
    if NUMBERS.contains(&number) || closes() {
        registers[libc::REG_RAX as usize] = i64::from(number);
        registers[libc::REG_RCX as usize] = back as i64;
        registers[libc::REG_RIP as usize] = entry::address() as i64;
        return true;
    }
    if info.code != SYS_USER_DISPATCH {
        return false;
    }
    match table.passes.binary_search_by_key(&back, |pass| pass.back) {
        Ok(index) => {
            registers[libc::REG_RAX as usize] = i64::from(number);
            registers[libc::REG_RIP as usize] = table.passes[index].stub as i64;
        }
        // Code that was not there when the object was scanned: make the call from here.
        Err(_) => {
            let get = |register: i32| registers[register as usize] as u64;
            let args = [
                get(libc::REG_RDI),
                get(libc::REG_RSI),
                get(libc::REG_RDX),
                get(libc::REG_R10),
                get(libc::REG_R8),
                get(libc::REG_R9),
            ];
            registers[libc::REG_RAX as usize] = raw::call(i64::from(number), args);
        }
    }
    true
}

unsafe extern "C" fn on_trial(_: i32, _: *mut SigInfo, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel passes the interrupted context, which the handler may change.
    unsafe { (*context).uc_mcontext.gregs[libc::REG_RAX as usize] = TRIAL_ANSWER };
}

/// In a trial's child: answers trapped calls.
pub(crate) fn handle_trial() {
    crate::signal::set_trial_handler(on_trial);
}
