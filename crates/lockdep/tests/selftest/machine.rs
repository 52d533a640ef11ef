//! Runs one case: a script of acquisitions, releases and contexts, against a fresh validator.

use ringfence_lockdep::{
    Acquire, ClassKey, Context, Entered, Mode, OnReport, SIGNAL, Task, Traits, Validator,
};
use std::collections::HashMap;

/// What stands for the kernel's soft interrupts: a callback that starts behind signals.
pub(crate) static CALLBACK: Context = Context::new("callback").behind_signals();

/// A kind of lock and a side of it: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Column {
    /// A spin lock.
    Spin,
    /// The write side of a lock whose readers may recurse.
    WLock,
    /// The read side of the same.
    RLock,
    /// A mutex that parks.
    Mutex,
    /// The write side of a lock whose readers queue behind writers.
    WSem,
    /// The read side of the same.
    RSem,
    /// A second type of mutex.
    OtherMutex,
}

use Column::{Mutex, OtherMutex, RLock, RSem, Spin, WLock, WSem};

impl Column {
    pub(crate) const ALL: [Column; 7] = [Spin, WLock, RLock, Mutex, WSem, RSem, OtherMutex];

    /// Both sides of a lock are of one family, and so of one class.
    fn family(self) -> u8 {
        match self {
            Spin => b's',
            WLock | RLock => b'w',
            Mutex => b'm',
            WSem | RSem => b'q',
            OtherMutex => b'o',
        }
    }

    fn mode(self) -> Mode {
        match self {
            RLock => Mode::SharedRecursive,
            RSem => Mode::Shared,
            _ => Mode::Exclusive,
        }
    }

    /// The column that the letter before a `+` names.
    fn of(letter: u8) -> Column {
        match letter {
            b's' => Spin,
            b'w' => WLock,
            b'r' => RLock,
            b'm' => Mutex,
            b'W' => WSem,
            b'R' => RSem,
            other => panic!("no column {:?}", other as char),
        }
    }
}

/// Runs `script` and returns the titles reported.
///
/// Words: `+A` takes lock A as the column does, `-A` releases it; a letter before the sign picks a
/// column for this lock (`s`pin, `w`rite, `r`ead, `m`utex, `W`rite and `R`ead side of the queued
/// kind, `p`er-thread; `q` is `r` where it queues behind writers). A digit is an instance: X1 and X2 are two locks of class X. `?A` is a
/// try-lock that succeeds; `+A^B` takes A while B serialises the nesting; `!A` destroys A. `<` and
/// `>` begin and end a context, `[` and `]` block and unblock it: that of the case, or with an `h`
/// the signal handler, with an `s` the callback.
pub(crate) fn run(script: &str, column: Column, context: &'static Context) -> Vec<String> {
    let validator = Validator::new(OnReport::Collect);
    validator.capture_stacks(false);
    let task = Task::new();
    let mut machine = Machine {
        validator: &validator,
        task: &task,
        column,
        classes: HashMap::new(),
        entered: Vec::new(),
    };
    for word in script.split_whitespace() {
        machine.step(word, context);
    }
    validator.reports().iter().map(|report| report.title.clone()).collect()
}

struct Machine<'a> {
    validator: &'a Validator,
    task: &'a Task,
    column: Column,
    classes: HashMap<(u8, u8), ClassKey>,
    entered: Vec<Entered>,
}

impl Machine<'_> {
    fn step(&mut self, word: &str, case: &'static Context) {
        let bytes = word.as_bytes();
        let context = match bytes.get(1) {
            Some(b'h') => &SIGNAL,
            Some(b's') => &CALLBACK,
            _ => case,
        };
        match bytes[0] {
            b'<' => self.entered.push(self.validator.enter(self.task, context)),
            b'>' => {
                let entered = self.entered.pop().expect("a context was begun");
                self.validator.leave(self.task, entered);
            }
            b'[' => self.validator.block(self.task, context),
            b']' => self.validator.unblock(self.task, context),
            _ => self.lock_step(bytes),
        }
    }

    fn lock_step(&mut self, word: &[u8]) {
        let sign = word.iter().position(|byte| b"+-?!".contains(byte)).expect("a sign");
        let prefix = word[..sign].first().copied();
        let (own, nest) = match word.iter().position(|&byte| byte == b'^') {
            Some(caret) => (&word[sign + 1..caret], Some(&word[caret + 1..])),
            None => (&word[sign + 1..], None),
        };
        let (class, instance, mode) = self.lock(prefix, own);
        let mut acquire = Acquire::new(class, mode).instance(instance);
        if let Some(nest) = nest {
            let (prefix, nest) = if nest.len() > 1 && nest[0].is_ascii_lowercase() {
                (Some(nest[0]), &nest[1..])
            } else {
                (prefix, nest)
            };
            acquire = acquire.under(self.lock(prefix, nest).1);
        }
        match word[sign] {
            b'+' => self.validator.acquire(self.task, acquire),
            b'?' => self.validator.acquire(self.task, acquire.tried()),
            b'-' => self.validator.release(self.task, class, instance),
            _ => self.validator.destroyed(self.task, class, instance),
        }
    }

    /// The class, the instance and the mode that a name stands for.
    fn lock(&mut self, prefix: Option<u8>, name: &[u8]) -> (ClassKey, usize, Mode) {
        let per_thread = prefix == Some(b'p');
        let column = match prefix {
            Some(b'p') => Spin,
            Some(b'q') => RLock,
            Some(letter) => Column::of(letter),
            None => self.column,
        };
        let family = if per_thread { b'p' } else { column.family() };
        let validator = self.validator;
        let class = *self.classes.entry((family, name[0])).or_insert_with(|| {
            let traits = Traits { per_thread, spins: column == Spin, ..Traits::default() };
            validator.class_with(&format!("{}{}", family as char, name[0] as char), traits)
        });
        let digit = name.get(1).map_or(0, |digit| usize::from(digit - b'0'));
        let instance = usize::from(family) << 16 | usize::from(name[0]) << 8 | digit;
        let mode = if prefix == Some(b'q') { Mode::Shared } else { column.mode() };
        (class, instance, mode)
    }
}
