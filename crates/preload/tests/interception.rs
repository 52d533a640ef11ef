//! Unmodified C programs under the preload, by every tier.

mod common;

use common::{Run, compile};
use ringfence_refusal::{Answer, refuse_calls};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// Whether this kernel has syscall user dispatch in its inclusive mode, as the library finds out.
fn dispatch_works() -> bool {
    ringfence_runtime::Probe::run().dispatch
}

/// The lock validator, the replays of historic faults and the simulation are for tests and for the
/// command: what is put into a program has none of them.
#[test]
fn the_library_is_the_engine_and_nothing_else() {
    let library = std::fs::read(common::library()).unwrap();
    let names = |text: &str| library.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(names("ringfence_uring"), "the debug build names its crates");
    for other in ["ringfence_lockdep", "ringfence_checked", "ringfence_sim", "ringfence_replay"] {
        assert!(!names(other), "{other}");
    }
    // What the validator prints, and the functions that have the engine's historic bugs.
    for text in ["possible recursive locking", "*** DEADLOCK ***", "historic_"] {
        assert!(!names(text), "{text}");
    }
}

#[test]
fn every_form_of_call_site() {
    for options in [&["-fPIE", "-pie"][..], &["-fno-pie", "-no-pie"], &["-O0"], &["-O3"]] {
        let program = compile("sites", options);
        let traps = if dispatch_works() { "traps" } else { "" };
        Run::default().arg(traps).succeeds(&program);
        Run::default().arg(traps).fixed().succeeds(&program);
        Run::tier("patch").succeeds(&program);
        if dispatch_works() {
            Run::tier("dispatch").arg("traps").succeeds(&program);
        }
    }
    Run::tier("filter").arg("traps").succeeds(&compile("sites", &["-fPIE", "-pie"]));
}

#[test]
fn a_refusal_of_any_kind_is_found_out_without_dying_of_it() {
    let program = compile("sites", &[]);
    for answer in [Answer::Errno(libc::ENOSYS), Answer::Trap, Answer::Kill] {
        let run = Run::default().env("RINGFENCE_BACKEND", "auto").refused_by(answer);
        run.succeeds(&program);
    }
}

/// As where it is installed among the system's libraries; and what the program executes without an
/// environment is given the whole path.
#[test]
fn the_library_is_preloaded_by_its_name_alone() {
    let directory = common::library().parent().unwrap().to_str().unwrap();
    let by_name = || {
        let run = Run { preloaded: false, ..Run::default() }.env("RINGFENCE_STATS", "1");
        run.env("LD_LIBRARY_PATH", directory).env("LD_PRELOAD", "libringfence.so")
    };
    let then = "env -i RINGFENCE_BACKEND=user RINGFENCE_STATS=1 /bin/true";
    let shell = by_name().arg("-c").arg(then);
    for (run, program) in [(by_name(), "/bin/true"), (shell, "/bin/sh")] {
        let (status, _, stderr) = run.run(std::path::Path::new(program));
        assert!(status.success(), "{stderr}");
        assert!(stderr.starts_with("ringfence: operations:; rings 0,"), "{program}: {stderr}");
    }
}

/// One call at the start of `main` does what the preload does, for a program in C.
#[test]
fn a_program_that_links_or_loads_the_library() {
    let library = common::library();
    let rpath = format!("-Wl,-rpath,{}", library.parent().unwrap().display());
    let object = library.to_str().unwrap();
    let linked = compile("linked", &["-pthread", object, &rpath]);
    let loads = compile("linked", &["-pthread", "-DLOADS"]);
    for (program, argument) in [(linked, ""), (loads, object)] {
        let run = Run { preloaded: false, ..Run::default() };
        run.arg(argument).succeeds(&program);
    }
}

#[test]
fn a_call_keeps_what_a_system_call_keeps() {
    let program = compile("registers", &["-mavx"]);
    for tier in ["patch", "filter"] {
        Run::tier(tier).succeeds(&program);
    }
    if dispatch_works() {
        Run::tier("dispatch").succeeds(&program);
    }
}

