//! AIO's calls by the instruction, while the kernel serves all and nothing is intercepted yet.
//!
//! That the kernel refuses a context is heard through libaio's functions and libc's `syscall`
//! (`aio::setup_before_start`); by the instruction it would not be. So code is searched for that one
//! call, `io_setup`, which is a matter of comparing bytes, and no more: where an object has it,
//! interception starts there and then, and the kernel goes on serving as long as it grants contexts.

use crate::config::{self, Log, Tier};
use crate::objects::{self, Object};
use crate::{init, loader, scan};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Objects that come later are searched.
static WATCHING: AtomicBool = AtomicBool::new(false);

/// Objects that were searched: where they start, and their names. The loader holds a lock of its own
/// while it tells of new ones, so nobody waits for this one.
static SEARCHED: Mutex<Vec<(u64, String)>> = Mutex::new(Vec::new());

/// Searches what is loaded, and has the loader tell of what comes.
pub(crate) fn watch() {
    if config::get().tier <= Tier::Symbols {
        return;
    }
    let objects = objects::list();
    // The functions of a libaio that is there from the start are found by their names: by ours.
    if search(&objects, |object| object.file_name().starts_with("libaio.so")) {
        return;
    }
    if loader::listen(&objects) {
        init::loader_will_tell();
        WATCHING.store(true, Relaxed);
    }
}

/// The loader's list of objects has changed.
pub(crate) fn objects_changed() {
    if WATCHING.load(Relaxed) {
        search(&objects::list(), |_| false);
    }
}

/// Searches the objects that were not there before; true if interception has been started for one.
fn search(objects: &[Object], reached: impl Fn(&Object) -> bool) -> bool {
    // In a child of a fork that came in the middle of a search nobody lets go of it.
    let Ok(mut searched) = SEARCHED.try_lock() else { return false };
    let is =
        |known: &(u64, String), object: &Object| known.0 == object.start && known.1 == object.name;
    searched.retain(|known| objects.iter().any(|object| is(known, object)));
    let mut found = None;
    for object in objects {
        if searched.iter().any(|known| is(known, object)) {
            continue;
        }
        searched.push((object.start, object.name.clone()));
        let makes = || {
            let mut code = object.code.iter();
            code.any(|part| scan::seems_to_set_up_aio(part.bytes()))
        };
        if !init::is_exempt(object) && !reached(object) && makes() {
            found = Some(object);
            break;
        }
    }
    drop(searched);
    let Some(object) = found else { return false };
    WATCHING.store(false, Relaxed);
    config::log(Log::Info, || {
        format!("{} makes AIO contexts by the instruction", init::name(object))
    });
    init::start_late();
    true
}
