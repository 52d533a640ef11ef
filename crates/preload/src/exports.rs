//! Everything that the library exports, and its constructor and destructor.
#![expect(unsafe_code, reason = "exports functions under libc's names")]
#![expect(unreachable_pub, reason = "the linker reaches them")]

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Exports each function as a jump to the one that does the work.
macro_rules! export {
    ($($name:ident => $function:path,)*) => {
        $(
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name() {
                std::arch::naked_asm!("jmp {}", sym $function)
            }
        )*
    };
}

/// The table of replacements names its crate by its own name.
mod table {
    pub(crate) use ringfence_runtime::for_each_replacement;
}

table::for_each_replacement!(export);

/// `ringfence_install`, for C: starts to intercept in a program that links or loads this library.
/// 1 if calls are intercepted from now on, 0 if the kernel grants io_uring.
#[unsafe(no_mangle)]
pub extern "C" fn ringfence_install() -> i32 {
    // SAFETY: a lookup by a C string.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"close_range".as_ptr()) };
    // Where libc's function comes first, the name means that one in this library too.
    i32::from(if object_of(found.cast_const()) == object_of(construct as *const libc::c_void) {
        ringfence_runtime::start_preload(None)
    } else {
        ringfence_runtime::install()
    })
}

/// Where the object is loaded that an address lies in.
fn object_of(address: *const libc::c_void) -> Option<usize> {
    // SAFETY: an all-zero record is valid, and `dladdr` fills it.
    unsafe {
        let mut record: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address, &mut record) != 0).then_some(record.dli_fbase as usize)
    }
}

/// Asked by LeakSanitizer, which does not look for pointers where this library keeps its memory: what
/// is allocated from here is no leak of the program's.
#[unsafe(no_mangle)]
pub extern "C" fn __lsan_default_suppressions() -> *const libc::c_char {
    c"leak:libringfence.so\n".as_ptr()
}

/// The path by which this library was loaded.
fn own_path() -> Option<Vec<u8>> {
    // SAFETY: an all-zero record is valid, and `dladdr` fills it; its name is a C string.
    unsafe {
        let mut record: libc::Dl_info = std::mem::zeroed();
        let here = ringfence_install as *const libc::c_void;
        if libc::dladdr(here, &mut record) == 0 || record.dli_fname.is_null() {
            return None;
        }
        Some(CStr::from_ptr(record.dli_fname).to_bytes().to_vec())
    }
}

/// Whether the process was told to preload this library: by the path that it was loaded by, or by its
/// name alone, which the loader looks for.
fn is_preloaded(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next();
    std::env::var_os("LD_PRELOAD").is_some_and(|list| {
        let mut entries = list.as_bytes().split(|&byte| byte == b':' || byte == b' ');
        entries.any(|entry| entry == path || Some(entry) == name)
    })
}

/// The path in full: what the program executes may be executed elsewhere.
fn whole(path: Vec<u8>) -> Vec<u8> {
    let whole = std::path::absolute(OsStr::from_bytes(&path)).ok();
    whole.map_or(path, |whole| whole.into_os_string().into_vec())
}

extern "C" fn construct() {
    // A child of fork may allocate, whatever other threads did at that moment.
    // SAFETY: called once, before there is a thread of ours.
    unsafe { dlmalloc::enable_alloc_after_fork() };
    crate::reserve::keep();
    // A program that only links the library calls `ringfence_install`.
    if let Some(path) = own_path().filter(|path| is_preloaded(path)) {
        ringfence_runtime::start_preload(Some(whole(path)));
    }
}

extern "C" fn destruct() {
    ringfence_runtime::finish_preload();
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

#[used]
#[unsafe(link_section = ".fini_array")]
static DESTRUCTOR: extern "C" fn() = destruct;
