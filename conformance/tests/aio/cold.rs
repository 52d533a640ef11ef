//! Reads of what is not in memory, many in one submission.

use crate::prelude::*;

const BLOCKS: usize = 64;

/// One read of each block.
fn reads(file: i32, buffers: &mut [[u8; 4096]]) -> Vec<Iocb> {
    let read = |(index, buffer): (usize, &mut [u8; 4096])| Iocb {
        opcode: IOCB_CMD_PREAD,
        fd: file,
        buf: buffer.as_mut_ptr() as u64,
        nbytes: 4096,
        offset: index as i64 * 4096,
        ..Iocb::default()
    };
    buffers.iter_mut().enumerate().map(read).collect()
}

/// Waits for all reads; each has what stood in its block.
fn check(context: &Context<'_>, seed: u8, buffers: &[[u8; 4096]]) {
    let events = context.get(BLOCKS as i64, BLOCKS, ms(10_000)).expect("events");
    assert_eq!(events.len(), BLOCKS);
    assert!(events.iter().all(|event| (event.res, event.res2) == (4096, 0)), "{events:?}");
    for (index, buffer) in buffers.iter().enumerate() {
        assert!(*buffer == sys::cold_block(seed, index), "block {index} holds {}", buffer[0]);
    }
}

// Each read has its own block.
ring_test!(each_its_own, |t| {
    let context = t.context(BLOCKS as u32)?;
    for seed in 1..4 {
        let file = sys::cold_file(seed, BLOCKS);
        let mut buffers = [[0; 4096]; BLOCKS];
        let requests = reads(fd(&file), &mut buffers);
        assert_eq!(context.submit(&requests.iter().collect::<Vec<_>>()), Ok(BLOCKS as u64));
        check(&context, seed, &buffers);
    }
});

// They go on when the file is closed, and know nothing of the one that has its number next.
ring_test!(closed_meanwhile, |t| {
    let context = t.context(BLOCKS as u32)?;
    for seed in 1..9 {
        let number = sys::release(sys::cold_file(seed, BLOCKS));
        let mut buffers = [[0; 4096]; BLOCKS];
        let requests = reads(number, &mut buffers);
        assert_eq!(context.submit(&requests.iter().collect::<Vec<_>>()), Ok(BLOCKS as u64));
        t.close(number).expect("close");
        let other = sys::file_with(&[0xee; 4096 * BLOCKS]);
        assert_eq!(fd(&other), number, "the number is used again");
        check(&context, seed, &buffers);
    }
});