#[test]
fn libraries_and_threads_that_come_later() {
    let library = compile("late", &["-shared", "-fPIC"]);
    let program = compile("loading", &["-pthread"]);
    let library = library.to_str().unwrap();
    Run::default().arg(library).succeeds(&program);
    Run::tier("patch").arg(library).fixed().succeeds(&program);
    Run::default().arg(library).succeeds(&compile("reloading", &[]));
}

#[test]
fn children_of_every_kind() {
    let program = compile("children", &[]);
    Run::default().succeeds(&program);
    // Left alone, a program gets what the kernel says: EPERM here.
    Run::default().arg("1").env("RINGFENCE_CHILDREN", "leave").succeeds(&program);
    Run::tier("filter").succeeds(&program);
    Run::tier("filter").arg("1").env("RINGFENCE_CHILDREN", "leave").succeeds(&program);
    if dispatch_works() {
        // A child of a bare clone is dispatched no more, and gets the kernel's answer.
        Run::tier("dispatch").arg("9").arg("1").succeeds(&program);
        let left = Run::tier("dispatch").env("RINGFENCE_CHILDREN", "leave");
        left.arg("1").arg("1").fixed().succeeds(&program);
    }
}

#[test]
fn a_filter_is_not_used_where_it_would_meet_other_programs() {
    for (program, run) in [
        (compile("sites", &["-fno-pie", "-no-pie"]), Run::tier("filter")),
        (compile("sites", &[]), Run::tier("filter").fixed()),
    ] {
        let (status, _, stderr) = run.env("RINGFENCE_LOG", "info").run(&program);
        // The program's own check fails: the kernel answered. Nobody was killed.
        assert_eq!(status.code(), Some(99), "{stderr}");
        assert!(stderr.contains("addresses are fixed"), "{stderr}");
    }
}

#[test]
fn a_program_with_its_own_sigsys() {
    let program = compile("sigsys", &["-pthread"]);
    for tier in ["auto", "filter"] {
        Run::tier(tier).succeeds(&program);
    }
    if dispatch_works() {
        Run::tier("dispatch").succeeds(&program);
    }
}

#[test]
fn a_handler_inside_the_engine_may_do_anything() {
    let program = compile("handlers", &[]);
    for what in ["return", "longjmp", "fork", "submit"] {
        Run::default().arg(what).succeeds(&program);
    }
    let (status, _, stderr) = Run::default().arg("exit").run(&program);
    assert_eq!(status.code(), Some(42), "{stderr}");
}

#[test]
fn bad_addresses_and_faults_of_the_program() {
    let (status, stdout, stderr) = Run::default().run(&compile("faults", &[]));
    // At the end it faults on its own, with the default action.
    assert_eq!((status.signal(), stdout.as_str()), (Some(libc::SIGSEGV), "ok\n"), "{stderr}");
}

#[test]
fn signals_that_come_all_the_time() {
    let program = compile("storm", &["-pthread"]);
    Run::default().succeeds(&program);
    Run::tier("filter").succeeds(&program);
}

#[test]
fn a_handler_that_no_library_saw_ends_a_wait() {
    Run::default().succeeds(&compile("rawhandler", &[]));
}

#[test]
fn rings_among_other_descriptors() {
    Run::default().succeeds(&compile("waiting", &[]));
}

#[test]
fn forks_in_the_middle_of_changes() {
    let library = compile("late", &["-shared", "-fPIC"]);
    let program = compile("forking", &["-pthread"]);
    Run::default().arg(library.to_str().unwrap()).succeeds(&program);
}

#[test]
fn handlers_that_interrupt_a_fork() {
    let library = compile("late", &["-shared", "-fPIC"]);
    let program = compile("interrupted", &[]);
    // The counters are put together when the program ends, in memory that has to be allocated.
    let (status, stdout, stderr) =
        Run::default().arg("exit").env("RINGFENCE_STATS", "1").run(&program);
    assert!(status.success() && stdout == "ok\n", "{status}\n{stdout}{stderr}");
    Run::default().arg("ring").succeeds(&program);
    Run::default().arg("load").arg(library.to_str().unwrap()).succeeds(&program);
}

