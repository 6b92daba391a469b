//! Terms: the most telling piece of ASCII in each, found in any case, and what must stand around it.
//!
//! A term without such a piece, such as a Cyrillic name, is left to [`super::spellings`].

use super::beginnings::Beginnings;
use crate::search::chars::is_mark;
use crate::search::wide::masks::{PRINT, Prints};

/// The shortest piece that tells anything, where a term has other characters too.
const MIN_PIECE: usize = 3;
/// How much of a term is compared.
const MAX_REST: usize = 40;

/// Characters that are not ASCII and become letters of ASCII when their case is folded.
pub(super) const FOLDING: [(&str, &str); 13] = [
    ("ß", "ss"),
    ("ẞ", "ss"),
    ("ſ", "s"),
    ("\u{212a}", "k"),
    ("ﬀ", "ff"),
    ("ﬁ", "fi"),
    ("ﬂ", "fl"),
    ("ﬃ", "ffi"),
    ("ﬄ", "ffl"),
    ("ﬅ", "st"),
    ("ﬆ", "st"),
    ("ŉ", "n"),
    ("ẚ", "a"),
];

/// Whether the bytes begin with a character of [`FOLDING`], as far as two bytes tell.
#[inline]
pub(super) fn may_fold(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xC3, 0x9F, ..]
            | [0xC5, 0xBF | 0x89, ..]
            | [0xE1, 0xBA, ..]
            | [0xE2, 0x84, ..]
            | [0xEF, 0xAC, ..]
    )
}

/// What stands before a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The beginning of a word.
    Word,
    /// This character of ASCII.
    Ascii(u8),
    /// Something that is not ASCII.
    Other,
}

/// A piece of a term.
#[derive(Debug)]
struct Piece {
    /// Letters and digits of ASCII, in lower case.
    text: Vec<u8>,
    before: Before,
    /// What follows in the folded term; one space stands for each gap.
    rest: Vec<char>,
}

/// Pieces of terms.
#[derive(Debug)]
pub(super) struct Terms {
    pieces: Vec<Piece>,
    /// The pieces of each of the eight groups.
    groups: [Vec<usize>; 8],
    prints: Prints,
    beginnings: Beginnings,
}

impl Terms {
    /// For folded terms, a space between words. Those without a telling piece come back.
    pub(super) fn new(terms: &[String]) -> (Self, Vec<&str>) {
        let mut pieces = Vec::new();
        let mut without = Vec::new();
        for term in terms {
            match piece_of(term) {
                Some(piece) => pieces.push(piece),
                None => without.push(term.as_str()),
            }
        }
        pieces.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        let mut groups: [Vec<usize>; 8] = Default::default();
        for index in 0..pieces.len() {
            if let Some(members) = groups.get_mut(Prints::group(index, pieces.len())) {
                members.push(index);
            }
        }
        let prints = Prints::new(
            pieces.iter().map(|piece: &Piece| piece.text.as_slice()),
            true,
        );
        let terms = Self {
            beginnings: Beginnings::new(pieces.iter().map(|piece: &Piece| piece.text.as_slice())),
            pieces,
            groups,
            prints,
        };
        (terms, without)
    }

    /// What the classifier looks for; `None` when there is nothing.
    pub(super) fn prints(&self) -> Option<&Prints> {
        (!self.pieces.is_empty()).then_some(&self.prints)
    }

    /// Texts that stand where a character of [`FOLDING`] takes the place of letters of a piece.
    pub(super) fn folding(&self) -> Vec<String> {
        let mut texts: Vec<String> = self
            .pieces
            .iter()
            .flat_map(|piece| FOLDING.iter().map(move |folding| (piece, folding)))
            .flat_map(|(piece, (c, ascii))| foldings_in(&piece.text, c, ascii))
            .collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// How far around a position a decision looks.
    pub(super) fn reach(&self) -> usize {
        self.pieces
            .iter()
            .map(|piece| piece.text.len() + 4)
            .max()
            .unwrap_or(0)
    }

    /// Whether a term may stand around the position, where the prints of a piece are.
    #[inline]
    pub(super) fn may_stand(&self, view: &[u8], at: usize) -> bool {
        self.beginnings
            .may_begin(view.get(at..).unwrap_or_default())
            && self.stands(view, at)
    }

    #[cold]
    fn stands(&self, view: &[u8], at: usize) -> bool {
        let groups = (0..PRINT).fold(0xFF, |groups, place| {
            let byte = view.get(at + place).copied().unwrap_or(b' ');
            groups & self.prints.groups(place, byte)
        });
        let members = self.groups.iter().enumerate();
        members
            .filter(|(group, _)| groups >> group & 1 == 1)
            .flat_map(|(_, members)| members)
            .filter_map(|index| self.pieces.get(*index))
            .any(|piece| piece.may_stand(view, at))
    }
}

/// A character that folds to `ascii`, with up to two letters on each side, wherever it may share letters with a piece.
fn foldings_in(piece: &[u8], c: &str, ascii: &str) -> Vec<String> {
    let ascii = ascii.as_bytes();
    let mut texts = Vec::new();
    // Before a piece stands no letter: it cannot begin within what a character folds to.
    for at in 0..piece.len() {
        let (before, rest) = piece.split_at(at);
        let length = ascii.len().min(rest.len());
        if ascii.get(..length) != rest.get(..length) {
            continue;
        }
        let behind = beside(rest.get(length..).unwrap_or_default().iter(), Side::Behind);
        for before in beside(before.iter().rev(), Side::Before) {
            texts.extend(behind.iter().map(|behind| format!("{before}{c}{behind}")));
        }
    }
    texts
}

/// On which side of a character letters stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Behind,
}

