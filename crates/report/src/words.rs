//! Lists of functions, by name or part of a name.
//!
//! A word fits any name that holds it. `^` and `$` tie it to the name's ends, `*` stands for
//! anything within, `#` for a digit.

use regex::Regex;

/// A compiled list.
#[derive(Debug)]
pub(crate) struct Words(Option<Regex>);

impl Words {
    /// Compiles the lists of a table; an empty list fits nothing.
    pub(crate) fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Words {
        let alternatives: Vec<String> = words.into_iter().map(alternative).collect();
        let regex = alternatives.join("|");
        Words((!regex.is_empty()).then(|| Regex::new(&regex).expect("the words are escaped")))
    }

    /// Whether a word of the list fits `name`.
    pub(crate) fn fit(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

fn alternative(word: &str) -> String {
    let (word, start) = word.strip_prefix('^').map_or((word, ""), |rest| (rest, "^"));
    let (word, end) = word.strip_suffix('$').map_or((word, ""), |rest| (rest, "$"));
    let body = regex::escape(word).replace(r"\*", ".*").replace(r"\#", "[0-9]");
    format!("{start}{body}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fit_parts_of_names() {
        let words = Words::new(["alloc", "^down$", "^crc#", "read_once_*nocheck"]);
        for (name, fits) in [
            ("kmalloc", true),
            ("down", true),
            ("down_read", false),
            ("crc32_be", true),
            ("xcrc32", false),
            ("crc_itu", false),
            ("read_once_word_nocheck", true),
        ] {
            assert_eq!(words.fit(name), fits, "{name}");
        }
        assert!(!Words::new([]).fit(""));
    }
}
