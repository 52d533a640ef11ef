//! The tables, made ready to use: every pattern compiled once, when it is first needed.

use crate::family::{Family, Form, Need, Pick, Step, Trail, World};
use crate::pattern::{Found, Pattern};
use crate::tables::FAMILIES;
use crate::tables::{innocent, userspace};
use crate::words::Words;
use std::sync::{LazyLock, OnceLock};

/// A form with its patterns compiled.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) form: &'static Form,
    pub(crate) headline: Pattern,
    pub(crate) body: Vec<CompiledNeed>,
    pub(crate) trail: Option<CompiledTrail>,
}

/// A line that a report has to hold.
#[derive(Debug)]
pub(crate) enum CompiledNeed {
    Later(Pattern),
    Next(Pattern),
}

/// A trail with its patterns compiled.
#[derive(Debug)]
pub(crate) struct CompiledTrail {
    pub(crate) steps: Vec<CompiledStep>,
    pub(crate) otherwise: Vec<CompiledStep>,
    innocent: Words,
    pub(crate) pick: Pick,
    pub(crate) world: World,
}

/// A step of a trail.
#[derive(Debug)]
pub(crate) enum CompiledStep {
    Line(Pattern),
    InstructionPointer,
    CallTrace,
    Trace,
}

static FORMS: LazyLock<Vec<OnceLock<Vec<Compiled>>>> =
    LazyLock::new(|| FAMILIES.iter().map(|_| OnceLock::new()).collect());

/// The forms of a family, in the order of its table.
pub(crate) fn of(family: &'static Family) -> &'static [Compiled] {
    let place = FAMILIES.iter().position(|other| std::ptr::eq(other, family));
    let place = place.expect("every family is in the table");
    FORMS[place].get_or_init(|| family.forms.iter().copied().flatten().map(Compiled::new).collect())
}

impl Compiled {
    fn new(form: &'static Form) -> Compiled {
        let need = |need: &Need| match need {
            Need::Later(pattern) => CompiledNeed::Later(Pattern::new(pattern)),
            Need::Next(pattern) => CompiledNeed::Next(Pattern::new(pattern)),
        };
        Compiled {
            form,
            headline: Pattern::new(form.headline),
            body: form.body.iter().map(need).collect(),
            trail: form.trail.as_ref().map(CompiledTrail::new),
        }
    }
}

impl CompiledTrail {
    fn new(trail: &Trail) -> CompiledTrail {
        let steps = |steps: &[Step]| steps.iter().map(CompiledStep::new).collect();
        CompiledTrail {
            steps: steps(trail.steps),
            otherwise: steps(trail.otherwise),
            innocent: Words::new(trail.innocent.iter().copied()),
            pick: trail.pick,
            world: trail.world,
        }
    }

    /// Whether `function` may be the guilty one.
    pub(crate) fn suspects(&self, function: &str) -> bool {
        static KERNEL: LazyLock<Words> =
            LazyLock::new(|| Words::new(innocent::NEVER_GUILTY.iter().copied().flatten().copied()));
        static USER: LazyLock<Words> =
            LazyLock::new(|| Words::new(userspace::NEVER_GUILTY.iter().copied()));
        let never = match self.world {
            World::Kernel => &KERNEL,
            World::User => &USER,
        };
        !never.fit(function) && !self.innocent.fit(function)
    }
}

impl CompiledStep {
    fn new(step: &Step) -> CompiledStep {
        match step {
            Step::Line(pattern) => CompiledStep::Line(Pattern::new(pattern)),
            Step::InstructionPointer => CompiledStep::InstructionPointer,
            Step::CallTrace => CompiledStep::CallTrace,
            Step::Trace => CompiledStep::Trace,
        }
    }

    /// Whether `line` is the one that the step looks for; the frame it names, if it is.
    pub(crate) fn find<'t>(&self, line: &'t str) -> Option<Option<&'t str>> {
        static IP: LazyLock<Pattern> = LazyLock::new(|| Pattern::new("{ip}"));
        const TRACES: [&str; 3] = ["Call Trace:", "Call trace:", "Backtrace:"];
        let frame = |found: Found<'_, 't>| found.frame();
        match self {
            CompiledStep::Line(pattern) => pattern.read(line).map(frame),
            CompiledStep::InstructionPointer => IP.read(line).map(frame),
            CompiledStep::CallTrace => {
                TRACES.iter().any(|words| line.contains(words)).then_some(None)
            }
            CompiledStep::Trace => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_tables_compiles_and_every_hole_is_filled() {
        for family in FAMILIES {
            for compiled in of(family) {
                let form = compiled.form;
                let patterns = match form.body {
                    [] => vec![form.headline],
                    body => body.iter().map(|(Need::Later(p) | Need::Next(p))| *p).collect(),
                };
                for template in [form.title].iter().chain(form.alt).chain(&form.frameless) {
                    for hole in template.split('{').skip(1).filter_map(|t| t.split('}').next()) {
                        let filled = match hole {
                            "frame" | "origin" | "pair" => form.trail.is_some(),
                            _ => patterns.iter().any(|p| p.contains(&format!("{{{hole}:"))),
                        };
                        assert!(filled, "{}: nothing fills {hole}", form.headline);
                    }
                }
            }
        }
    }
}