impl Side {
    /// Two texts, the one that is nearer to the character first.
    fn join(self, near: &str, far: &str) -> String {
        match self {
            Self::Before => format!("{far}{near}"),
            Self::Behind => format!("{near}{far}"),
        }
    }
}

/// All that may stand for the nearest two letters: themselves, and characters whose folding has one of them on the near side,
/// which may have the other one too.
fn beside<'l>(mut letters: impl Iterator<Item = &'l u8>, side: Side) -> Vec<String> {
    let foldings = |letter: u8| {
        let nearest = move |ascii: &str| match side {
            Side::Before => ascii.bytes().next_back(),
            Side::Behind => ascii.bytes().next(),
        };
        let foldings = FOLDING.iter();
        let foldings = foldings.filter(move |(_, ascii)| nearest(ascii) == Some(letter));
        foldings.map(|(c, _)| (*c).to_owned())
    };
    let Some(near) = letters.next().copied() else {
        return vec![String::new()];
    };
    let mut far = vec![String::new()];
    if let Some(letter) = letters.next().copied() {
        far = vec![char::from(letter).to_string()];
        far.extend(foldings(letter));
    }
    let near_text = char::from(near).to_string();
    let mut all: Vec<String> = far.iter().map(|far| side.join(&near_text, far)).collect();
    all.extend(foldings(near));
    all
}

