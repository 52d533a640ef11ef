//! Puts jumps over call sites, and the stubs they lead to near them.
//!
//! Memory is never writable and executable at once. A page of code is changed in a copy that then
//! takes the page's place in one `mremap`: other threads run the old page or the new one and never
//! see half an instruction, so it does not matter whether there are any. Of a site only the load
//! of the number is overwritten; the `syscall` stays, so that a thread that stands there, or a
//! branch to it, still makes the call.
#![expect(unsafe_code, reason = "changes the program's code")]

use crate::objects::Object;
use crate::raw;
use crate::scan::{JUMP_LEN, Site};
use crate::stub;
use std::collections::BTreeMap;

pub(crate) const PAGE: u64 = 4096;

/// How far from the code stubs may stand, so that both ends of both reach each other.
const NEAR: u64 = 1 << 30;

/// Memory for stubs, still writable.
#[derive(Debug)]
pub(crate) struct Stubs {
    at: u64,
    len: u64,
    used: u64,
}

impl Stubs {
    /// Reserves `len` bytes near `object`: below it if possible, since above a program its heap
    /// grows.
    pub(crate) fn near(object: &Object, len: u64) -> Option<Stubs> {
        let len = len.next_multiple_of(PAGE);
        let (below, above) = (object.start & !(PAGE - 1), object.end.next_multiple_of(PAGE));
        let down = (1..).map(|step| below.checked_sub(len + step * (1 << 16)));
        let down = down.map_while(|at| at.filter(|&at| at >= 1 << 16 && below - at < NEAR));
        let up = (1..).map(|step| above + step * (1 << 24)).take_while(|at| at - above < NEAR);
        let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as u64;
        down.chain(up).find_map(|at| {
            // Takes free address space only: NOREPLACE.
            let got = raw::call(libc::SYS_mmap, [at, len, prot, flags, u64::MAX, 0]);
            if got == at as i64 {
                return Some(Stubs { at, len, used: 0 });
            }
            if got > 0 {
                raw::call(libc::SYS_munmap, [got as u64, len, 0, 0, 0, 0]);
            }
            None
        })
    }

    /// Where the next stub will stand.
    pub(crate) fn next(&self) -> u64 {
        self.at + self.used
    }

    /// Appends a stub, if there is room.
    pub(crate) fn push(&mut self, code: &[u8]) -> Option<u64> {
        let at = self.next();
        if self.used + code.len() as u64 > self.len {
            return None;
        }
        // SAFETY: the range lies in the mapping that `near` made, which nothing else refers to.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), at as *mut u8, code.len()) };
        self.used += (code.len() as u64).next_multiple_of(16);
        Some(at)
    }

    /// Makes the stubs executable, and no longer writable; where they are, if that worked.
    pub(crate) fn seal(self) -> Option<Sealed> {
        let prot = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        let done = raw::call(libc::SYS_mprotect, [self.at, self.len, prot, 0, 0, 0]) == 0;
        done.then_some(Sealed { at: self.at, len: self.len })
    }
}

/// Stubs that are in use.
#[derive(Debug)]
pub(crate) struct Sealed {
    at: u64,
    len: u64,
}

impl Sealed {
    /// Gives the memory back, when the object that leads there is gone.
    pub(crate) fn free(self) {
        raw::call(libc::SYS_munmap, [self.at, self.len, 0, 0, 0, 0]);
    }
}

/// Leads each of `sites` to `entry`; returns the stubs, and the sites that could not be led there.
/// `flag`: see [`stub::site`].
pub(crate) fn apply(
    object: &Object,
    sites: &[Site],
    entry: u64,
    flag: Option<u64>,
) -> (Option<Sealed>, Vec<Site>) {
    let Some((stubs, edits, mut left)) = plan(object, sites, entry, flag) else {
        return (None, sites.to_vec());
    };
    let Some(sealed) = stubs.seal() else { return (None, sites.to_vec()) };
    let mut pages: BTreeMap<u64, Vec<(&Site, [u8; 5])>> = BTreeMap::new();
    for (site, jump) in edits {
        pages.entry(site.at() & !(PAGE - 1)).or_default().push((site, jump));
    }
    for (page, edits) in pages {
        let bytes: Vec<(u64, [u8; 5])> =
            edits.iter().map(|(site, jump)| (site.at(), *jump)).collect();
        if !replace_page(page, &bytes) {
            left.extend(edits.iter().map(|(site, _)| (*site).clone()));
        }
    }
    (Some(sealed), left)
}

type Plan<'a> = (Stubs, Vec<(&'a Site, [u8; 5])>, Vec<Site>);

/// Writes the stubs; says which jump goes where, and which sites have none.
fn plan<'a>(object: &Object, sites: &'a [Site], entry: u64, flag: Option<u64>) -> Option<Plan<'a>> {
    let room: u64 = sites.iter().map(|site| 192 + 16 * site.body.len() as u64).sum();
    let mut stubs = Stubs::near(object, room)?;
    let (mut edits, mut left) = (Vec::new(), Vec::new());
    for site in sites {
        // An instruction across two pages would not change at once.
        let in_page = site.at() % PAGE + JUMP_LEN <= PAGE;
        let jump = stub::site(site, stubs.next(), entry, flag)
            .filter(|_| in_page)
            .and_then(|code| stubs.push(&code))
            .and_then(|stub| stub::jump(site.at(), stub));
        match jump {
            Some(jump) => edits.push((site, jump)),
            None => left.push(site.clone()),
        }
    }
    Some((stubs, edits, left))
}

/// Replaces a page of code by a copy in which `edits` are made; true if that worked.
pub(crate) fn replace_page(page: u64, edits: &[(u64, [u8; 5])]) -> bool {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let copy = raw::call(libc::SYS_mmap, [0, PAGE, prot, flags, u64::MAX, 0]);
    if copy < 0 {
        return false;
    }
    let copy = copy as u64;
    // SAFETY: `copy` was mapped just now; `page` is code of a loaded object, which is readable.
    unsafe { std::ptr::copy_nonoverlapping(page as *const u8, copy as *mut u8, PAGE as usize) };
    for (at, bytes) in edits {
        let target = copy + (at - page);
        // SAFETY: callers pass edits that lie in the page.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target as *mut u8, bytes.len()) };
    }
    let executable = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    let move_there = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
    let done = raw::call(libc::SYS_mprotect, [copy, PAGE, executable, 0, 0, 0]) == 0
        && raw::call(libc::SYS_mremap, [copy, PAGE, PAGE, move_there, page, 0]) == page as i64;
    if !done {
        raw::call(libc::SYS_munmap, [copy, PAGE, 0, 0, 0, 0]);
    }
    done
}
