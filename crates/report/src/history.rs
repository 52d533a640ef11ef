//! What was printed of late, by context.

use crate::line::{Context, Line};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many lines of a task are kept, to stand before its failure.
const KEPT_OF_TASK: usize = 50;

/// How many lines of any other context.
const KEPT_OF_OTHER: usize = 5;

/// How far back the history goes, in lines: what is older has nothing to do with a failure.
const REACH: usize = 10_000;

/// The last lines of each context. It forgets, so it stays small however long the log.
#[derive(Debug, Default)]
pub(crate) struct History {
    order: VecDeque<Context>,
    kept: HashMap<Context, VecDeque<(usize, Arc<Line>)>>,
    count: usize,
}

impl History {
    /// Takes the next line.
    pub(crate) fn take(&mut self, line: &Arc<Line>) {
        if line.doubtful || line.message().is_empty() {
            return;
        }
        let of_context = self.kept.entry(line.context).or_default();
        of_context.push_back((self.count, Arc::clone(line)));
        if of_context.len() > limit(line.context) {
            of_context.pop_front();
        }
        self.order.push_back(line.context);
        self.count += 1;
        if self.order.len() > REACH {
            self.forget();
        }
    }

    /// Forgets the oldest line, if it is still kept.
    fn forget(&mut self) {
        let oldest = self.count - self.order.len();
        let Some(context) = self.order.pop_front() else { return };
        let Some(of_context) = self.kept.get_mut(&context) else { return };
        if of_context.front().is_some_and(|(number, _)| *number <= oldest) {
            of_context.pop_front();
        }
        if of_context.is_empty() {
            self.kept.remove(&context);
        }
    }

    /// What `context` printed last.
    pub(crate) fn of(&self, context: Context) -> Vec<Arc<Line>> {
        let kept = self.kept.get(&context);
        kept.into_iter().flatten().map(|(_, line)| Arc::clone(line)).collect()
    }
}

fn limit(context: Context) -> usize {
    match context {
        Context::Task(_) => KEPT_OF_TASK,
        Context::Bare | Context::Console | Context::Cpu(_) => KEPT_OF_OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets() {
        let mut history = History::default();
        for task in 0..2 * REACH {
            history.take(&Arc::new(Line::new(format!("[ 1.2][ T{task}] x").into())));
        }
        assert_eq!(history.kept.len(), REACH);
        assert_eq!(history.of(Context::Task(0)).len(), 0);
        assert_eq!(history.of(Context::Task(2 * REACH as u32 - 1)).len(), 1);
        for _ in 0..100 {
            history.take(&Arc::new(Line::new("[ 1.2][ C1] x".into())));
        }
        assert_eq!(history.of(Context::Cpu(1)).len(), KEPT_OF_OTHER);
    }
}
