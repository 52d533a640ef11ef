//! The validator's classes of the engine's.

use ringfence_host::sync::LockClass;
use ringfence_lockdep::Class;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// By the address of what the engine declares.
static KNOWN: LazyLock<Mutex<HashMap<usize, &'static Class>>> = LazyLock::new(Mutex::default);

fn known() -> MutexGuard<'static, HashMap<usize, &'static Class>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(class: &'static LockClass) -> usize {
    std::ptr::from_ref(class) as usize
}

/// No lock of the engine's may be held where its thread sleeps.
fn class(class: &'static LockClass) -> Class {
    Class::at(class.name, class.site).no_park()
}

/// Declares classes in the order they may be taken in, outermost first. What is declared stays so.
pub(crate) fn declare(order: &[&'static LockClass]) {
    let mut known = known();
    if order.iter().any(|class| known.contains_key(&address(class))) {
        return;
    }
    let classes = Class::declare(order.iter().map(|&one| class(one)).collect());
    for (&engine, &validator) in order.iter().zip(classes) {
        known.insert(address(engine), validator);
    }
}

/// The validator's class; one that was not declared has no place in an order.
pub(crate) fn of(engine: &'static LockClass) -> &'static Class {
    let alone = || Class::declare(vec![class(engine)])[0];
    known().entry(address(engine)).or_insert_with(alone)
}
