//! Whose calls a worker may make.
//!
//! A thread may have an effective user, a directory, a root and namespaces of its own, and what it
//! submits is done with those. Workers inherit them from the thread that starts them: so there is a
//! pool for each kind of surroundings, nearly always one, and a pool that has come to have no threads
//! is anybody's. The kernel has workers for each thread that submits. Directories, roots and
//! namespaces are compared once a thread was seen to leave those that it shared: a sandbox may not
//! know the call that compares.

use crate::blocked::Blocked;
use crate::work::{Job, Pool};
use ringfence_host::Host;
use ringfence_host::atomic::AtomicBool;
use ringfence_host::sync::{Arc, Mutex, Ordering, mutex};

/// `KCMP_FS`: compares directories, roots and masks; threads in different mount or user namespaces
/// cannot share them.
const KCMP_FS: u64 = 3;

/// The affinity of workers, as `sched_setaffinity` takes it.
pub(crate) type Cpus = [u64; 16];

/// What a thread goes through the file system with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Home {
    user: u64,
    group: u64,
    /// User and group for the file system alone, where some thread was seen to have such.
    own: [u64; 2],
    /// A thread that shares its directory, root and namespaces.
    thread: u64,
}

impl Home {
    /// The calling thread's.
    pub(crate) fn of_caller<H: Host>(host: &H, own_ids: bool) -> Home {
        let is = |number| host.syscall(number, [0; 6]).unwrap_or(0);
        let (user, group) = (is(libc::SYS_geteuid), is(libc::SYS_getegid));
        // setfsuid(-1) tells the file-system user, but sandboxes that forbid a change of user, QEMU's for
        // one, kill who calls it: so it is called only where the program has.
        let own = |number, other| match own_ids {
            true => host.syscall(number, [u64::from(u32::MAX), 0, 0, 0, 0, 0]).unwrap_or(other),
            false => other,
        };
        let own = [own(libc::SYS_setfsuid, user), own(libc::SYS_setfsgid, group)];
        Home { user, group, own, thread: is(libc::SYS_gettid) }
    }

    /// The same by the way of another thread.
    pub(crate) fn by(self, thread: Option<&u64>) -> Home {
        Home { thread: thread.copied().unwrap_or(self.thread), ..self }
    }

    /// Whether the user and the group are the same.
    pub(crate) fn is_user_of(&self, other: &Home) -> bool {
        (self.user, self.group, self.own) == (other.user, other.group, other.own)
    }

    /// Whether the rest is the same too; where kcmp is refused, it is taken to be.
    pub(crate) fn is<H: Host>(&self, other: &Home, host: &H) -> bool {
        if self.thread == other.thread {
            return true;
        }
        match host.syscall(libc::SYS_kcmp, [self.thread, other.thread, KCMP_FS, 0, 0, 0]) {
            Ok(order) => order == 0,
            // Whoever it was has ended, and so cannot tell.
            Err(errno) => errno.raw() != libc::ESRCH,
        }
    }
}

/// The pools of a process.
pub(crate) struct Pools<H: Host> {
    host: H,
    /// The first thread's, and mostly everybody's.
    first: Arc<Pool<H>>,
    others: Mutex<H, Vec<Arc<Pool<H>>>>,
    /// Threads may have left the directory, root and namespaces that they shared.
    parted: AtomicBool<H>,
    /// Threads may have a user or group of their own, for the file system or altogether.
    own_ids: AtomicBool<H>,
}

impl<H: Host> Pools<H> {
    pub(crate) fn new(host: &H) -> Self {
        Pools {
            host: host.clone(),
            first: Arc::new(Pool::new(host.clone())),
            others: mutex(host, &crate::locks::POOL, Vec::new()),
            parted: AtomicBool::new(false),
            own_ids: AtomicBool::new(false),
        }
    }

