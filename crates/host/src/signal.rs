//! Hooks around the one place where the engine lets signals in.

use std::sync::OnceLock;

/// What an interceptor wants to run around a blocking wait of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Before the wait: from here on the program's handlers may run on this thread.
    pub before_wait: fn(),
    /// After it: no longer.
    pub after_wait: fn(),
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Sets the hooks, once per process; later calls change nothing.
pub fn set_hooks(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

/// Runs `wait` between the hooks.
pub(crate) fn around<T>(wait: impl FnOnce() -> T) -> T {
    match HOOKS.get() {
        Some(hooks) => {
            (hooks.before_wait)();
            let result = wait();
            (hooks.after_wait)();
            result
        }
        None => wait(),
    }
}