#[test]
fn children_of_a_process_that_is_busy() {
    let program = compile("left", &["-pthread"]);
    for what in ["exits", "inherits", "goes on", "orphans"] {
        Run::default().arg(what).succeeds(&program);
    }
}

#[test]
fn a_ring_let_go_of_is_released_in_parent_and_child() {
    let (status, stdout, stderr) =
        Run::default().env("RINGFENCE_STATS", "1").run(&compile("released", &[]));
    assert!(status.success() && stdout == "ok\n", "{stderr}");
    // The second is still there, the first is not.
    assert!(stderr.contains("; rings 1,"), "{stderr}");
}

#[test]
fn what_a_short_receive_left_is_not_lost() {
    Run::default().succeeds(&compile("short", &[]));
}

#[test]
fn reads_that_are_made_later_are_not_overtaken() {
    let program = compile("residence", &[]);
    let file = program.with_extension("file");
    Run::default().arg(file.to_str().unwrap()).succeeds(&program);
}

#[test]
fn direct_transfers_by_the_kernel_or_by_threads() {
    let program = compile("direct", &[]);
    for how in ["allowed", "refused", "kills", "kills-later"] {
        let file = program.with_extension(how);
        let run = Run { aio: true, ..Run::default() };
        run.arg(file.to_str().unwrap()).arg(how).succeeds(&program);
    }
}

#[test]
fn limits_of_requests_and_of_workers() {
    let program = compile("limits", &[]);
    let run = Run::default().arg("requests").env("RINGFENCE_REQUEST_MEMORY", "1");
    run.succeeds(&program);
    let (_, _, stderr) = run.env("RINGFENCE_STATS", "1").run(&program);
    let held = |before: &str| -> Option<u64> {
        stderr.split(before).nth(1)?.split_terminator([' ', ',', ';', '\n']).next()?.parse().ok()
    };
    // One request fits, and one is all that there ever was.
    let bytes = held("request bytes ").unwrap_or(0);
    assert!(bytes > 0 && held("at most ") == Some(bytes), "{stderr}");
    assert!(stderr.contains(&format!(": {bytes} bytes, at most {bytes}\n")), "{stderr}");
    for most in ["1", "3"] {
        let workers = if most == "1" { "1,1" } else { "3" };
        let run = Run::default().arg("workers").arg(most).env("RINGFENCE_WORKERS", workers);
        run.succeeds(&program);
    }
}

#[test]
fn a_submission_stops_where_memory_ends() {
    let program = compile("memory", &[]);
    for what in ["polls", "timeouts", "linked", "works", "held", "kept"] {
        Run::default().arg(what).succeeds(&program);
    }
}

/// ls(1) closes standard output and standard error before it ends, to hear of a full disk.
#[test]
fn counters_are_told_though_the_program_closed_its_standard_error() {
    let run = Run::default().arg("-d").arg("/").env("RINGFENCE_STATS", "1");
    let (status, stdout, stderr) = run.run(std::path::Path::new("/bin/ls"));
    assert!(status.success() && stdout == "/\n", "{stderr}");
    assert!(stderr.starts_with("ringfence: operations:; rings 0,"), "{stderr}");
}

#[test]
fn an_idle_thread_of_a_submission_queue_sleeps() {
    Run::default().succeeds(&compile("sqpoll", &[]));
}

