//! `io_uring_setup`: what the parameters may be, and the layout they lead to.

use crate::ring::Layout;
use ringfence_abi::*;

/// The features that the engine has; each bit is proven by conformance bodies.
pub const FEATURES: u32 = IORING_FEAT_SINGLE_MMAP
    | IORING_FEAT_NODROP
    | IORING_FEAT_SUBMIT_STABLE
    | IORING_FEAT_RW_CUR_POS
    | IORING_FEAT_CUR_PERSONALITY
    | IORING_FEAT_FAST_POLL
    | IORING_FEAT_POLL_32BITS
    | IORING_FEAT_SQPOLL_NONFIXED
    | IORING_FEAT_EXT_ARG
    | IORING_FEAT_NATIVE_WORKERS
    | IORING_FEAT_RSRC_TAGS
    | IORING_FEAT_CQE_SKIP
    | IORING_FEAT_LINKED_FILE
    | IORING_FEAT_REG_REG_RING
    | IORING_FEAT_RECVSEND_BUNDLE
    | IORING_FEAT_MIN_TIMEOUT
    | IORING_FEAT_RW_ATTR
    | IORING_FEAT_NO_IOWAIT;

/// Setup flags that the engine knows; others get `EINVAL`, as on a kernel without them.
pub(crate) const FLAGS_KNOWN: u32 = IORING_SETUP_IOPOLL
    | IORING_SETUP_SQPOLL
    | IORING_SETUP_SQ_AFF
    | IORING_SETUP_CQSIZE
    | IORING_SETUP_CLAMP
    | IORING_SETUP_ATTACH_WQ
    | IORING_SETUP_R_DISABLED
    | IORING_SETUP_SUBMIT_ALL
    | IORING_SETUP_COOP_TASKRUN
    | IORING_SETUP_TASKRUN_FLAG
    | IORING_SETUP_SQE128
    | IORING_SETUP_CQE32
    | IORING_SETUP_SINGLE_ISSUER
    | IORING_SETUP_DEFER_TASKRUN
    | IORING_SETUP_NO_MMAP
    | IORING_SETUP_REGISTERED_FD_ONLY
    | IORING_SETUP_NO_SQARRAY
    | IORING_SETUP_HYBRID_IOPOLL
    | IORING_SETUP_CQE_MIXED
    | IORING_SETUP_SQE_MIXED
    | IORING_SETUP_SQ_REWIND;

/// Pairs of flags that the kernel refuses together.
const EXCLUSIVE: &[(u32, u32)] = &[
    (IORING_SETUP_SQPOLL, IORING_SETUP_COOP_TASKRUN),
    (IORING_SETUP_SQPOLL, IORING_SETUP_TASKRUN_FLAG),
    (IORING_SETUP_SQPOLL, IORING_SETUP_DEFER_TASKRUN),
    (IORING_SETUP_CQE32, IORING_SETUP_CQE_MIXED),
    (IORING_SETUP_SQE128, IORING_SETUP_SQE_MIXED),
    (IORING_SETUP_SQPOLL, IORING_SETUP_SQ_REWIND),
];

/// Flags of which the first makes no sense without one of the second.
const NEEDS: &[(u32, u32)] = &[
    (IORING_SETUP_SQ_AFF, IORING_SETUP_SQPOLL),
    (IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN),
    (IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER),
    (IORING_SETUP_HYBRID_IOPOLL, IORING_SETUP_IOPOLL),
    (IORING_SETUP_SQ_REWIND, IORING_SETUP_NO_SQARRAY),
    (IORING_SETUP_REGISTERED_FD_ONLY, IORING_SETUP_NO_MMAP),
];

fn check_flags(flags: u32) -> Result<()> {
    let bad = flags & !FLAGS_KNOWN != 0
        || EXCLUSIVE.iter().any(|(a, b)| flags & a != 0 && flags & b != 0)
        || NEEDS.iter().any(|(a, needs)| flags & a != 0 && flags & needs == 0);
    if bad { Err(Errno::EINVAL) } else { Ok(()) }
}

/// A size as the kernel rounds it: cut to the limit under `CLAMP`, then up to a power of two.
fn entries_of(asked: u32, max: u32, clamp: bool) -> Result<u32> {
    match asked {
        0 => Err(Errno::EINVAL),
        n if n > max && clamp => Ok(max),
        n if n > max => Err(Errno::EINVAL),
        n => Ok(n.next_power_of_two()),
    }
}

/// Checks the parameters and lays the rings out; fills in all that setup returns in `params`.
pub(crate) fn plan(entries: u32, params: &mut Params) -> Result<Layout> {
    if params.resv != [0; 3] {
        return Err(Errno::EINVAL);
    }
    check_flags(params.flags)?;
    let layout = sizes(entries, params)?;
    describe(&layout, params);
    Ok(layout)
}

/// The layout of the sizes asked for.
///
/// # Errors
/// `EINVAL`.
pub(crate) fn sizes(entries: u32, params: &Params) -> Result<Layout> {
    let flags = params.flags;
    let clamp = flags & IORING_SETUP_CLAMP != 0;
    let sq_entries = entries_of(entries, SQ_ENTRIES_MAX, clamp)?;
    let cq_entries = if flags & IORING_SETUP_CQSIZE != 0 {
        let cq_entries = entries_of(params.cq_entries, CQ_ENTRIES_MAX, clamp)?;
        if cq_entries < sq_entries {
            return Err(Errno::EINVAL);
        }
        cq_entries
    } else {
        2 * sq_entries
    };
    Ok(Layout::new(sq_entries, cq_entries, flags))
}

/// Fills in what setup tells of a layout.
pub(crate) fn describe(ring: &Layout, params: &mut Params) {
    params.sq_entries = ring.sq_entries();
    params.cq_entries = ring.cq_entries();
    params.features = FEATURES;
    params.sq_off = SqringOffsets {
        head: layout::SQ_HEAD,
        tail: layout::SQ_TAIL,
        ring_mask: layout::SQ_MASK,
        ring_entries: layout::SQ_ENTRIES,
        flags: layout::SQ_FLAGS,
        dropped: layout::SQ_DROPPED,
        array: ring.array().unwrap_or(0),
        resv1: 0,
        user_addr: params.sq_off.user_addr * u64::from(params.flags & IORING_SETUP_NO_MMAP != 0),
    };
    params.cq_off = CqringOffsets {
        head: layout::CQ_HEAD,
        tail: layout::CQ_TAIL,
        ring_mask: layout::CQ_MASK,
        ring_entries: layout::CQ_ENTRIES,
        overflow: layout::CQ_OVERFLOW,
        cqes: layout::CQES,
        flags: layout::CQ_FLAGS,
        resv1: 0,
        user_addr: params.cq_off.user_addr * u64::from(params.flags & IORING_SETUP_NO_MMAP != 0),
    };
}
