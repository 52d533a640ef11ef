//! The executables and libraries that are mapped into the process.
#![expect(unsafe_code, reason = "reads the loader's list and the code it maps")]

use std::ffi::CStr;

/// An executable segment of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// Where it starts in memory.
    pub(crate) start: u64,
    /// Its length, bytes.
    pub(crate) len: u64,
}

impl Segment {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &'static [u8] {
        // SAFETY: the loader has mapped the segment readable; code of an object stays mapped while
        // it is loaded, and is scanned while the loader's lock is held or at the start.
        unsafe { std::slice::from_raw_parts(self.start as *const u8, self.len as usize) }
    }
}

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// The path, empty for the program.
    pub(crate) name: String,
    /// What its addresses are shifted by; 0 for a program at fixed addresses.
    pub(crate) base: u64,
    /// Its lowest mapped address.
    pub(crate) start: u64,
    /// Where it ends.
    pub(crate) end: u64,
    /// Readable executable segments.
    pub(crate) code: Vec<Segment>,
    /// All readable segments.
    readable: Vec<Segment>,
    /// Address of its dynamic section, 0 if it has none.
    pub(crate) dynamic: u64,
    /// Memory that the loader makes read-only once it has written the addresses in it.
    sealed: Vec<Segment>,
    /// Address of its table of functions (`.eh_frame_hdr`), 0 if it has none.
    unwind: u64,
    /// It was made by Go's compiler.
    pub(crate) go: bool,
}

impl Object {
    /// The last part of the path.
    pub(crate) fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or("")
    }

    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether an address is in memory that the loader has made read-only.
    pub(crate) fn is_sealed(&self, address: u64) -> bool {
        self.sealed.iter().any(|part| (part.start..part.end()).contains(&address))
    }

    /// A word of its memory.
    fn word(&self, at: u64) -> Option<u32> {
        let end = at.checked_add(4)?;
        let segment = self.readable.iter().find(|part| at >= part.start && end <= part.end())?;
        let offset = (at - segment.start) as usize;
        Some(u32::from_le_bytes(segment.bytes()[offset..offset + 4].try_into().ok()?))
    }

    /// The bounds of the function at an address, by the table for unwinding that nearly every
    /// object has (Linux Standard Base, "Exception Frames").
    pub(crate) fn function(&self, address: u64) -> Option<(u64, u64)> {
        // Version 1; the pointer relative and of four bytes, the count of four bytes, the table
        // relative to its start and of four bytes: what every linker writes.
        const FORM: u32 = u32::from_le_bytes([1, 0x1b, 0x03, 0x3b]);
        let table = self.unwind;
        if table == 0 || self.word(table)? != FORM {
            return None;
        }
        let relative = |at: u64, to: u64| -> Option<u64> {
            Some(to.wrapping_add_signed(i64::from(self.word(at)?.cast_signed())))
        };
        let (mut low, mut high) = (0, u64::from(self.word(table + 8)?));
        while low < high {
            let middle = (low + high) / 2;
            if relative(table + 12 + 8 * middle, table)? <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let entry = table + 12 + 8 * low.checked_sub(1)?;
        let start = relative(entry, table)?;
        // The description: length, its common part, then start and length of the function.
        let description = relative(entry + 4, table)?;
        if relative(description + 8, description + 8)? != start {
            return None;
        }
        let end = start + u64::from(self.word(description + 12)?);
        (address < end).then_some((start, end))
    }
}

/// All objects, the program first.
pub(crate) fn list() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: `visit` is called with the list that is passed here, before this returns.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut objects).cast()) };
    objects
}

/// How many objects were ever loaded, to see whether the list has grown.
pub(crate) fn loaded_ever() -> u64 {
    let mut count = 0u64;
    // SAFETY: as above, with a counter.
    unsafe { libc::dl_iterate_phdr(Some(count_loads), (&raw mut count).cast()) };
    count
}

unsafe extern "C" fn count_loads(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    out: *mut libc::c_void,
) -> i32 {
    // SAFETY: `out` is the counter of `loaded_ever`, `info` the loader's record.
    unsafe { *out.cast::<u64>() = (*info).dlpi_adds };
    1
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    out: *mut libc::c_void,
) -> i32 {
    // SAFETY: `out` is the list of `list`; the loader's record is valid during this call, its name
    // a C string or null, its headers `dlpi_phnum` long.
    let (objects, info, name, headers) = unsafe {
        let info = &*info;
        let name = if info.dlpi_name.is_null() {
            String::new()
        } else {
            CStr::from_ptr(info.dlpi_name).to_string_lossy().into_owned()
        };
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        (&mut *out.cast::<Vec<Object>>(), info, name, headers)
    };
    let mut object = Object {
        name,
        base: info.dlpi_addr,
        start: u64::MAX,
        end: 0,
        code: Vec::new(),
        readable: Vec::new(),
        dynamic: 0,
        sealed: Vec::new(),
        unwind: 0,
        go: false,
    };
    for header in headers {
        let start = info.dlpi_addr.wrapping_add(header.p_vaddr);
        match header.p_type {
            libc::PT_LOAD => {
                object.start = object.start.min(start);
                object.end = object.end.max(start + header.p_memsz);
                if header.p_flags & libc::PF_R != 0 {
                    object.readable.push(Segment { start, len: header.p_filesz });
                }
                if header.p_flags & libc::PF_X != 0 && header.p_flags & libc::PF_R != 0 {
                    object.code.push(Segment { start, len: header.p_filesz });
                }
            }
            libc::PT_DYNAMIC => object.dynamic = start,
            libc::PT_GNU_RELRO => object.sealed.push(Segment { start, len: header.p_memsz }),
            libc::PT_GNU_EH_FRAME => object.unwind = start,
            libc::PT_NOTE => object.go |= has_go_note(Segment { start, len: header.p_filesz }),
            _ => {}
        }
    }
    objects.push(object);
    0
}

/// Whether a segment of notes holds the build id that Go's linker writes: name length, length,
/// type 4, name.
fn has_go_note(notes: Segment) -> bool {
    const TYPE_AND_NAME: [u8; 8] = [4, 0, 0, 0, b'G', b'o', 0, 0];
    memchr::memmem::find(notes.bytes(), &TYPE_AND_NAME).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_the_program_and_libc() {
        let objects = list();
        let here = lists_the_program_and_libc as *const () as u64;
        assert!(objects[0].contains(here));
        assert!(
            objects[0].code.iter().any(|segment| segment.start <= here && here < segment.end())
        );
        assert!(objects.iter().any(|object| object.file_name().starts_with("libc.so")));
        let (start, end) = objects[0].function(here + 1).unwrap();
        assert!(start == here && end > here && end < here + (1 << 16));
        assert_eq!(objects[0].function(objects[0].start), None);
        assert!(loaded_ever() >= objects.len() as u64 - 1);
    }
}
