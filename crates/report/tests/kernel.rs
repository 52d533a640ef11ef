//! Failures of the Linux kernel: what belongs to a report, and what its title is.

use ringfence_report::{Corruption, Executor, Kind, Report, parse};

/// The only failure of a log.
fn only(log: &str) -> Report {
    let mut reports = parse(log);
    assert_eq!(reports.len(), 1, "{reports:#?}");
    reports.remove(0)
}

/// `lines` as task 7 prints them.
fn task(lines: &str) -> String {
    lines.lines().map(|line| format!("[   10.000001][    T7] {line}\n")).collect()
}

const USE_AFTER_FREE: &str = "\
BUG: KASAN: slab-use-after-free in __list_del+0x1/0x2 lib/list.c:1
Read of size 8 at addr ffff888012345678 by task syz.3.17/123

CPU: 1 PID: 123 Comm: syz.3.17 Not tainted 6.1.0 #0
Call Trace:
 dump_stack+0x1/0x2
 kasan_report+0x1/0x2
 ? somebody_else+0x1/0x2
 list_del+0x1/0x2
 __se_sys_drop+0x1/0x2 fs/drop.c:12
 do_syscall_64+0x1/0x2
";

#[test]
fn the_guilty_function_is_the_first_that_is_not_innocent() {
    let report = only(&task(USE_AFTER_FREE));
    assert_eq!(report.title, "KASAN: slab-use-after-free Read in drop");
    let alt = [
        "KASAN: slab-use-after-free Read in __se_sys_drop",
        "KASAN: slab-use-after-free Read in sys_drop",
        "bad-access in __se_sys_drop",
        "bad-access in drop",
        "bad-access in sys_drop",
    ];
    assert_eq!(report.alt_titles, alt);
    assert_eq!(report.kind, Kind::KasanUafRead);
    assert_eq!(report.executor, Some(Executor { process: 3, program: 17 }));
    assert_eq!((report.corrupted, report.panicked), (None, false));
    assert!(!report.text.contains("somebody_else"));
}

#[test]
fn lines_of_other_tasks_do_not_belong_to_a_report() {
    let mut log = String::from("[    9.000001][    T7] what it did before\n");
    for line in task(USE_AFTER_FREE).lines() {
        log.push_str("[   10.000001][    T8]  another_task+0x1/0x2\n");
        log.push_str(line);
        log.push('\n');
    }
    let report = only(&log);
    assert_eq!(report.title, "KASAN: slab-use-after-free Read in drop");
    assert!(report.text.starts_with("what it did before\nBUG: KASAN"), "{}", report.text);
    assert!(!report.text.contains("another_task"));
}

#[test]
fn without_a_context_a_second_failure_ends_what_is_known_of_the_first() {
    let first = "[    1.000001] BUG: soft lockup - CPU#0 stuck for 22s!\n";
    let second = "[    1.000002] WARNING: CPU: 1 PID: 2 at kernel/a.c:3 late+0x1/0x2\n\
                  [    1.000003] Call Trace:\n\
                  [    1.000004]  late+0x1/0x2\n[    1.000005]  later+0x1/0x2\n";
    let reports = parse(&format!("{first}{second}"));
    assert_eq!(reports[0].title, "BUG: soft lockup in corrupted");
    assert_eq!(reports[0].corrupted, Some(Corruption::NoFrame));
    assert_eq!((reports[1].title.as_str(), reports[1].line), ("WARNING in late", 1));
}

#[test]
fn the_panic_that_follows_from_a_failure_is_no_failure_of_its_own() {
    let panic = "Kernel panic - not syncing: panic_on_warn set ...\n";
    let report = only(&task(&format!("{USE_AFTER_FREE}{panic}")));
    assert!(report.panicked);
    let alone = only(&task(panic));
    assert_eq!(alone.title, "kernel panic: panic_on_warn set");
    assert_eq!(alone.corrupted, Some(Corruption::BeginningLost));
}