/// A process without a ring has no thread of ours; rings that wait use no processor; and a hundred
/// thousand leave nothing behind. The program checks that itself, and prints what docs/FOOTPRINT.md has.
#[test]
fn rings_leave_nothing_and_waits_cost_nothing() {
    let program = compile("footprint", &[]);
    for (what, count) in [("idle", "300"), ("rings", "20"), ("requests", "2000")] {
        let (status, _, stderr) = Run::default().arg(what).arg(count).run(&program);
        assert!(status.success(), "{what}: {stderr}");
    }
    let run = Run { patience: Duration::from_secs(300), ..Run::default() };
    let (status, stdout, stderr) = run.arg("dropped").arg("100000").run(&program);
    assert!(status.success() && stdout.starts_with("100000 rings"), "{stdout}{stderr}");
}

#[test]
fn a_ring_cannot_be_sent() {
    Run::default().succeeds(&compile("rights", &[]));
}

#[test]
fn a_child_uses_its_parents_ring() {
    Run::default().succeeds(&compile("inherited", &[]));
}

const UNSEEN: &str = "closes descriptors where it is not seen";

#[test]
fn closes_are_seen_however_they_are_made() {
    for options in [&["-O2"][..], &["-O0"], &["-fno-pie", "-no-pie"]] {
        let program = compile("closing", options);
        for how in ["constant", "register", "libc", "range", "syscall", "stream", "handler"] {
            let run = Run::default().arg(how).env("RINGFENCE_LOG", "info");
            let (status, stdout, stderr) = run.run(&program);
            assert!(status.success() && stdout == "ok\n", "{how} {options:?}: {stderr}");
            assert!(!stderr.contains(UNSEEN), "{how} {options:?}: {stderr}");
        }
    }
}

#[test]
fn closes_that_cannot_be_seen_are_reckoned_with() {
    let program = compile("closing", &["-O2"]);
    for tier in ["filter", "dispatch"] {
        if tier == "dispatch" && !dispatch_works() {
            continue;
        }
        for how in ["constant", "register", "range"] {
            // A filter traps io_uring's numbers only; dispatch traps these too.
            let seen = if tier == "filter" { "unseen" } else { "seen" };
            let run = Run::tier(tier).arg(how).arg(seen).env("RINGFENCE_LOG", "info");
            let (status, stdout, stderr) = run.run(&program);
            assert!(status.success() && stdout == "ok\n", "{tier} {how}: {stderr}");
            assert_eq!(stderr.contains(UNSEEN), tier == "filter", "{tier} {how}: {stderr}");
        }
    }
}

#[test]
fn an_unknown_setting_is_told_and_harms_nothing() {
    let program = compile("sites", &[]);
    let (status, stdout, stderr) = Run::default().env("RINGFENCE_LOG", "loud").run(&program);
    assert!(status.success() && stdout == "ok\n", "{stderr}");
    assert_eq!(stderr, "ringfence: RINGFENCE_LOG=loud is unknown; it may be error, info, debug\n");
}

#[test]
fn aio_by_every_way_in() {
    for options in [&["-fPIE", "-pie"][..], &["-fno-pie", "-no-pie"], &["-O0"]] {
        let program = compile("aio", options);
        let traps = if dispatch_works() { "traps" } else { "" };
        Run::default().arg(traps).succeeds(&program);
        Run::tier("patch").succeeds(&program);
        if dispatch_works() {
            Run::tier("dispatch").arg("traps").succeeds(&program);
        }
    }
    Run::tier("filter").arg("traps").succeeds(&compile("aio", &["-fPIE", "-pie"]));
}

#[test]
fn aio_is_found_refused_without_dying_of_it() {
    let program = compile("aio", &[]);
    for answer in [Answer::Errno(libc::ENOSYS), Answer::Trap, Answer::Kill] {
        Run::default().env("RINGFENCE_AIO", "auto").refused_by(answer).succeeds(&program);
    }
}

#[test]
fn aio_of_the_kernel_as_far_as_it_goes() {
    if !kernel_grants_aio() {
        return;
    }
    let program = compile("aio", &[]);
    for tier in ["auto", "patch"] {
        for backend in ["kernel", "user", "auto"] {
            let run = Run::tier(tier).env("RINGFENCE_BACKEND", backend).arg("late");
            let (status, _, stderr) = run.here(&program);
            assert!(status.success(), "{tier} {backend}: {stderr}");
        }
    }
}

