//! `io_submit`: its arguments, its count, room, and eventfds.

use crate::prelude::*;

// The first refusal ends the submission, and is told only if nothing came before it.
ring_test!(the_count_and_the_index, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let good = pread(&file, &mut buffer, 0);
    let bad = Iocb { fd: 999, ..good };
    assert_eq!(context.submit(&[&good, &bad, &good]), Ok(1));
    assert_eq!(context.submit(&[&bad, &good]), Err(Errno::EBADF));
    assert_eq!(context.get(1, 8, ms(5000)).expect("events").len(), 1);
    let list = [address(&good), BAD_ADDRESS];
    assert_eq!(context.submit_raw(2, address(&list)), Ok(1));
    assert_eq!(context.submit_raw(1, address(&list[1])), Err(Errno::EFAULT));
    assert_eq!(context.get(1, 8, ms(5000)).expect("events").len(), 1);
});

// Numbers of requests: below 0, none, and a list that is not there.
ring_test!(arguments, |t| {
    let context = t.context(8)?;
    assert_eq!(context.submit_raw(-1, 0), Err(Errno::EINVAL));
    assert_eq!(context.submit_raw(0, BAD_ADDRESS), Ok(0));
    assert_eq!(context.submit_raw(1, BAD_ADDRESS), Err(Errno::EFAULT));
});

// As many requests are taken as there is room for their events, then EAGAIN; events that were
// taken make room again, whoever takes them.
ring_test!(room, |t| {
    let asked = 64;
    let context = t.context(asked)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 1];
    let request = pread(&file, &mut buffer, 0);
    let list: Vec<&Iocb> = vec![&request; 1000];
    let nr = u64::from(context.header().nr);
    let mut taken = context.submit(&list).expect("submit");
    while let Ok(more) = context.submit(&list) {
        taken += more;
    }
    assert_eq!(context.submit(&list), Err(Errno::EAGAIN));
    assert!((u64::from(asked)..nr).contains(&taken), "{taken} of {nr}");
    until(|| context.tail() == taken as u32 || context.tail() == 0);
    assert_eq!(context.get(10, 10, ms(5000)).expect("events").len(), 10);
    // The kernel gives room back in batches.
    let again = context.submit(&list).unwrap_or(0);
    assert!(again <= 10, "{again}");
    // All of it, taken without a call.
    until(|| context.tail() == (taken + again) as u32 % nr as u32);
    context.set_head(context.tail());
    let again = context.submit(&list).expect("submit");
    assert!(again <= taken && again > 0, "{again} of {taken}");
});

// Each event adds one to its request's eventfd.
ring_test!(eventfds, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let event = sys::eventfd();
    let told = |request: Iocb| Iocb { flags: IOCB_FLAG_RESFD, resfd: fd(&event), ..request };
    let read = told(pread(&file, &mut buffer, 0));
    assert_eq!(context.run(&read), Ok(4));
    until(|| sys::readable(fd(&event)));
    assert_eq!(sys::eventfd_take(&event), 1);
    assert_eq!(context.submit(&[&read, &read, &read]), Ok(3));
    assert_eq!(context.get(3, 3, ms(5000)).expect("events").len(), 3);
    let deadline = Instant::now() + ms(5000);
    let mut count = 0;
    while count < 3 {
        assert!(Instant::now() < deadline, "{count}");
        count += sys::eventfd_take(&event);
    }
    assert_eq!(count, 3);
    // Without the flag it is left alone.
    assert_eq!(context.run(&Iocb { flags: 0, ..read }), Ok(4));
    assert_eq!(sys::eventfd_take(&event), 0);
});

// An eventfd that was closed meanwhile is signalled all the same.
ring_test!(an_eventfd_that_was_closed, |t| {
    let context = t.context(8)?;
    let event = sys::eventfd();
    let kept = event.try_clone().expect("dup");
    let (reader, mut writer) = sys::pipe();
    let resfd = fd(&event);
    let wait = Iocb { flags: IOCB_FLAG_RESFD, resfd, ..poll(&reader, libc::POLLIN) };
    assert_eq!(context.submit(&[&wait]), Ok(1));
    t.close(sys::release(event)).expect("close");
    writer.write_all(b"1").expect("write");
    until(|| sys::readable(fd(&kept)));
    assert_eq!(sys::eventfd_take(&kept), 1);
    assert_eq!(context.get(1, 1, ms(5000)).expect("events").len(), 1);
});

// What is no eventfd is refused, and what says so first.
ring_test!(bad_eventfds, |t| {
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = Iocb { flags: IOCB_FLAG_RESFD, ..pread(&file, &mut buffer, 0) };
    assert_eq!(context.run(&Iocb { resfd: 999, ..read }), Err(Errno::EBADF));
    assert_eq!(context.run(&Iocb { resfd: fd(&file), ..read }), Err(Errno::EINVAL));
    assert_eq!(context.run(&Iocb { resfd: fd(&file), fd: 999, ..read }), Err(Errno::EBADF));
});

// A file that is closed while its read waits stays with the request.
ring_test!(a_file_that_was_closed, |t| {
    if t.is_kernel() {
        // The kernel blocks in the submission.
        return Ok(());
    }
    let context = t.context(8)?;
    let (reader, mut writer) = sys::pipe();
    let mut buffer = [0; 4];
    assert_eq!(context.submit(&[&pread(&reader, &mut buffer, 0)]), Ok(1));
    t.close(sys::release(reader)).expect("close");
    writer.write_all(b"abcd").expect("write");
    let events = context.get(1, 1, ms(5000)).expect("events");
    assert_eq!(events[0].res, 4);
});
