//! The shapes of two historic kernel failures, run on one thread without a collision, and what the
//! reports say of them.

use ringfence_lockdep::{
    Class, Context, Detail, Mutex, OnReport, Report, SIGNAL, enter, forget, lock_classes,
    on_report, reports,
};
use std::sync::Arc;

lock_classes! {
    COMPLETION: "&ctx->completion_lock",
}

/// Not in the declared order, as in the kernel of the time.
static TASK_WORK: Class = Class::new("&tctx->task_lock");

static TIMER: Context = Context::new("timer callback").behind_signals();

/// Each test has the process-wide validator to itself.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn run(scenario: impl FnOnce()) -> Vec<Arc<Report>> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    forget();
    on_report(OnReport::Collect);
    scenario();
    let all = reports();
    on_report(OnReport::Print);
    forget();
    all
}

/// Two rings would share the class; two locks stand in for the one that would hang the test.
struct Ring {
    completion: Mutex<u32>,
    completion_again: Mutex<u32>,
    task_work: Mutex<u32>,
}

impl Ring {
    fn new() -> Ring {
        Ring {
            completion: Mutex::new(&COMPLETION, 0),
            completion_again: Mutex::new(&COMPLETION, 0),
            task_work: Mutex::new(&TASK_WORK, 0),
        }
    }

    #[inline(never)]
    fn flush_overflow(&self) {
        let mut completion = self.completion.lock();
        self.queue_deferred();
        *completion += 1;
    }

    #[inline(never)]
    fn queue_deferred(&self) {
        self.queue_linked_timeout();
        // Not a tail call, which would leave no frame.
        std::hint::black_box(self);
    }

    #[inline(never)]
    fn queue_linked_timeout(&self) {
        *self.completion_again.lock() += 1;
    }

    #[inline(never)]
    fn complete(&self) {
        let mut completion = self.completion.lock();
        self.add_task_work();
        *completion += 1;
    }

    #[inline(never)]
    fn add_task_work(&self) {
        *self.task_work.lock() += 1;
    }

    #[inline(never)]
    fn run_task_work(&self) {
        *self.task_work.lock() += 1;
    }

    #[inline(never)]
    fn timeout_fired(&self, context: &'static Context) {
        let _in_context = enter(context);
        *self.completion.lock() += 1;
    }
}

/// Seed 000: a lock taken again on the way out of an overflow flush.
#[test]
fn recursion_in_the_overflow_flush() {
    let reports = run(|| Ring::new().flush_overflow());
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].title, "WARNING: possible recursive locking detected");
    let text = reports[0].to_string();
    assert!(text.contains("is trying to acquire lock:\n"), "{text}");
    assert!(text.contains(" (&ctx->completion_lock){+."), "{text}");
    assert!(text.contains("}-{4:4}, at: queue_linked_timeout+0x"), "{text}");
    assert!(text.contains("1 lock held by "), "{text}");
    assert!(text.contains("\n #0: "), "{text}");
    assert!(text.contains(", at: flush_overflow+0x"), "{text}");
    assert!(
        text.contains("  lock(&ctx->completion_lock);\n  lock(&ctx->completion_lock);\n"),
        "{text}"
    );
    for function in ["queue_linked_timeout", "queue_deferred", "flush_overflow"] {
        assert!(text.contains(&format!("\n {function}+0x")), "{function} in {text}");
    }
}

/// Seed 001: a lock order that an interrupt turns into a deadlock, seen in the order of that log.
#[test]
fn inversion_by_a_timer() {
    let reports = run(|| {
        let ring = Ring::new();
        let blocked = ringfence_lockdep::block(&SIGNAL);
        ring.complete();
        drop(blocked);
        ring.timeout_fired(&SIGNAL);
        ring.run_task_work();
    });
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].title, "WARNING: possible irq lock inversion dependency detected");
    let text = reports[0].to_string();
    for section in [
        "just changed the state of lock:\n",
        "(&tctx->task_lock){+.",
        "but this lock was taken by another, HARDIRQ-safe lock in the past:\n (&ctx->completion_lock){-.",
        "and interrupts could create inverse lock ordering between them.",
        " Possible interrupt unsafe locking scenario:",
        "  lock(&tctx->task_lock);\n                               local_irq_disable();\n",
        "  <Interrupt>\n    lock(&ctx->completion_lock);\n\n *** DEADLOCK ***",
        "no locks held by ",
        "the shortest dependencies between 2nd lock and 1st lock:",
        "IN-HARDIRQ-W at:",
        "INITIAL USE at:",
        " ... acquired at:",
        "\nstack backtrace:\nCPU: ",
        "HARDIRQ is the context: signal handler",
    ] {
        assert!(text.contains(section), "{section:?} not in {text}");
    }
    let Detail::Inversion { chain, forwards, .. } = &reports[0].finding else {
        panic!("an inversion: {text}");
    };
    assert!(!forwards);
    let names: Vec<_> = chain.iter().map(|link| link.class.name.as_str()).collect();
    assert_eq!(names, ["&tctx->task_lock", "&ctx->completion_lock"]);
}

/// The same by a callback of the program, found whichever of the three events comes last.
#[test]
fn inversion_in_every_order_of_events() {
    let events: [fn(&Ring); 3] = [
        |ring| {
            let _blocked = ringfence_lockdep::block(&TIMER);
            ring.complete();
        },
        |ring| ring.timeout_fired(&TIMER),
        |ring| ring.run_task_work(),
    ];
    for [first, second, third] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    {
        let reports = run(|| {
            let ring = Ring::new();
            for event in [first, second, third] {
                events[event](&ring);
            }
        });
        assert_eq!(reports.len(), 1, "order {first} {second} {third}");
        let title = &reports[0].title;
        let known = [
            "WARNING: possible irq lock inversion dependency detected",
            "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
        ];
        assert!(known.contains(&title.as_str()), "{title}");
        assert!(reports[0].to_string().contains(" *** DEADLOCK ***"));
    }
}

/// What the mended code does stays silent.
#[test]
fn the_mended_forms_are_silent() {
    let reports = run(|| {
        let ring = Ring::new();
        let blocked = ringfence_lockdep::block(&TIMER);
        // 000: the work found under the lock is done after it.
        drop(ring.completion.lock());
        ring.queue_linked_timeout();
        // 001: task work is run with the timer kept out, so the order cannot be inverted.
        ring.complete();
        ring.run_task_work();
        drop(blocked);
        ring.timeout_fired(&TIMER);
    });
    let titles: Vec<_> = reports.iter().map(|report| &report.title).collect();
    assert!(titles.is_empty(), "{titles:?}");
}
