//! Every operation with every entry flag and every field set: what is refused, and when.
//!
//! An entry refused when prepared ends the batch, so that the nop behind it stays in the queue;
//! one that fails when it starts does not. Thus each line tells the error and where it comes from.

use crate::prelude::*;

/// Operations of the kernel that the records are from, and one number beyond them.
fn opcodes() -> impl Iterator<Item = (u8, &'static str)> {
    Op::ALL
        .iter()
        .filter(|op| op.since() != "6.19")
        .map(|op| (*op as u8, op.name()))
        .chain([(0xfe, "UNKNOWN")])
}

const ENTRY_FLAGS: &[(&str, u8)] = &[
    ("", 0),
    ("FIXED_FILE", IOSQE_FIXED_FILE),
    ("IO_DRAIN", IOSQE_IO_DRAIN),
    ("IO_LINK", IOSQE_IO_LINK),
    ("IO_HARDLINK", IOSQE_IO_HARDLINK),
    ("ASYNC", IOSQE_ASYNC),
    ("BUFFER_SELECT", IOSQE_BUFFER_SELECT),
    ("CQE_SKIP", IOSQE_CQE_SKIP_SUCCESS),
    ("UNKNOWN", 0x80),
];

/// Submits `entry` and a nop behind it: how many were consumed, and the entry's results.
fn line(t: &dyn Target, name: &str, entry: Sqe) -> std::result::Result<String, Skip> {
    let mut ring = t.ring(4)?;
    ring.push(entry.data(1));
    ring.push(sqe::nop().data(2));
    let consumed = ring.submit();
    let wanted = consumed.map_or(0, |count| count as usize);
    let deadline =
        Instant::now() + ms(if entry.flags & IOSQE_CQE_SKIP_SUCCESS != 0 { 30 } else { 300 });
    let mut cqes = ring.cqes();
    while cqes.len() < wanted && Instant::now() < deadline {
        cqes.extend(ring.settle(ms(1)));
    }
    let results: Vec<i32> =
        cqes.iter().filter(|cqe| cqe.user_data == 1).map(|cqe| cqe.res).collect();
    let place = match consumed {
        Ok(1) => "prepare".to_owned(),
        Ok(2) => "start".to_owned(),
        other => format!("{other:?}"),
    };
    Ok(format!("{name}: {place} {results:?}"))
}

// Each operation on descriptor -1 with each entry flag.
ring_test!(entry_flags, |t| {
    let mut lines = Vec::new();
    for (opcode, op) in opcodes() {
        for &(flag, bits) in ENTRY_FLAGS {
            let entry = Sqe { opcode, fd: -1, flags: bits, ..Sqe::default() };
            lines.push(line(t, &format!("{op} {flag}"), entry)?);
        }
    }
    record::check(t, "op-entry-flags", &lines)?;
});

// Each operation on descriptor -1 with each field set to 1 in turn.
ring_test!(fields, |t| {
    let mut lines = Vec::new();
    for (opcode, op) in opcodes() {
        let plain = Sqe { opcode, fd: -1, ..Sqe::default() };
        let entries = [
            ("ioprio", Sqe { ioprio: 1, ..plain }),
            ("off", Sqe { off: 1, ..plain }),
            ("addr", Sqe { addr: 1, ..plain }),
            ("len", Sqe { len: 1, ..plain }),
            ("op_flags", Sqe { op_flags: 1, ..plain }),
            ("buf_index", Sqe { buf_index: 1, ..plain }),
            ("personality", Sqe { personality: 1, ..plain }),
            ("file_index", Sqe { file_index: 1, ..plain }),
            ("addr3", Sqe { addr3: 1, ..plain }),
            ("pad2", Sqe { pad2: 1, ..plain }),
        ];
        for (field, entry) in entries {
            lines.push(line(t, &format!("{op} {field}"), entry)?);
        }
    }
    record::check(t, "op-fields", &lines)?;
});

// Each operation on a plain file with each bit of its own flags set.
ring_test!(own_flags, |t| {
    let file = sys::file_with(b"1234");
    let mut lines = Vec::new();
    for (opcode, op) in opcodes() {
        for bit in [1, 2, 3, 4, 5, 6, 7, 8, 16, 30, 31] {
            let entry = Sqe { opcode, fd: fd(&file), op_flags: 1 << bit, ..Sqe::default() };
            lines.push(line(t, &format!("{op} bit {bit}"), entry)?);
        }
    }
    record::check(t, "op-own-flags", &lines)?;
});

// The probe names each operation that works, and no other.
ring_test!(probe, |t| {
    let ring = t.ring(4)?;
    let mut table = vec![0_u64; 2 + 256];
    assert_eq!(ring.register_raw(RegisterOp::Probe, address_mut(&mut table[..]), 256), Ok(0));
    let last = table[0] as u8;
    let lines: Vec<String> = opcodes()
        .filter(|(opcode, _)| *opcode != 0xfe)
        .map(|(opcode, op)| {
            let row = table[2 + usize::from(opcode)];
            format!("{op}: op {} flags {}", row as u8, (row >> 16) as u16)
        })
        .collect();
    if t.is_kernel() {
        assert_eq!(last, Op::Pipe as u8);
    }
    record::check(t, "probe", &lines)?;
});

// The probe's arguments: too many rows, a bad address, memory that is not zero.
ring_test!(probe_arguments, |t| {
    let ring = t.ring(4)?;
    let mut table = vec![0_u64; 2 + 256];
    let mut probe = |first: u64, nr| {
        table[0] = first;
        ring.register_raw(RegisterOp::Probe, address_mut(&mut table[..]), nr)
    };
    assert_eq!(probe(0, 257), Err(Errno::EINVAL));
    assert_eq!(probe(1, 8), Err(Errno::EINVAL));
    assert_eq!(probe(0, 0), Ok(0));
    let got = ring.register_raw(RegisterOp::Probe, BAD_ADDRESS, 8);
    assert_eq!(got, Err(Errno::EFAULT));
});

// Register opcodes without arguments, on a ring, on another file, on no descriptor.
ring_test!(register_opcodes, |t| {
    let file = sys::memory_file();
    let mut lines = Vec::new();
    for op in RegisterOp::ALL.iter().filter(|op| (**op as u8) <= RegisterOp::Query as u8) {
        let ring = t.ring(4)?;
        let arg = [0_u64; 32];
        let register = |fd: i32, arg: u64, nr: u32| t.register(fd, *op as u32, arg, nr);
        lines.push(format!(
            "{}: null {:?}, zeroes {:?}, bad address {:?}, file {:?}, none {:?}",
            op.name(),
            register(ring.fd, 0, 0),
            register(ring.fd, address(&arg), 1),
            register(ring.fd, BAD_ADDRESS, 1),
            register(fd(&file), address(&arg), 1),
            register(1 << 20, address(&arg), 1),
        ));
    }
    let ring = t.ring(4)?;
    lines.push(format!("unknown: {:?}", t.register(ring.fd, 200, 0, 0)));
    record::check(t, "register-opcodes", &lines)?;
});
