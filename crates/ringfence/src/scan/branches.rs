//! Direct branches into places that a jump is to be put over.
//!
//! Those of the same function are found by decoding it. A long branch may come from elsewhere, such
//! as a part of the function that the compiler thought unlikely and put away: every four bytes of
//! the code that would be the displacement of a branch to such a place count as one. That finds all
//! there are, and rarely some that are none, at the price of a trap instead of a jump.
//!
//! What it cannot see are tables of indirect jumps. Their targets are the beginnings of cases; one
//! in the middle of a straight line, between its last argument and its `syscall`, is not known.

use super::{JUMP_LEN, Site};
use iced_x86::Instruction;

/// Addresses inside the jump at which an instruction of the original starts.
fn inner(site: &Site) -> impl Iterator<Item = u64> + '_ {
    let at = site.at();
    site.body.iter().map(Instruction::ip).filter(move |&ip| ip > at && ip < at + JUMP_LEN)
}

/// Whether one of a function's instructions enters a site of it in the middle.
pub(super) fn enters(site: &Site, function: &[Instruction]) -> bool {
    function.iter().any(|step| {
        let target = step.near_branch_target();
        target != 0 && inner(site).any(|place| place == target)
    })
}

/// Splits `sites` into those that no long branch enters in the middle, and the others.
pub(super) fn split_entered(code: &[u8], base: u64, sites: Vec<Site>) -> (Vec<Site>, Vec<Site>) {
    let mut places: Vec<u64> = sites.iter().flat_map(inner).collect();
    places.sort_unstable();
    let (Some(&first), Some(&last)) = (places.first(), places.last()) else {
        return (sites, Vec::new());
    };
    let mut entered = Vec::new();
    for (offset, bytes) in code.windows(4).enumerate() {
        let distance = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let target = (base + offset as u64 + 4).wrapping_add_signed(i64::from(distance));
        if (first..=last).contains(&target) && places.binary_search(&target).is_ok() {
            entered.push(target);
        }
    }
    sites.into_iter().partition(|site| !inner(site).any(|place| entered.contains(&place)))
}
