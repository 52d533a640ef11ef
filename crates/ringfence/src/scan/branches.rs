//! Direct branches into places that a jump is to be put over.
//!
//! No code is decoded for this: every four bytes that would be the displacement of a branch to such
//! a place count as one, and every byte after the opcode of a short branch. That finds all direct
//! branches there are, and some that are none, at the price of a trap instead of a jump.
//!
//! What it cannot see are tables of indirect jumps. Their targets are the beginnings of cases; one
//! in the middle of a straight line, between its last argument and its `syscall`, is not known.

use super::{JUMP_LEN, Site};

/// How far a short branch goes.
const SHORT: usize = 130;

/// Addresses inside the jump at which an instruction of the original starts.
fn inner(site: &Site) -> impl Iterator<Item = u64> + '_ {
    let at = site.at();
    site.body.iter().map(iced_x86::Instruction::ip).filter(move |&ip| ip > at && ip < at + JUMP_LEN)
}

/// Splits `sites` into those that nothing enters in the middle, and the others.
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
    for &place in &places {
        let at = (place - base) as usize;
        let near = at.saturating_sub(SHORT)..(at + SHORT).min(code.len() - 1);
        for opcode in near {
            if matches!(code[opcode], 0x70..=0x7f | 0xeb | 0xe0..=0xe3) {
                let distance = i64::from(code[opcode + 1].cast_signed());
                if (base + opcode as u64 + 2).wrapping_add_signed(distance) == place {
                    entered.push(place);
                }
            }
        }
    }
    sites.into_iter().partition(|site| !inner(site).any(|place| entered.contains(&place)))
}
