//! The ring in memory, read without a call.

use crate::prelude::*;

// Events come to the ring by themselves, and are taken by moving the head.
ring_test!(taken_without_a_call, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = Iocb { data: 42, ..pread(&file, &mut buffer, 0) };
    let nr = context.header().nr;
    for round in 0..2 * nr + 3 {
        let at = round % nr;
        assert_eq!((context.head(), context.tail()), (at, at), "round {round}");
        assert_eq!(context.submit(&[&read]), Ok(1));
        until(|| context.tail() == (at + 1) % nr);
        let event = context.event(at);
        assert_eq!((event.data, event.obj, event.res), (42, address(&read), 4));
        context.set_head((at + 1) % nr);
    }
    assert_eq!(context.get(0, 8, ms(0)).expect("events"), []);
});

// What waits for readiness completes while nobody calls.
ring_test!(completes_by_itself, |t| {
    let context = t.context(8)?;
    let (reader, mut writer) = sys::pipe();
    assert_eq!(context.submit(&[&poll(&reader, libc::POLLIN)]), Ok(1));
    writer.write_all(b"1").expect("write");
    until(|| context.tail() == 1);
    assert_eq!(context.event(0).res & i64::from(libc::POLLIN), i64::from(libc::POLLIN));
});

// A head that makes no sense harms nobody else.
ring_test!(a_head_beyond_the_ring, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    for head in [context.header().nr, 100_000, u32::MAX] {
        context.set_head(head);
        let _ = context.submit(&[&read, &read]);
        let _ = context.get(0, 8, ms(0));
    }
    let other = t.context(8)?;
    assert_eq!(other.run(&read), Ok(4));
});

// The order of events taken by call is that of the ring.
ring_test!(in_order, |t| {
    let context = t.context(128)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let requests: Vec<Iocb> =
        (0..100).map(|data| Iocb { data, ..pread(&file, &mut buffer, 0) }).collect();
    assert_eq!(context.submit(&requests.iter().collect::<Vec<_>>()), Ok(100));
    until(|| context.tail() == 100);
    let ring: Vec<u64> = (0..100).map(|at| context.event(at).data).collect();
    let first = context.get(30, 30, ms(5000)).expect("events");
    let rest = context.get(70, 100, ms(5000)).expect("events");
    let taken: Vec<u64> = first.iter().chain(&rest).map(|event| event.data).collect();
    assert_eq!(taken, ring);
});

// A ring that was moved goes on at its new address, which is the context's name from then on.
ring_test!(moved, |t| {
    let mut context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    for _ in 0..3 {
        let old = context.remap();
        assert_eq!(context.submit(&[&read]), Ok(1));
        assert_eq!(t.io_destroy(old), Err(Errno::EINVAL));
        until(|| context.tail() != context.head());
        context.remap();
        let event = context.event(context.head());
        assert_eq!((event.obj, event.res), (address(&read), 4));
        assert_eq!(context.get(1, 8, ms(5000)).expect("events"), [event]);
    }
    assert_eq!(t.io_destroy(context.id), Ok(()));
    assert_eq!(t.io_destroy(context.id), Err(Errno::EINVAL));
});

// What else is mapped of a ring's memory in the process is no context.
ring_test!(other_mappings, |t| {
    let context = t.context(8)?;
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let rows: Vec<(u64, &str)> = maps
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let start = words.next()?.split('-').next()?;
            Some((u64::from_str_radix(start, 16).ok()?, words.nth(3)?))
        })
        .collect();
    let (_, own) = *rows.iter().find(|(start, _)| *start == context.id).expect("the ring");
    for (start, inode) in &rows {
        if *inode == own && *start != context.id {
            assert_eq!(t.io_destroy(*start), Err(Errno::EINVAL));
        }
    }
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    assert_eq!(context.submit(&[&pread(&file, &mut buffer, 0)]), Ok(1));
    assert_eq!(context.get(1, 8, ms(5000)).expect("events").len(), 1);
});
