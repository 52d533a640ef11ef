//! Futures that carry what they hold from thread to thread.

use crate::global;
use crate::task::{Task, TaskId};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// A future with its own record of held locks: wrap each task that is handed to an executor.
///
/// While it is polled, the thread counts as holding what the future holds, and not what the thread
/// held before.
///
/// ```
/// use ringfence_lockdep::{Mutex, Tracked};
/// static STATE: Mutex<u32> = Mutex::at_site(0);
/// let task = Tracked::new(async {
///     let mut state = STATE.lock_send();
///     std::future::ready(()).await; // may go on on another thread
///     *state += 1;
/// });
/// # let mut task = std::pin::pin!(task);
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(task.as_mut().poll(&mut context).is_ready());
/// ```
#[derive(Debug)]
pub struct Tracked<F: ?Sized> {
    task: Box<Task>,
    /// Nothing only while it is dropped.
    future: Option<Pin<Box<F>>>,
}

impl<F> Tracked<F> {
    /// Wraps a future that holds nothing yet.
    pub fn new(future: F) -> Tracked<F> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = TaskId(NEXT.fetch_add(1, Ordering::Relaxed));
        Tracked { task: Box::new(Task::of(id)), future: Some(Box::pin(future)) }
    }
}

/// The task is on the thread while this lives; a panic in the future takes it off too.
struct OnThread<'a>(&'a mut Task);

impl<'a> OnThread<'a> {
    fn new(task: &'a mut Task) -> OnThread<'a> {
        global::switch(task);
        global::collect_strayed();
        OnThread(task)
    }
}

impl Drop for OnThread<'_> {
    fn drop(&mut self) {
        global::switch(self.0);
    }
}

impl<F: Future + ?Sized> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let _on_thread = OnThread::new(&mut this.task);
        match &mut this.future {
            Some(future) => future.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl<F: ?Sized> Drop for Tracked<F> {
    fn drop(&mut self) {
        let _on_thread = OnThread::new(&mut self.task);
        // Its guards are released by the task that took them.
        self.future = None;
    }
}
