//! Extended attributes beyond the plain use that `fs` shows: errors, limits, registered files.

use crate::prelude::*;
use std::ffi::CStr;

const NAME: &CStr = c"user.ringfence";
const ENODATA: i32 = Errno::ENODATA.as_result();
const ERANGE: i32 = -libc::ERANGE;
const E2BIG: i32 = -libc::E2BIG;

fn set(of: &std::fs::File, name: &CStr, value: &[u8]) -> Sqe {
    let at = address(value);
    raw(Op::Fsetxattr, fd(of), address(name.to_bytes_with_nul()), value.len() as u32, at)
}

fn get(of: &std::fs::File, name: &CStr, value: &mut [u8]) -> Sqe {
    let len = value.len() as u32;
    raw(Op::Fgetxattr, fd(of), address(name.to_bytes_with_nul()), len, address_mut(value))
}

/// A ring, and a file that has the attribute.
fn with_attribute(t: &dyn Target) -> std::result::Result<(Ring<'_>, std::fs::File), Skip> {
    let mut ring = t.ring(8)?;
    let file = tempfile::tempfile_in(".").expect("a file on a disk file system");
    match ring.run_one(set(&file, NAME, b"abcd")) {
        EOPNOTSUPP => Err(Skip("no extended attributes on this file system".to_owned())),
        got => {
            assert_eq!(got, 0);
            Ok((ring, file))
        }
    }
}

// CREATE and REPLACE decide on what may be there; other flags are refused.
ring_test!(flags, |t| {
    let (mut ring, file) = with_attribute(t)?;
    let (create, replace) = (libc::XATTR_CREATE as u32, libc::XATTR_REPLACE as u32);
    assert_eq!(ring.run_one(set(&file, NAME, b"x").op_flags(create)), EEXIST);
    assert_eq!(ring.run_one(set(&file, NAME, b"x").op_flags(replace)), 0);
    assert_eq!(ring.run_one(set(&file, c"user.other", b"x").op_flags(replace)), ENODATA);
    assert_eq!(ring.run_one(set(&file, c"user.other", b"x").op_flags(create)), 0);
    assert_eq!(ring.run_one(set(&file, NAME, b"x").op_flags(4)), EINVAL);
    assert_eq!(ring.run_one(get(&file, NAME, &mut [0; 8]).op_flags(1)), EINVAL);
});

// The length is asked for with no buffer, and a buffer that is too small is refused.
ring_test!(lengths, |t| {
    let (mut ring, file) = with_attribute(t)?;
    assert_eq!(ring.run_one(Sqe { off: 0, len: 0, ..get(&file, NAME, &mut []) }), 4);
    assert_eq!(ring.run_one(get(&file, NAME, &mut [0; 3])), ERANGE);
    assert_eq!(ring.run_one(get(&file, c"user.none", &mut [0; 3])), ENODATA);
    assert_eq!(ring.run_one(set(&file, NAME, b"")), 0);
    assert_eq!(ring.run_one(get(&file, NAME, &mut [0; 3])), 0);
});

// Names and values have their limits, and their addresses are looked at.
ring_test!(limits, |t| {
    let (mut ring, file) = with_attribute(t)?;
    let mut long = b"user.".to_vec();
    long.resize(256, b'n');
    let long = std::ffi::CString::new(long).expect("no NUL");
    assert_eq!(ring.run_one(set(&file, &long, b"x")), ERANGE);
    assert_eq!(ring.run_one(set(&file, c"", b"x")), ERANGE);
    assert_eq!(ring.run_one(set(&file, c"strange.name", b"x")), EOPNOTSUPP);
    let value = Mapping::anonymous(1 << 17);
    let big = Sqe { off: value.at(0), len: 65_537, ..set(&file, NAME, b"") };
    assert_eq!(ring.run_one(big), E2BIG);
    assert_eq!(ring.run_one(Sqe { off: BAD_ADDRESS, ..set(&file, NAME, b"x") }), EFAULT);
    assert_eq!(ring.run_one(Sqe { addr: BAD_ADDRESS, ..set(&file, NAME, b"x") }), EFAULT);
    assert_eq!(ring.run_one(Sqe { off: BAD_ADDRESS, ..get(&file, NAME, &mut [0; 8]) }), EFAULT);
});

// A registered file does as well as a descriptor; a path does not exist.
ring_test!(registered_file, |t| {
    let (mut ring, file) = with_attribute(t)?;
    assert_eq!(ring.register(RegisterOp::Files, &[fd(&file)]), Ok(0));
    let mut value = [0_u8; 8];
    assert_eq!(ring.run_one(get(&file, NAME, &mut value).fixed(0)), 4);
    assert_eq!(std::hint::black_box(&value)[..4], *b"abcd");
    let none = c"/none/at/all";
    let by_path = raw(Op::Getxattr, -1, address(NAME.to_bytes_with_nul()), 8, address(&value));
    assert_eq!(ring.run_one(Sqe { addr3: none.as_ptr() as u64, ..by_path }), ENOENT);
    assert_eq!(ring.run_one(Sqe { addr3: BAD_ADDRESS, ..by_path }), EFAULT);
});

// What the entry points to may change once it is submitted.
ring_test!(copied, |t| {
    let (mut ring, file) = with_attribute(t)?;
    let mut value = *b"1234";
    ring.start(&[set(&file, NAME, &value)]);
    value.fill(0);
    std::hint::black_box(&value);
    assert_eq!(results(&ring.wait_n(1)), [0]);
    let mut got = [0_u8; 4];
    assert_eq!(ring.run_one(get(&file, NAME, &mut got)), 4);
    assert_eq!(std::hint::black_box(&got), b"1234");
});
