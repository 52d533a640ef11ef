//! Our structures and numbers against the generated ones of `linux-raw-sys`.

use linux_raw_sys::general as g;
use linux_raw_sys::io_uring as raw;
use ringfence_abi as abi;
use std::mem::{offset_of, size_of};

/// Same size, and each named field at the same offset.
macro_rules! same_layout {
    ($ours:ty, $theirs:ty $(, $field:ident = $their_field:ident)*) => {
        assert_eq!(size_of::<$ours>(), size_of::<$theirs>(), stringify!($ours));
        $(assert_eq!(
            offset_of!($ours, $field),
            offset_of!($theirs, $their_field),
            concat!(stringify!($ours), ".", stringify!($field))
        );)*
    };
}

#[test]
fn structures_have_the_kernel_layout() {
    same_layout!(
        abi::Sqe,
        raw::io_uring_sqe,
        opcode = opcode,
        flags = flags,
        ioprio = ioprio,
        fd = fd,
        len = len,
        user_data = user_data,
        personality = personality
    );
    same_layout!(abi::Cqe, raw::io_uring_cqe, user_data = user_data, res = res, flags = flags);
    same_layout!(
        abi::Params,
        raw::io_uring_params,
        sq_entries = sq_entries,
        flags = flags,
        features = features,
        wq_fd = wq_fd,
        resv = resv,
        sq_off = sq_off,
        cq_off = cq_off
    );
    same_layout!(abi::SqringOffsets, raw::io_sqring_offsets, array = array, user_addr = user_addr);
    same_layout!(abi::CqringOffsets, raw::io_cqring_offsets, cqes = cqes, flags = flags);
    same_layout!(abi::FilesUpdate, raw::io_uring_files_update, offset = offset, fds = fds);
    same_layout!(abi::RsrcRegister, raw::io_uring_rsrc_register, nr = nr, data = data, tags = tags);
    same_layout!(abi::RsrcUpdate2, raw::io_uring_rsrc_update2, data = data, tags = tags, nr = nr);
    same_layout!(abi::ProbeOp, raw::io_uring_probe_op, op = op, flags = flags);
    same_layout!(abi::BufReg, raw::io_uring_buf_reg, ring_addr = ring_addr, bgid = bgid);
    same_layout!(abi::Buf, raw::io_uring_buf, addr = addr, len = len, bid = bid, resv = resv);
    same_layout!(abi::BufStatus, raw::io_uring_buf_status, head = head);
    same_layout!(abi::GeteventsArg, raw::io_uring_getevents_arg, sigmask = sigmask, ts = ts);
    same_layout!(abi::SyncCancelReg, raw::io_uring_sync_cancel_reg, fd = fd, timeout = timeout);
    same_layout!(abi::FileIndexRange, raw::io_uring_file_index_range, off = off, len = len);
    same_layout!(abi::Timespec, g::__kernel_timespec, tv_sec = tv_sec, tv_nsec = tv_nsec);
    same_layout!(abi::OpenHow, g::open_how, flags = flags, mode = mode, resolve = resolve);
    same_layout!(abi::Iovec, g::iovec, base = iov_base, len = iov_len);
}

#[test]
fn opcodes_have_the_kernel_numbers() {
    assert_eq!(abi::Op::Nop as u32, raw::io_uring_op::IORING_OP_NOP as u32);
    assert_eq!(abi::Op::MsgRing as u32, raw::io_uring_op::IORING_OP_MSG_RING as u32);
    assert_eq!(abi::Op::Pipe as u32, raw::io_uring_op::IORING_OP_PIPE as u32);
    for (code, op) in abi::Op::ALL.iter().enumerate() {
        assert_eq!(*op as usize, code, "{}", op.name());
    }
    assert_eq!(
        abi::RegisterOp::Query as u32,
        raw::io_uring_register_op::IORING_REGISTER_MEM_REGION as u32 + 1
    );
    for (code, op) in abi::RegisterOp::ALL.iter().enumerate() {
        assert_eq!(*op as usize, code, "{}", op.name());
    }
}

#[test]
fn flags_have_the_kernel_bits() {
    assert_eq!(abi::IORING_SETUP_DEFER_TASKRUN, raw::IORING_SETUP_DEFER_TASKRUN);
    assert_eq!(abi::IORING_SETUP_HYBRID_IOPOLL, raw::IORING_SETUP_HYBRID_IOPOLL);
    assert_eq!(abi::IORING_FEAT_NO_IOWAIT, raw::IORING_FEAT_NO_IOWAIT);
    assert_eq!(abi::IORING_ENTER_EXT_ARG_REG, raw::IORING_ENTER_EXT_ARG_REG);
    assert_eq!(abi::IORING_TIMEOUT_MULTISHOT, raw::IORING_TIMEOUT_MULTISHOT);
    assert_eq!(u32::from(abi::IORING_RECVSEND_BUNDLE), raw::IORING_RECVSEND_BUNDLE);
    assert_eq!(abi::IORING_OFF_SQES, u64::from(raw::IORING_OFF_SQES));
    assert_eq!(abi::IORING_OFF_PBUF_RING, u64::from(raw::IORING_OFF_PBUF_RING));
    assert_eq!(abi::IORING_CQE_F_BUF_MORE, raw::IORING_CQE_F_BUF_MORE);
}
