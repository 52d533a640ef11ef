//! Many contexts, large ones, and what becomes of them in children.

use crate::prelude::*;

// A hundred contexts, all of which work.
ring_test!(many_contexts, |t| {
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    let contexts: Vec<Context<'_>> =
        (0..100).map(|_| t.context(16)).collect::<std::result::Result<_, _>>()?;
    for context in &contexts {
        assert_eq!(context.run(&read), Ok(4));
    }
});

// More than the kernel's usual limit for all contexts of a machine: ours knows none.
ring_test!(beyond_the_limit_of_the_machine, |t| {
    if t.is_kernel() {
        return Ok(());
    }
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    let contexts: Vec<Context<'_>> =
        (0..8).map(|_| t.context(65_536)).collect::<std::result::Result<_, _>>()?;
    for context in &contexts {
        assert!(context.header().nr > 131_072);
        assert_eq!(context.run(&read), Ok(4));
    }
});

// A thousand contexts, and no descriptor for any of them.
ring_test!(a_thousand_contexts_without_descriptors, |t| {
    if t.is_kernel() {
        return Ok(());
    }
    let before = sys::fd_count();
    let contexts: Vec<Context<'_>> =
        (0..1000).map(|_| t.context(128)).collect::<std::result::Result<_, _>>()?;
    assert_eq!(sys::fd_count(), before);
    drop(contexts);
    assert_eq!(sys::fd_count(), before);
});

// A child has none of its parent's contexts, and can make its own.
ring_test!(not_inherited, |t| {
    t.can_fork()?;
    let context = t.context(8)?;
    let file = sys::file_with(b"0123");
    let mut buffer = [0; 4];
    let read = pread(&file, &mut buffer, 0);
    let code = sys::in_child(|| {
        let mine = context.submit(&[&read]) == Err(Errno::EINVAL)
            && t.io_destroy(context.id) == Err(Errno::EINVAL);
        match t.context(8) {
            Ok(own) if mine => u8::from(own.run(&read) == Ok(4)),
            _ => 9,
        }
    });
    assert_eq!(code, Some(1));
    assert_eq!(context.run(&read), Ok(4));
});
