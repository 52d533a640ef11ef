//! `IORING_REGISTER_QUERY`: what there is, asked in a list of questions; needs no ring.

use crate::opdef::Table as Ops;
use ringfence_abi::*;
use ringfence_host::{Host, plain};

/// Longest list of questions.
const QUESTIONS_MAX: u32 = 1000;

const OPCODES: u32 = 0;
const QUESTIONS: u32 = 1;

/// Answers each question of the list at `entry`.
///
/// # Errors
/// `EINVAL`, `EFAULT`, `ERANGE`. A question that cannot be answered tells so in itself.
pub(crate) fn query<H: Host>(host: &H, entry: u64, nr: u32) -> Result<u32> {
    if nr != 0 {
        return Err(Errno::EINVAL);
    }
    let mut entry = entry;
    let mut count = 0;
    while entry != 0 {
        entry = answer(host, entry)?;
        count += 1;
        if entry != 0 && count >= QUESTIONS_MAX {
            return Err(Errno::from_raw(libc::ERANGE));
        }
    }
    Ok(0)
}

/// Answers one question; the address of the next.
fn answer<H: Host>(host: &H, at: u64) -> Result<u64> {
    let mut header: QueryHeader = plain::read(host, at)?;
    let room = header.size;
    let mut data = [0_u8; size_of::<QueryOpcode>()];
    let mut filled = 0;
    let result = if header.query_op >= QUESTIONS {
        Err(Errno::EOPNOTSUPP)
    } else if header.resv != [0; 3] || header.result != 0 || room == 0 {
        Err(Errno::EINVAL)
    } else {
        filled = data.len();
        host.copy_in(header.query_data, &mut data[..filled.min(room as usize)])?;
        data.copy_from_slice(plain::bytes(&opcodes::<H>()));
        Ok(())
    };
    debug_assert!(result.is_err() || header.query_op == OPCODES);
    header.result = result.map_or_else(Errno::as_result, |()| 0);
    header.size = room.min(filled as u32);
    host.copy_out(header.query_data, &data[..header.size as usize])?;
    // What the answer does not reach is zeroed, a page at most.
    for at in header.size..room.min(4096) {
        host.copy_out(header.query_data.wrapping_add(u64::from(at)), &[0])?;
    }
    plain::write(host, at, &header)?;
    Ok(header.next_entry)
}

fn opcodes<H: Host>() -> QueryOpcode {
    let last = (0..Op::COUNT).rev().find(|op| Ops::<H>::get(*op as u8).is_some());
    QueryOpcode {
        nr_request_opcodes: last.map_or(0, |last| last as u32 + 1),
        nr_register_opcodes: RegisterOp::Query as u32 + 1,
        feature_flags: u64::from(crate::setup::FEATURES),
        ring_setup_flags: u64::from(crate::setup::FLAGS_KNOWN),
        enter_flags: u64::from(crate::wait::FLAGS_KNOWN),
        sqe_flags: u64::from(crate::submit::SQE_FLAGS_KNOWN),
        nr_query_opcodes: QUESTIONS,
        pad: 0,
    }
}
