//! `IOCB_CMD_POLL` and `io_cancel`.

use crate::prelude::*;

// What holds already completes at once, with what holds of what was asked for.
ring_test!(holds_already, |t| {
    let context = t.context(8)?;
    let (reader, mut writer) = sys::pipe();
    let asked = libc::POLLIN | libc::POLLOUT;
    assert_eq!(context.run(&poll(&writer, asked)), Ok(i64::from(libc::POLLOUT)));
    writer.write_all(b"1").expect("write");
    assert_eq!(context.run(&poll(&reader, libc::POLLIN)), Ok(i64::from(libc::POLLIN)));
    drop(writer);
    let events = i64::from(libc::POLLIN | libc::POLLHUP);
    assert_eq!(context.run(&poll(&reader, libc::POLLIN)), Ok(events));
    let file = sys::file_with(b"0123");
    assert_eq!(context.run(&poll(&file, libc::POLLIN)), Ok(i64::from(libc::POLLIN)));
});

// What comes later completes then, once; the kernel adds what else came with it.
ring_test!(comes_later, |t| {
    let context = t.context(8)?;
    let (reader, mut writer) = sys::pipe();
    let request = poll(&reader, libc::POLLIN);
    assert_eq!(context.submit(&[&request]), Ok(1));
    assert_eq!(context.get(1, 1, ms(20)).expect("events").len(), 0);
    writer.write_all(b"1").expect("write");
    let events = context.get(1, 1, ms(5000)).expect("events");
    assert_eq!(events[0].obj, address(&request));
    assert_eq!(events[0].res & i64::from(libc::POLLIN), i64::from(libc::POLLIN));
    writer.write_all(b"2").expect("write");
    assert_eq!(context.get(1, 1, ms(20)).expect("events").len(), 0);
});

// Events that there are not, and requests that say more.
ring_test!(refusals, |t| {
    let context = t.context(8)?;
    let (reader, _writer) = sys::pipe();
    let file = sys::file_with(b"0123");
    let good = poll(&reader, libc::POLLIN);
    assert_eq!(context.run(&Iocb { buf: 0x1_0001, ..good }), Err(Errno::EINVAL));
    assert_eq!(context.run(&Iocb { nbytes: 1, ..good }), Err(Errno::EINVAL));
    assert_eq!(context.run(&Iocb { offset: 1, ..good }), Err(Errno::EINVAL));
    assert_eq!(context.run(&Iocb { rw_flags: 1, ..good }), Err(Errno::EINVAL));
    assert_eq!(context.run(&Iocb { fd: 999, ..good }), Err(Errno::EBADF));
    // A file that is always ready has no other events to wait for.
    assert_eq!(context.run(&poll(&file, libc::POLLPRI)), Err(Errno::EINVAL));
    assert_eq!(context.run(&poll(&file, 0)), Err(Errno::EINVAL));
});

// A cancelled poll has its event through the ring, and the call says that it is under way.
ring_test!(cancelled, |t| {
    let context = t.context(8)?;
    let (reader, _writer) = sys::pipe();
    let request = Iocb { data: 42, ..poll(&reader, libc::POLLIN) };
    assert_eq!(context.submit(&[&request]), Ok(1));
    assert_eq!(context.cancel(&request), Errno::EINPROGRESS);
    let events = context.get(1, 1, ms(5000)).expect("events");
    assert_eq!((events[0].data, events[0].obj), (42, address(&request)));
    assert_eq!(events[0].res, 0);
    assert_eq!(context.cancel(&request), Errno::EINVAL);
});

// What cannot be cancelled: no request, no address, another key; a read on a disk is one of them.
ring_test!(not_cancelled, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    assert_eq!(context.cancel(&read), Errno::EINVAL);
    assert_eq!(context.run(&read), Ok(4));
    assert_eq!(context.cancel(&read), Errno::EINVAL);
    assert_eq!(context.cancel_raw(BAD_ADDRESS), Errno::EFAULT);
    assert_eq!(context.cancel(&Iocb { key: 5, ..read }), Errno::EINVAL);
});

// Ours does not block on a pipe without data, so it can be cancelled there.
ring_test!(a_stream_is_cancelled, |t| {
    if t.is_kernel() {
        return Ok(());
    }
    let context = t.context(8)?;
    let (reader, _writer) = sys::pipe();
    let mut buffer = [0; 4];
    let request = pread(&reader, &mut buffer, 0);
    assert_eq!(context.submit(&[&request]), Ok(1));
    assert_eq!(context.cancel(&request), Errno::EINPROGRESS);
    let events = context.get(1, 1, ms(5000)).expect("events");
    assert_eq!(events[0].res, i64::from(Errno::ECANCELED.as_result()));
});
