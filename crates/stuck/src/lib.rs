//! Where a process that does not go on is: its threads and those of its children, each with the system call
//! that it is in and, for whoever may read it, the kernel's stack.
//!
//! For runs that nobody watches: what must be killed for taking too long leaves at least this. It reads
//! `/proc` and touches nobody; stacks of user space are a debugger's to show.
//!
//! ```
//! let me = std::process::id();
//! assert!(ringfence_stuck::threads(me).contains(&format!("{me}/{me} ")));
//! assert_eq!(ringfence_stuck::family(me)[0], me);
//! ```

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// The threads of a process, by their directories; none of one that is gone.
fn tasks(process: u32) -> Vec<PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let mut tasks: Vec<PathBuf> =
        tasks.into_iter().flatten().flatten().map(|task| task.path()).collect();
    tasks.sort();
    tasks
}

/// What a file of a thread says; nothing if that cannot be read.
fn said(task: &Path, name: &str) -> String {
    read_to_string(task.join(name)).unwrap_or_default().trim().to_owned()
}

/// A process and all that come from it, as far as their parents live, parents first.
pub fn family(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut at = 0;
    while let Some(parent) = all.get(at).copied() {
        for task in tasks(parent) {
            let children = said(&task, "children");
            all.extend(children.split(' ').filter_map(|id| id.parse::<u32>().ok()));
        }
        at += 1;
    }
    all
}

/// A line for each thread of a process's [`family`]: its process and its own number, its name, the kernel's
/// function in which it sleeps, the system call with its arguments; then the kernel's stack.
pub fn threads(process: u32) -> String {
    let mut text = String::new();
    for member in family(process) {
        for task in tasks(member) {
            let id = task.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let [name, sleeps, call, stack] =
                ["comm", "wchan", "syscall", "stack"].map(|file| said(&task, file));
            text += &format!("{member}/{id} {name} | {sleeps} | {call}\n");
            stack.lines().for_each(|line| text += &format!("    {line}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_is_told_of_with_its_call() {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let line = format!("{}/{} cat | ", child.id(), child.id());
        // Until it is in its read, it may be anywhere.
        let begin = std::time::Instant::now();
        let mut text = String::new();
        let reads = |text: &str| {
            let found = text.lines().find(|at| at.starts_with(&line));
            found.is_some_and(|at| {
                at.rsplit(" | ").next().is_some_and(|call| call.starts_with("0 "))
            })
        };
        while !reads(&text) && begin.elapsed().as_secs() < 20 {
            text = super::threads(std::process::id());
        }
        let family = super::family(std::process::id());
        drop(child.stdin.take());
        child.wait().expect("cat ends");
        assert!(reads(&text), "{line} in read is not in\n{text}");
        assert!(family.contains(&child.id()));
        assert!(!super::threads(child.id()).contains(" cat "));
    }
}