#[test]
fn one_failure_told_step_by_step_is_one() {
    let report = only(
        "kernel BUG at mm/slub.c:5893!\nInternal error: Oops - BUG: 0 [#1] PREEMPT SMP\n\
         pc : create_it+0x258/0x260 mm/slub.c:5950\nCall trace:\n f+0x1/0x2\n g+0x1/0x2\n",
    );
    assert_eq!(report.title, "kernel BUG in create_it");
}

#[test]
fn a_stall_is_named_after_what_the_interrupt_interrupted() {
    let report = only(&task(
        "rcu: INFO: rcu_preempt self-detected stall on CPU\n\
         NMI backtrace for cpu 0\n\
         Call Trace:\n <IRQ>\n rcu_check+0x1/0x2\n asm_sysvec_apic_timer_interrupt+0x1/0x2\n\
         RIP: 0010:spinning+0x1/0x2\n\
         Code: 00\n inner+0x1/0x2\n my_ioctl+0x1/0x2\n vfs_ioctl+0x1/0x2\n",
    ));
    assert_eq!(report.title, "INFO: rcu detected stall in my_ioctl");
    assert_eq!(report.alt_titles, ["stall in my_ioctl"]);
    assert_eq!(report.kind, Kind::Hang);
}

#[test]
fn a_headline_may_be_repeated_for_inlined_functions() {
    let report = only(
        "BUG: KASAN: use-after-free in atomic_read include/linux/atomic.h:26 [inline]\n\
         BUG: KASAN: use-after-free in sco_chan_del+0xe6/0x430 net/bluetooth/sco.c:180\n\
         Write of size 4 at addr ffff8881d8f4c9c0 by task kworker/1:2/123\n\
         Call Trace:\n __dump_stack lib/dump_stack.c:77 [inline]\n\
         sco_chan_del+0xe6/0x430 net/bluetooth/sco.c:180\n\
         sco_conn_del+0x1/0x2 net/bluetooth/sco.c:18\n",
    );
    assert_eq!(report.title, "KASAN: use-after-free Write in sco_chan_del");
    let report = only(
        "WARNING: CPU: 0 PID: 12 at a/b.c:1 helper a/b.h:1 [inline]\n\
         WARNING: CPU: 0 PID: 12 at a/b.c:1 outer+0x1/0x2 a/b.c:1\n\
         RIP: 0010:helper a/b.h:1 [inline]\nRIP: 0010:outer+0x1/0x2 a/b.c:1\n\
         Call Trace:\n f+0x1/0x2\n g+0x1/0x2\n",
    );
    assert_eq!(report.title, "WARNING in outer");
}

#[test]
fn a_hung_task_may_have_any_name() {
    let report = only(
        "[  100.000001][   T30] INFO: task k\n\
         worker:12 blocked for more than 143 seconds.\n\
         [  100.000001][   T30] Call Trace:\n\
         [  100.000001][   T30]  __schedule+0x1/0x2\n\
         [  100.000001][   T30]  rtnl_lock+0x1/0x2\n",
    );
    assert_eq!(report.title, "INFO: task k");
    let report = only(&task(
        "INFO: task kworker/u4:1:12 blocked for more than 143 seconds.\n\
         task:kworker\nCall Trace:\n __schedule+0x1/0x2\n rtnl_lock+0x1/0x2\n f+0x1/0x2\n",
    ));
    assert_eq!(report.title, "INFO: task hung in rtnl_lock");
}

#[test]
fn reports_of_lock_order_with_and_without_addresses() {
    // As a kernel printed it, with continued lines.
    let report = only(include_str!("logs/lock-inversion.log"));
    assert_eq!(report.title, "possible deadlock in tctx_task_work");
    assert_eq!((report.kind, report.corrupted), (Kind::Lockdep, None));
    let old = "[    1.0] =============================================\n\
               [    1.0] [ INFO: possible recursive locking detected ]\n\
               [    1.0] a.out/1234 is trying to acquire lock:\n\
               [    1.0]  (&(&ctx->lock)->rlock){+.+...}, at: [<ffffffff812345>] flush+0x1/0x2\n\
               [    1.0] stack backtrace:\n[    1.0] Call Trace:\n[    1.0]  flush+0x1/0x2\n\
               [    1.0]  queue+0x1/0x2\n";
    assert_eq!(only(old).title, "possible deadlock in flush");
}