/// The longest piece of a folded term.
fn piece_of(term: &str) -> Option<Piece> {
    let chars: Vec<char> = term.chars().collect();
    let mut best = 0..0;
    let mut start = 0;
    for at in 0..=chars.len() {
        let here = chars.get(at).copied();
        if here.is_some_and(|c| c.is_ascii_alphanumeric()) {
            continue;
        }
        // The letter under a mark may be one character with it.
        let has_mark = here.is_some_and(is_mark) && at > start;
        let end = if has_mark { at - 1 } else { at };
        if end > start && end - start > best.len() {
            best = start..end;
        }
        start = at + 1;
    }
    if best.is_empty() || (best.len() < MIN_PIECE && !term.is_ascii()) {
        return None;
    }
    let before = match best.start.checked_sub(1).and_then(|at| chars.get(at)) {
        None | Some(' ') => Before::Word,
        Some(c) => u8::try_from(*c)
            .ok()
            .filter(u8::is_ascii)
            .map_or(Before::Other, Before::Ascii),
    };
    Some(Piece {
        text: chars
            .get(best.clone())?
            .iter()
            .filter_map(|c| u8::try_from(*c).ok())
            .collect(),
        before,
        rest: chars
            .get(best.end..)?
            .iter()
            .take(MAX_REST)
            .copied()
            .collect(),
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether the byte begins something that only the exact search can read: an escape, a control character, or what is not ASCII.
fn is_beyond(byte: u8) -> bool {
    !byte.is_ascii() || byte < b' ' || matches!(byte, b'\\' | b'%' | b'&')
}

impl Piece {
    fn may_stand(&self, view: &[u8], at: usize) -> bool {
        let end = at + self.text.len();
        view.get(at..end)
            .is_some_and(|text| text.eq_ignore_ascii_case(&self.text))
            && self.may_begin(view, at)
            && self.may_go_on(view.get(end..).unwrap_or_default())
    }

    fn may_begin(&self, view: &[u8], at: usize) -> bool {
        let back = |n: usize| at.checked_sub(n).and_then(|at| view.get(at)).copied();
        let Some(previous) = back(1) else {
            return true;
        };
        match self.before {
            Before::Word => !is_word(previous) || back(2) == Some(b'\\'),
            // An escape stands for a character that its letter does not tell.
            Before::Ascii(c) => {
                previous.eq_ignore_ascii_case(&c) || !previous.is_ascii() || back(2) == Some(b'\\')
            }
            Before::Other => !previous.is_ascii(),
        }
    }

    fn may_go_on(&self, text: &[u8]) -> bool {
        let mut at = 0;
        let mut last = b'a';
        for c in &self.rest {
            let Some(byte) = text.get(at).copied().filter(|byte| !is_beyond(*byte)) else {
                return true;
            };
            if *c == ' ' {
                let gap = text
                    .iter()
                    .skip(at)
                    .take_while(|byte| matches!(byte, b' ' | b'+'))
                    .count();
                if gap == 0 {
                    return false;
                }
                at += gap;
            } else if u8::try_from(*c).is_ok_and(|c| c.eq_ignore_ascii_case(&byte)) {
                at += 1;
            } else {
                return false;
            }
            last = byte;
        }
        let is_cut = self.rest.len() == MAX_REST;
        is_cut || !is_word(last) || !text.get(at).is_some_and(|byte| is_word(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::chars::fold;

    fn terms(all: &[&str]) -> (Terms, Vec<String>) {
        let folded: Vec<String> = all
            .iter()
            .map(|term| {
                let mut folded = String::new();
                fold(term, &mut folded);
                folded
            })
            .collect();
        let (terms, without) = Terms::new(&folded);
        (terms, without.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn pieces_and_what_stands_around_them() {
        for (term, text, expected) in [
            ("Ana D\u{ed}az", "Ana D\u{ed}az", true),
            ("Ana D\u{ed}az", "ANA DI\u{301}AZ", true),
            ("Ana D\u{ed}az", "Ana+D%C3%ADaz", true),
            ("Ana D\u{ed}az", "Ana\u{a0}D", true),
            ("Ana D\u{ed}az", "Analytics", false),
            ("Ana D\u{ed}az", "banana D\u{ed}az", false),
            ("Ana D\u{ed}az", r"\nAna D\u00edaz", true),
            ("Ana D\u{ed}az", "Ana Diaz", false),
            ("Ana D\u{ed}az", "Ana Maria", false),
            ("Stra\u{df}e", "strasse.", true),
            ("Stra\u{df}e", "strassen", false),
            ("M\u{fc}ller", "M\u{fc}ller", true),
            ("M\u{fc}ller", "Mu\u{308}ller", true),
            ("M\u{fc}ller", "controller", false),
            ("O'Brien", "o'BRIEN", true),
            ("O'Brien", "o-brien", false),
            ("John Q Public", "john  q+public,", true),
            ("John Q Public", "john  q+publics,", false),
            ("ab", "x ab", true),
            ("ab", "x abc", false),
        ] {
            let (terms, without) = terms(&[term]);
            assert!(without.is_empty(), "{term}");
            let found = (0..text.len()).any(|at| terms.may_stand(text.as_bytes(), at));
            assert_eq!(found, expected, "{term} {text}");
        }
    }

    #[test]
    fn what_has_no_piece_comes_back() {
        let all = ["Мария Иванова", "Ñoño", "田中太郎", "Ana"];
        assert_eq!(terms(&all).1.len(), 3);
    }

    /// Every character that folds to a letter or digit of ASCII without a mark on it is known.
    #[test]
    fn folding_is_complete() {
        let mut folded = String::new();
        for c in ('\u{80}'..='\u{2ffff}').filter(|c| !c.is_ascii()) {
            folded.clear();
            fold(c.encode_utf8(&mut [0; 4]), &mut folded);
            let mut chars = folded.chars().peekable();
            let mut is_plain = false;
            while let Some(part) = chars.next() {
                is_plain |=
                    part.is_ascii_alphanumeric() && !chars.peek().is_some_and(|c| is_mark(*c));
            }
            let known = FOLDING.iter().find(|(known, _)| known.chars().eq([c]));
            let is_told = may_fold(c.encode_utf8(&mut [0; 4]).as_bytes());
            assert!(is_told || known.is_none(), "{c:?}");
            assert_eq!(is_plain, known.is_some(), "{c:?} {folded:?}");
            let ascii = folded.replace(|c: char| !c.is_ascii(), "");
            assert!(known.is_none_or(|(_, known)| ascii == *known), "{c:?}");
        }
    }

    #[test]
    fn folding_that_matters() {
        let folding = |term: &str| terms(&[term]).0.folding();
        for (term, texts, others) in [
            (
                "strasse",
                &["raße", "raẞe", "ﬆra", "ſtr", "raſse", "raſſ", "asſe"][..],
                &["ß", "aß", "ßt", "öß"][..],
            ),
            ("kurt", &["\u{212a}ur"], &["\u{212a}", "\u{212a}u"]),
            ("fin", &["ﬁn", "fiŉ", "ﬁŉ"], &["ﬂ", "ﬀi", "ﬃn"]),
            (
                "sebastian",
                &["ſeb", "baſti", "baﬅia"],
                &["ße", "ẞe", "ſe", "aſt"],
            ),
            ("nass", &["naß"], &["ß", "aß"]),
        ] {
            let all = folding(term);
            assert!(
                texts.iter().all(|text| all.iter().any(|it| it == text)),
                "{all:?}"
            );
            assert!(
                !others.iter().any(|text| all.iter().any(|it| it == text)),
                "{all:?}"
            );
        }
    }
}
