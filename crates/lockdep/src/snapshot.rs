//! What a validator has seen, as data: for graphs, for documents, and to compare runs.

use crate::class::Traits;
use crate::context;
use crate::graph::Graph;
use crate::trace::shorten;
use crate::usage::{Kind, characters, contexts};
use crate::validator::Validator;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The classes in use and the dependencies between them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Snapshot {
    /// What is taken outside comes first, as far as the edges allow.
    pub classes: Vec<SeenClass>,
    /// What was seen to be taken under what, sorted.
    pub edges: Vec<SeenEdge>,
}

/// One class that was used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SeenClass {
    /// Its name, with `/N` for a subclass.
    pub name: String,
    /// The characters that a report has in braces.
    pub usage: String,
    /// Names of the contexts that take it.
    pub taken_in: Vec<String>,
    /// Names of the contexts that can break in while it is held.
    pub open_to: Vec<String>,
    /// What was declared of it.
    pub declared: Traits,
    /// Where it was declared.
    pub declared_at: Option<String>,
}

/// `inner` was taken while `outer` was held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct SeenEdge {
    /// The class held.
    pub outer: String,
    /// The class taken.
    pub inner: String,
    /// Of `ER`, `EN`, `SR`, `SN`: whether the outer was held exclusively or shared, and whether the
    /// inner was taken as a recursive reader or not.
    pub kinds: String,
    /// Where the inner was taken the first time.
    pub first_at: Option<String>,
}

impl Validator {
    /// What was seen so far.
    pub fn snapshot(&self) -> Snapshot {
        self.with_graph(|graph| Snapshot::of(graph))
    }
}

impl Snapshot {
    fn of(graph: &Graph) -> Snapshot {
        let shown = context::shown();
        let names = |bits: u8| {
            let set = shown.iter().filter(|context| bits & 1 << context.index != 0);
            set.map(|context| context.name.to_owned()).collect()
        };
        let name = |node: u32| {
            let key = graph.nodes[node as usize].key;
            match key.subclass() {
                0 => graph.info(key).name.clone(),
                subclass => format!("{}/{subclass}", graph.info(key).name),
            }
        };
        let place =
            |site: &std::panic::Location<'_>| format!("{}:{}", shorten(site.file()), site.line());
        let used = (0..graph.nodes.len() as u32).filter(|&id| graph.nodes[id as usize].usages != 0);
        let classes = used.map(|id| {
            let node = &graph.nodes[id as usize];
            let info = graph.info(node.key);
            SeenClass {
                name: name(id),
                usage: characters(node.usages, &shown),
                taken_in: names(contexts(node.usages, Kind::In)[0]),
                open_to: names(contexts(node.usages, Kind::Open)[0]),
                declared: info.traits,
                declared_at: info.site.map(place),
            }
        });
        let seen = graph.edges.iter().filter(|edge| !edge.declared);
        let edges: BTreeSet<SeenEdge> = seen
            .map(|edge| SeenEdge {
                outer: name(edge.from),
                inner: name(edge.to),
                kinds: edge.dep.letters(),
                first_at: edge.site.map(place),
            })
            .collect();
        let mut snapshot =
            Snapshot { classes: classes.collect(), edges: edges.into_iter().collect() };
        snapshot.sort();
        snapshot
    }

    /// Puts the classes into an order that agrees with the edges where it can; ties by name.
    fn sort(&mut self) {
        let mut waiting: BTreeMap<&str, usize> =
            self.classes.iter().map(|class| (class.name.as_str(), 0)).collect();
        for edge in &self.edges {
            *waiting.entry(&edge.inner).or_default() += 1;
        }
        let mut place = BTreeMap::new();
        while let Some((&next, _)) = waiting.iter().min_by_key(|&(name, count)| (*count, *name)) {
            waiting.remove(next);
            place.insert(next.to_owned(), place.len());
            for edge in self.edges.iter().filter(|edge| edge.outer == next) {
                if let Some(count) = waiting.get_mut(edge.inner.as_str()) {
                    *count = count.saturating_sub(1);
                }
            }
        }
        self.classes.sort_by_key(|class| place.get(&class.name).copied());
    }

    /// The classes as a directed graph in the DOT language: an arrow from what is held to what is
    /// taken. Classes that a context takes are filled.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph locks {\n    node [shape=box, fontname=monospace];\n");
        for class in &self.classes {
            let style = if class.taken_in.is_empty() { "" } else { ", style=filled" };
            let (name, usage) = (quoted(&class.name), &class.usage);
            let _ = writeln!(dot, "    \"{name}\" [label=\"{name}\\n{{{usage}}}\"{style}];");
        }
        for edge in &self.edges {
            let (outer, inner) = (quoted(&edge.outer), quoted(&edge.inner));
            let _ = writeln!(dot, "    \"{outer}\" -> \"{inner}\" [label=\"{}\"];", edge.kinds);
        }
        dot.push_str("}\n");
        dot
    }
}

fn quoted(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}
