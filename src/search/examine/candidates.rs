//! Where identifiers may stand in a record as it is, so that nearly all of its strings need not be asked.

use std::ops::Range;

/// A record with more of them is asked string by string.
const MAX: usize = 32;

/// The places of one record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Candidates {
    /// Everywhere, as far as is known.
    Anywhere,
    /// Only where one of these lies.
    At(Vec<Range<usize>>),
}

impl Candidates {
    /// None: nobody stands there as it is.
    pub(super) const NONE: Self = Self::At(Vec::new());

    /// Takes the places, unless they are too many.
    pub(super) fn new(mut places: impl Iterator<Item = Range<usize>>) -> Self {
        let few = places.by_ref().take(MAX).collect();
        match places.next() {
            Some(_) => Self::Anywhere,
            None => Self::At(few),
        }
    }

    /// Whether one may lie in a part of the record.
    pub(super) fn may_lie_in(&self, part: &Range<usize>) -> bool {
        match self {
            Self::Anywhere => true,
            Self::At(places) => places
                .iter()
                .any(|place| part.start <= place.start && place.end <= part.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_of_parts() {
        let some = Candidates::new([3..11, 20..24].into_iter());
        for (part, expected) in [(3..11, true), (0..30, true), (4..30, true), (4..22, false)] {
            assert_eq!(some.may_lie_in(&part), expected, "{part:?}");
        }
        assert!(!Candidates::NONE.may_lie_in(&(0..30)));
        assert_eq!(Candidates::new(std::iter::empty()), Candidates::NONE);
        let many = Candidates::new((0..=MAX).map(|at| at..at + 1));
        assert_eq!(many, Candidates::Anywhere);
        assert!(many.may_lie_in(&(50..51)));
    }
}
