//! `io_setup` and `io_destroy`.

use crate::prelude::*;

// A context is a ring in memory that says what it is.
ring_test!(the_ring_says_what_it_is, |t| {
    for asked in [1, 128, 1000, 4096] {
        let context = t.context(asked)?;
        assert_eq!(context.id % 4096, 0);
        let header = context.header();
        assert_eq!(header.magic, AIO_RING_MAGIC);
        assert_eq!((header.compat_features, header.incompat_features), (1, 0));
        assert_eq!((header.header_length, header.head, header.tail), (32, 0, 0));
        // Two places for each request, and whole pages.
        assert!(header.nr >= 2 * asked + 2, "{asked}: {}", header.nr);
        assert_eq!((header.nr * 32 + 32) % 4096, 0, "{asked}: {}", header.nr);
    }
});

// The size does not depend on who serves: measured on the kernel, for this machine's CPUs.
ring_test!(sizes, |t| {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    for asked in [1, 2, 45, 135, 405, 1215, 3645, 10935] {
        let context = t.context(asked)?;
        let bytes = 32 + 32 * (2 * asked.max(4 * cpus) + 2);
        let nr = (bytes.next_multiple_of(4096) - 32) / 32;
        if t.is_kernel() && context.header().nr != nr {
            // More CPUs may be possible than are there.
            assert!(asked < 1000, "{asked}: {}", context.header().nr);
            continue;
        }
        assert_eq!(context.header().nr, nr, "{asked}");
    }
});

// No requests, a context that is there already, too many requests, a bad address.
ring_test!(refusals, |t| {
    drop(t.context(1)?);
    let setup = |nr: u64, at: u64| t.aio(libc::SYS_io_setup, [nr, at, 0, 0, 0, 0]);
    let (none, some) = (0u64, 5u64);
    assert_eq!(setup(0, address(&none)), Err(Errno::EINVAL));
    assert_eq!(setup(1, address(&some)), Err(Errno::EINVAL));
    assert_eq!(setup(0x1000_0000 / 32, address(&none)), Err(Errno::EINVAL));
    assert_eq!(setup(u64::from(u32::MAX), address(&none)), Err(Errno::EINVAL));
    assert_eq!(setup(1 << 31, address(&none)), Err(Errno::EAGAIN));
    assert_eq!(setup(1, BAD_ADDRESS), Err(Errno::EFAULT));
    let read_only = Mapping::anonymous(4096);
    read_only.protect(libc::PROT_READ);
    assert_eq!(setup(1, read_only.at(0)), Err(Errno::EFAULT));
});

// What is no context, or no longer, is EINVAL.
ring_test!(destroyed_once, |t| {
    let context = t.context(8)?;
    assert_eq!(t.io_destroy(0), Err(Errno::EINVAL));
    assert_eq!(t.io_destroy(BAD_ADDRESS), Err(Errno::EINVAL));
    assert_eq!(t.io_destroy(context.id), Ok(()));
    assert_eq!(t.io_destroy(context.id), Err(Errno::EINVAL));
    assert_eq!(context.submit_raw(0, 0), Err(Errno::EINVAL));
    assert_eq!(context.get_raw(0, 0, 0, 0), Err(Errno::EINVAL));
    let request = Iocb::default();
    assert_eq!(context.cancel(&request), Errno::EINVAL);
});

// Its memory goes with it.
ring_test!(memory_goes, |t| {
    let context = t.context(8)?;
    let mapping = mapping_at(context.id);
    assert!(mapping.is_some());
    assert_eq!(t.io_destroy(context.id), Ok(()));
    // Another thread may have mapped something else there by now.
    assert_ne!(mapping_at(context.id), mapping);
});

// A program that unmaps the ring harms only itself.
ring_test!(a_ring_without_memory, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    context.unmap();
    let mut buffer = [0; 4];
    let _ = context.submit(&[&pread(&file, &mut buffer, 0)]);
    let _ = t.io_destroy(context.id);
});