    /// Queues work for threads with the surroundings of the calling one.
    pub(crate) fn queue(&self, jobs: Vec<Arc<Job<H>>>, waits: &[Arc<Blocked<H>>]) {
        let home = Home::of_caller(&self.host, self.own_ids.load(Ordering::Relaxed));
        self.of(home).queue(jobs, waits);
    }

    /// The pool with these surroundings, which is to queue something.
    fn of(&self, home: Home) -> Arc<Pool<H>> {
        // Whoever parted did so before it submits: no order is needed to see one's own.
        let parted = self.parted.load(Ordering::Relaxed);
        if self.first.is_reserved_for(home, parted) {
            return Arc::clone(&self.first);
        }
        let others = self.others.lock().clone();
        if let Some(found) = others.into_iter().find(|pool| pool.is_reserved_for(home, parted)) {
            return found;
        }
        let pool = Arc::new(Pool::new(self.host.clone()));
        pool.set_limits(self.first.set_limits([0; 2]));
        // Nobody else knows of it yet, so that it is free.
        let _ = pool.is_reserved_for(home, parted);
        self.others.lock().push(Arc::clone(&pool));
        pool
    }

    /// See [`crate::Engine::tell_parted`].
    pub(crate) fn tell_parted(&self) {
        self.parted.store(true, Ordering::Relaxed);
    }

    /// See [`crate::Engine::tell_own_ids`].
    pub(crate) fn tell_own_ids(&self) {
        self.own_ids.store(true, Ordering::Relaxed);
    }

    /// Whether that was told.
    pub(crate) fn have_own_ids(&self) -> bool {
        self.own_ids.load(Ordering::Relaxed)
    }

    /// Takes over what was seen of threads: that of a forked child is its parent's.
    pub(crate) fn inherit(&self, parent: &Pools<H>) {
        self.parted.store(parent.parted.load(Ordering::Relaxed), Ordering::Relaxed);
        self.own_ids.store(parent.own_ids.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn all(&self) -> impl Iterator<Item = Arc<Pool<H>>> {
        let others = self.others.lock().clone();
        std::iter::once(Arc::clone(&self.first)).chain(others)
    }

    /// Sets the limits of bounded and unbounded threads, 0 leaving one as it is; what they were.
    pub(crate) fn set_limits(&self, limits: [u32; 2]) -> [u32; 2] {
        self.all().map(|pool| pool.set_limits(limits)).next().unwrap_or_default()
    }

    /// Ends idle threads soon, or lets them stay idle again.
    pub(crate) fn send_away(&self, away: bool) {
        self.all().for_each(|pool| pool.send_away(away));
    }

    /// Threads that have nothing to do.
    pub(crate) fn idle(&self) -> u32 {
        self.all().map(|pool| pool.idle()).sum()
    }

    /// Threads alive.
    pub(crate) fn threads(&self) -> u32 {
        self.all().map(|pool| pool.threads()).sum()
    }
}

/// Makes the calling thread, a worker, run on `wanted` processors, or on those it started with.
pub(crate) fn run_on<H: Host>(
    host: &H,
    wanted: Option<&Arc<Cpus>>,
    now: &mut Option<Arc<Cpus>>,
    begun: &mut Option<Cpus>,
) {
    let same = match (wanted, &*now) {
        (None, None) => true,
        (Some(wanted), Some(now)) => Arc::ptr_eq(wanted, now),
        _ => false,
    };
    if same {
        return;
    }
    let size = size_of::<Cpus>() as u64;
    if begun.is_none() {
        let mut cpus: Cpus = [0; 16];
        let at = cpus.as_mut_ptr() as u64;
        if host.syscall(libc::SYS_sched_getaffinity, [0, size, at, 0, 0, 0]).is_ok() {
            *begun = Some(cpus);
        }
    }
    if let Some(cpus) = wanted.map(|cpus| &**cpus).or(begun.as_ref()) {
        let at = cpus.as_ptr() as u64;
        let _ = host.syscall(libc::SYS_sched_setaffinity, [0, size, at, 0, 0, 0]);
    }
    *now = wanted.cloned();
}
