//! A set of small numbers, dense, for ancestry.

/// A set of node numbers as a bit vector; words past its end are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    words: Vec<u64>,
}

impl Set {
    /// Every number below `len`.
    pub(crate) fn full(len: usize) -> Set {
        let mut set = Set { words: vec![u64::MAX; len / 64] };
        if !len.is_multiple_of(64) {
            set.words.push((1 << (len % 64)) - 1);
        }
        set
    }

    pub(crate) fn insert(&mut self, number: usize) {
        if self.words.len() <= number / 64 {
            self.words.resize(number / 64 + 1, 0);
        }
        self.words[number / 64] |= 1 << (number % 64);
    }

    pub(crate) fn contains(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(crate) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn union(&mut self, other: &Set) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    /// The members that are also in `other`, and those that are not.
    pub(crate) fn split(&self, other: &Set) -> (Set, Set) {
        let theirs = other.words.iter().copied().chain(std::iter::repeat(0));
        let both = self.words.iter().zip(theirs);
        let (inside, outside): (Vec<u64>, Vec<u64>) =
            both.map(|(mine, theirs)| (mine & theirs, mine & !theirs)).unzip();
        (Set { words: inside }, Set { words: outside })
    }

    /// How many members are also in `other`, looking only at the words in `span`.
    pub(crate) fn count_common(&self, other: &Set, span: &std::ops::Range<usize>) -> usize {
        let end = span.end.min(self.words.len()).min(other.words.len());
        let start = span.start.min(end);
        let pairs = self.words[start..end].iter().zip(&other.words[start..end]);
        pairs.map(|(mine, theirs)| (mine & theirs).count_ones() as usize).sum()
    }

    /// The words that hold any member at all.
    pub(crate) fn span(&self) -> std::ops::Range<usize> {
        let start = self.words.iter().position(|&word| word != 0).unwrap_or(0);
        let end = self.words.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1);
        start..end
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_counts() {
        let all = Set::full(130);
        assert_eq!((all.len(), all.span()), (130, 0..3));
        let mut some = Set::default();
        for number in [3, 64, 129] {
            some.insert(number);
        }
        let (inside, outside) = all.split(&some);
        assert_eq!(inside.iter().collect::<Vec<_>>(), [3, 64, 129]);
        assert_eq!(outside.len(), 127);
        assert_eq!(all.count_common(&some, &(1..3)), 2);
        assert!(some.contains(64) && !some.contains(65) && !some.contains(4000));
    }
}
