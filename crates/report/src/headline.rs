//! Finds the lines that announce a failure.

use crate::family::Family;
use crate::pattern::Pattern;
use crate::tables::FAMILIES;
use regex::Regex;
use std::sync::LazyLock;

/// Finds headlines: one search for the words of every family, then the exceptions of those found.
struct Finder {
    words: Regex,
    except: Vec<Vec<Pattern>>,
}

static FINDER: LazyLock<Finder> = LazyLock::new(|| {
    let words: Vec<String> = FAMILIES.iter().map(|family| regex::escape(family.words)).collect();
    Finder {
        words: Regex::new(&words.join("|")).expect("the words are escaped"),
        except: FAMILIES
            .iter()
            .map(|family| family.except.iter().map(|pattern| Pattern::new(pattern)).collect())
            .collect(),
    }
});

/// The family whose failure `line` announces. Where several do, the first of the table is meant:
/// the table goes from the cause to what follows from it.
pub(crate) fn family_of(line: &str) -> Option<&'static Family> {
    if !FINDER.words.is_match(line) {
        return None;
    }
    let announces = |(family, except): &(&&'static Family, &Vec<Pattern>)| {
        line.contains(family.words) && !except.iter().any(|pattern| pattern.fits(line))
    };
    FAMILIES.iter().zip(&FINDER.except).find(announces).map(|(family, _)| *family)
}
