//! Structures that can be copied byte by byte between the program and the engine.
#![expect(unsafe_code, reason = "views plain structures as bytes")]

use crate::Host;
use ringfence_abi::{self as abi, Result};

/// A structure that is valid for every bit pattern and has no padding.
///
/// # Safety
/// Any bytes of its size must be a value of the type, and none of its bytes may be padding.
pub unsafe trait Plain: Copy + Default {}

/// Declares types as [`Plain`].
macro_rules! plain {
    ($($ty:ty),* $(,)?) => {
        // SAFETY: integers, or repr(C) structures of integers whose sizes the ABI crate asserts to
        // be the sum of their fields.
        $(unsafe impl Plain for $ty {})*
    };
}

plain!(
    u8,
    u16,
    u32,
    i32,
    u64,
    i64,
    [i32; 2],
    [u32; 2],
    [u64; 2],
    abi::Sqe,
    abi::Cqe,
    abi::Params,
    abi::FilesUpdate,
    abi::RsrcRegister,
    abi::RsrcUpdate2,
    abi::Probe,
    abi::ProbeOp,
    abi::Restriction,
    abi::ClockRegister,
    abi::Buf,
    abi::BufReg,
    abi::BufStatus,
    abi::GeteventsArg,
    abi::SyncCancelReg,
    abi::FileIndexRange,
    abi::RecvmsgOut,
    abi::Timespec,
    abi::OpenHow,
    abi::Iovec,
    abi::Msghdr,
    abi::FutexWaitv,
    abi::CloneBuffers,
    abi::Napi,
    abi::MemRegionReg,
    abi::RegionDesc,
    abi::RegWait,
    abi::QueryHeader,
    abi::QueryOpcode,
    abi::Iocb,
    abi::IoEvent,
    abi::AioRing,
    abi::AioSigset,
);

/// The bytes of a value.
pub fn bytes<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: T has no padding, so all its bytes are initialised; the lifetime is the value's.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// The bytes of a value, to be overwritten.
pub fn bytes_mut<T: Plain>(value: &mut T) -> &mut [u8] {
    // SAFETY: T is valid for every bit pattern, so any bytes may be written into it.
    unsafe { std::slice::from_raw_parts_mut(std::ptr::from_mut(value).cast(), size_of::<T>()) }
}

/// Reads a structure from the program's memory.
///
/// # Errors
/// `EFAULT` if it cannot be read.
pub fn read<H: Host, T: Plain>(host: &H, addr: u64) -> Result<T> {
    let mut value = T::default();
    host.copy_in(addr, bytes_mut(&mut value))?;
    Ok(value)
}

/// Reads the element `index` of an array in the program's memory.
///
/// # Errors
/// `EFAULT` if it cannot be read.
pub fn read_at<H: Host, T: Plain>(host: &H, base: u64, index: u64) -> Result<T> {
    read(host, base.wrapping_add(index.wrapping_mul(size_of::<T>() as u64)))
}

/// Writes a structure into the program's memory.
///
/// # Errors
/// `EFAULT` if it cannot be written.
pub fn write<H: Host, T: Plain>(host: &H, addr: u64, value: &T) -> Result<()> {
    host.copy_out(addr, bytes(value))
}