/// A program that needs thirty contexts on a host with room for two just runs, though it makes its calls
/// by the instruction and the kernel grants io_uring and AIO when it starts.
#[test]
fn aio_beyond_the_limit_by_the_instruction() {
    if !kernel_grants_aio() {
        return;
    }
    let library = compile("aio_many", &["-shared", "-fPIC"]);
    let library = library.to_str().unwrap();
    let loader = compile("aio_many", &["-DLOADER"]);
    for (program, argument) in [(compile("aio_many", &[]), ""), (loader, library)] {
        for backend in ["auto", "kernel", "user"] {
            let run = Run::default().arg(argument).env("RINGFENCE_BACKEND", backend);
            let (status, stdout, stderr) = run.here(&program);
            assert!(status.success() && stdout == "ok\n", "{argument} {backend}: {stderr}");
        }
        // The host has no room for them.
        let (status, ..) =
            Run::default().arg(argument).env("RINGFENCE_AIO", "kernel").here(&program);
        assert!(!status.success(), "{argument}");
    }
}

/// The kernel takes some 30 ms to destroy a context, so no process makes one to find out whether it
/// could: this one would die of destroying it.
#[test]
fn no_aio_context_is_made_to_ask_for_one() {
    if !kernel_grants_aio() {
        return;
    }
    let run = Run { aio: true, ..Run::default() }.env("RINGFENCE_LOG", "info");
    let started = std::thread::spawn(move || {
        refuse_calls(&[libc::SYS_io_destroy], Answer::Kill).unwrap();
        run.here(std::path::Path::new("/bin/true"))
    });
    let (status, _, stderr) = started.join().unwrap();
    assert!(status.success() && stderr == "ringfence: the kernel's AIO: Granted\n", "{stderr}");
}

/// Most programs make no AIO context by the instruction, and are left alone.
#[test]
fn a_program_without_aio_is_left_alone_where_the_kernel_grants_all() {
    let run = Run::default().arg("-d").arg("/");
    let run = run.env("RINGFENCE_BACKEND", "kernel").env("RINGFENCE_STATS", "1");
    let (status, _, stderr) = run.here(std::path::Path::new("/bin/ls"));
    assert!(status.success() && stderr.is_empty(), "{stderr}");
}

#[test]
fn aio_that_nobody_waits_for_is_done_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("left");
    let run = Run::default().arg("").arg(path.to_str().unwrap());
    run.succeeds(&compile("aio", &[]));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 16);
}

#[test]
fn the_program_that_measures_aio_runs() {
    let program = compile("aio_speed", &[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![7; 1 << 20]).unwrap();
    for what in ["cold", "cached"] {
        let run = Run::default().arg(file.path().to_str().unwrap()).arg(what).arg("2");
        let (status, stdout, stderr) = run.run(&program);
        assert!(status.success() && !stdout.is_empty(), "{what}: {stderr}");
    }
}

#[test]
fn aio_by_a_device_is_done_while_nobody_calls() {
    let program = compile("aio_direct", &["-Wno-unused-result"]);
    let file = program.with_extension("file");
    std::fs::write(&file, vec![7; 1 << 16]).unwrap();
    for aio in [false, true] {
        // By the kernel's AIO where it is not refused, else by threads.
        let run = Run { aio, ..Run::default() }.env("RINGFENCE_AIO", "user");
        run.arg(file.to_str().unwrap()).succeeds(&program);
    }
}

#[test]
fn aio_contexts_by_the_thousand() {
    let program = compile("aio_contexts", &[]);
    let run = Run::default();
    let (status, stdout, stderr) = run.arg("2000").arg("65536").run(&program);
    assert!(status.success() && stdout.starts_with("2000 contexts of 65536 events: "), "{stderr}");
}

/// Whether this kernel grants an AIO context.
fn kernel_grants_aio() -> bool {
    std::path::Path::new("/proc/sys/fs/aio-max-nr").exists()
}