#[test]
fn reports_of_this_projects_validator() {
    let reports = parse(include_str!("logs/validator.log"));
    let titles: Vec<&str> = reports.iter().map(|report| report.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "possible deadlock in nested_take",
            "possible deadlock in take_b",
            "inconsistent lock state in mainline",
            "inconsistent lock state in handler",
            "possible deadlock in mainline",
            "possible deadlock in handler_c",
        ]
    );
    for report in &reports {
        assert_eq!((report.kind, report.corrupted), (Kind::Lockdep, None), "{}", report.title);
    }
    let held = "WARNING: lock held when leaving a context!\n\
                main/12 is leaving a context with locks still held!\n\
                0000000000000001 (A){+...}-{4:4}, at: handler+0x17 src/main.rs:5\n";
    assert_eq!(only(held).title, "WARNING: lock held when leaving a context in handler");
    let not_held = "WARNING: CPU: 0 PID: 12 at src/ring.rs:5\n\
                    stack backtrace:\nCall Trace:\n submit+0x1 src/ring.rs:5\n main+0x1\n";
    assert_eq!(only(not_held).title, "WARNING in submit");
}

#[test]
fn what_makes_a_report_corrupted() {
    for (log, reason) in [
        ("BUG: KASAN: use-after-free in f+0x1/0x2\n", Corruption::BeginningLost),
        ("WARNING: inconsistent lock state\n", Corruption::HeadlineOnly),
        ("general protection fault: 0000\n", Corruption::NoFrame),
        ("kernel BUG at a.c:1!\nRIP: 0010:f+0x1/0x2\nx\ny\n", Corruption::TraceMissing),
        ("kernel BUG at a.c:1!\nRIP: 0010:f+0x1/0x2\nCall Trace:\n", Corruption::TraceCut),
        ("kernel BUG at a.c:1!\nRIP: 0010:f+0x1/0x2\nCall Trace:\nx\ny\n", Corruption::TraceEmpty),
        ("SYZFAIL: x\nserialport: VM disconnected.\n", Corruption::ConsoleLost),
        ("SYZFAIL: x [   12.345678] y\n", Corruption::TimestampInTitle),
    ] {
        assert_eq!(only(log).corrupted, Some(reason), "{log}");
    }
}

#[test]
fn a_headline_that_the_console_repeats_counts_once() {
    let log = "[    1.0] BUG: Bad rss-coun\n\
               [    1.0] ** replaying previous printk message **\n\
               [    1.0] BUG: Bad rss-counter state mm:0 idx:1 val:2\n";
    assert_eq!(only(log).line, 2);
}

#[test]
fn out_of_memory_makes_the_rest_unimportant() {
    let log = "[    1.0] Out of memory: Kill process 12 (syz-executor) score 1\n\
               [    2.0] BUG: Bad rss-counter state mm:0 idx:1 val:2\n";
    assert!(only(log).suppressed);
    assert!(!only("[    2.0] BUG: Bad rss-counter state mm:0 idx:1 val:2\n").suppressed);
}

#[test]
fn a_log_of_a_bisection_tells_of_failures_elsewhere() {
    let log = "run #0: crashed: WARNING: refcount bug in io_link_timeout_fn\n\
               all runs: crashed: WARNING: refcount bug in io_link_timeout_fn\n";
    assert_eq!(parse(log), []);
}

#[test]
fn what_looks_like_a_failure_and_is_none() {
    for line in [
        "[    1.0] WARNING: The mand mount option has been deprecated",
        "[    1.0] traps: a.out[12] general protection fault ip:1 sp:2 error:0 in libc.so",
        "[    1.0] INFO: lockdep is turned off.",
        "[    1.0] ODEBUG: activate active",
    ] {
        assert_eq!(parse(line), [], "{line}");
    }
}
