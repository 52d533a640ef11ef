//! Which names a tree knows: the words of all its files, kept by object.

use crate::Result;
use ringfence_backport::fingerprint::line_hash;
use ringfence_backport::repo::blobs::Blobs;
use std::collections::{HashMap, HashSet};

/// Files longer than this hold data.
const FILE_MAX: usize = 400_000;

#[derive(Default)]
pub(crate) struct Names {
    /// A tree's subtrees and files.
    trees: HashMap<String, (Vec<String>, Vec<String>)>,
    /// Hashes of a file's words, sorted.
    files: HashMap<String, Box<[u32]>>,
}

impl Names {
    /// Those of `names` that no file of the tree `name` holds.
    pub(crate) fn lacking(
        &mut self,
        blobs: &mut Blobs,
        name: &str,
        names: &[String],
    ) -> Result<Vec<String>> {
        let mut open: Vec<(u32, &String)> =
            names.iter().filter_map(|name| Some((line_hash(name)?, name))).collect();
        let mut stack = vec![name.to_owned()];
        let mut seen = HashSet::new();
        while let Some(tree) = stack.pop().filter(|_| !open.is_empty()) {
            if !seen.insert(tree.clone()) {
                continue;
            }
            self.learn(blobs, &tree)?;
            let Some((trees, files)) = self.trees.get(&tree) else { continue };
            stack.extend(trees.iter().cloned());
            for words in files.iter().filter_map(|file| self.files.get(file)) {
                open.retain(|(hash, _)| words.binary_search(hash).is_err());
            }
        }
        Ok(open.into_iter().map(|(_, name)| name.clone()).collect())
    }

    fn learn(&mut self, blobs: &mut Blobs, tree: &str) -> Result<()> {
        if self.trees.contains_key(tree) {
            return Ok(());
        }
        let (mut trees, mut files) = (Vec::new(), Vec::new());
        for entry in blobs.tree(tree).ok().flatten().unwrap_or_default() {
            if entry.is_tree {
                trees.push(entry.id);
                continue;
            }
            if !self.files.contains_key(&entry.id) {
                let text = blobs.get(&entry.id).ok().flatten().unwrap_or_default();
                self.files.insert(entry.id.clone(), words(&text));
            }
            files.push(entry.id);
        }
        // The name of a commit's tree changes meaning, that of an object does not.
        self.trees.insert(tree.to_owned(), (trees, files));
        Ok(())
    }
}

fn words(text: &[u8]) -> Box<[u32]> {
    if text.len() > FILE_MAX || text.contains(&0) {
        return Box::default();
    }
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut found: Vec<u32> = text
        .split(|byte| !word(byte))
        .filter(|word| word.len() >= 3 && !word[0].is_ascii_digit())
        .filter_map(|word| line_hash(std::str::from_utf8(word).ok()?))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_boxed_slice()
}
