//! Texts that fold to the beginning of a term which has no telling piece of ASCII: Cyrillic, Greek, Chinese names.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::search::chars::{fold, is_mark};

/// How many folded characters a beginning has.
const MAX_CHARS: usize = 3;
/// How many spellings one term may have before its beginning is made shorter.
const MAX_SPELLINGS: usize = 64;

/// A character and what it folds to.
type Fold = (char, Vec<char>);

/// Every character, by the first one of what it folds to.
static FOLDS: LazyLock<HashMap<char, Vec<Fold>>> = LazyLock::new(|| {
    let mut folds: HashMap<char, Vec<Fold>> = HashMap::new();
    let mut folded = String::new();
    // Nothing beyond has case or decomposes.
    for c in '\0'..='\u{2ffff}' {
        folded.clear();
        fold(c.encode_utf8(&mut [0; 4]), &mut folded);
        let all: Vec<char> = folded.chars().collect();
        let Some(first) = all.first().copied() else {
            continue;
        };
        if c.is_ascii() || all != [c] {
            folds.entry(first).or_default().push((c, all));
        }
    }
    folds
});

/// All texts that fold to the beginning of a folded term.
pub(super) fn spellings(folded: &str) -> Vec<String> {
    let beginning = beginning(folded);
    (1..=beginning.len())
        .rev()
        .filter_map(|length| beginning.get(..length))
        // A letter without its mark would be another one.
        .filter(|part| part.len() == 1 || !beginning.get(part.len()).is_some_and(|c| is_mark(*c)))
        .map(|part| {
            let mut all = Vec::new();
            spell(part, String::new(), &mut all);
            all
        })
        .find(|all| all.len() <= MAX_SPELLINGS)
        .unwrap_or_else(|| {
            let mut all = Vec::new();
            spell(
                beginning.get(..1).unwrap_or_default(),
                String::new(),
                &mut all,
            );
            all
        })
}

/// The first characters, up to a letter with several marks: their order may differ.
fn beginning(folded: &str) -> Vec<char> {
    let is_letter = |c: &char| c.is_alphanumeric();
    let start = folded
        .find(|c| is_letter(&c))
        .or_else(|| folded.find(|c: char| !c.is_ascii()))
        .unwrap_or(0);
    let rest = folded.get(start..).unwrap_or_default();
    let chars: Vec<char> = rest.chars().take(MAX_CHARS + 2).collect();
    let mut kept = chars.clone();
    kept.truncate(MAX_CHARS);
    // A letter whose marks are not all there is left out, unless it is the first one. An iota may be a mark below the letter:
    // folding makes a letter of it.
    for at in 0..chars.len() {
        let marks = chars
            .iter()
            .skip(at + 1)
            .take_while(|c| is_mark(**c) || **c == 'ι')
            .count();
        let is_base = chars.get(at).is_some_and(|c| !is_mark(*c));
        if is_base && (marks > 1 || at + marks >= MAX_CHARS) {
            kept.truncate(at.max(1));
            break;
        }
    }
    // Signs may be escaped.
    let sign = kept.iter().position(|c| !is_letter(c) && !is_mark(*c));
    kept.truncate(sign.unwrap_or(kept.len()).max(1));
    kept
}

/// Writes all that folds to the characters, or to more that begins with them.
fn spell(rest: &[char], before: String, all: &mut Vec<String>) {
    if all.len() > MAX_SPELLINGS * 64 {
        return;
    }
    let Some(first) = rest.first() else {
        all.push(before);
        return;
    };
    let itself = (!first.is_ascii()).then(|| (*first, vec![*first]));
    let folds = FOLDS.get(first).into_iter().flatten();
    for (c, folded) in itself.iter().chain(folds) {
        let length = folded.len().min(rest.len());
        if folded.get(..length) == rest.get(..length) {
            let mut text = before.clone();
            text.push(*c);
            spell(rest.get(length..).unwrap_or_default(), text, all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(term: &str) -> Vec<String> {
        let mut folded = String::new();
        fold(term, &mut folded);
        spellings(&folded)
    }

    #[test]
    fn all_spellings_of_a_beginning() {
        let mut maria = of("Мар");
        maria.sort();
        assert_eq!(maria.len(), 8, "{maria:?}");
        assert!(maria.contains(&"МАР".to_owned()) && maria.contains(&"мар".to_owned()));
        assert!(of("田中太郎").contains(&"田中太".to_owned()));
        for (term, texts) in [
            ("Ñoño", &["Ñ", "ñ", "n\u{303}", "N\u{303}"][..]),
            ("Йод", &["Й", "й", "и\u{306}"]),
            ("Ωμέγα", &["Ωμ", "ωμ", "\u{2126}μ"]),
            ("한국", &["한"]),
            ("Łódź", &["łó", "Łó", "ŁO\u{301}"]),
        ] {
            let all = of(term);
            for text in texts {
                let is_there = all.iter().any(|known| known.starts_with(text));
                assert!(is_there, "{term} {text} {all:?}");
            }
        }
    }
}
