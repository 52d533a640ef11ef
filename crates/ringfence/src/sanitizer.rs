//! The program's AddressSanitizer, if it has one: it is told of the memory that the engine's calls
//! touch, as it is of what libc's functions do.
#![expect(unsafe_code, reason = "looks functions up by name and calls them")]

use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// `__asan_loadN` and `__asan_storeN`: they check an access, and report it.
static LOAD: AtomicUsize = AtomicUsize::new(0);
static STORE: AtomicUsize = AtomicUsize::new(0);

fn find(name: &CStr) -> usize {
    // SAFETY: a lookup by a C string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) as usize }
}

/// Looks for it.
pub(crate) fn start() {
    let (load, store) = (find(c"__asan_loadN"), find(c"__asan_storeN"));
    if load == 0 || store == 0 {
        return;
    }
    LOAD.store(load, Relaxed);
    STORE.store(store, Relaxed);
    ringfence_host::watch::set(check);
}

/// Has an access checked; does not return if it is reported.
fn check(addr: u64, len: u64, writes: bool) {
    let function = if writes { STORE.load(Relaxed) } else { LOAD.load(Relaxed) };
    // SAFETY: the address of a function of this signature, found by its name; it looks at its own
    // records of the memory only.
    unsafe {
        let function: extern "C" fn(usize, usize) = std::mem::transmute(function);
        function(addr as usize, len as usize);
    }
}
