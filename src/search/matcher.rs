//! All identifiers of all subjects in one automaton, and the exact check of each candidate that it finds.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memchr;
use uuid::Uuid;

use super::chars::{after, before, fold, is_letter_or_digit, is_mark, is_unspaced, lower};
use super::escapes::{Beside, Cut, Escaping};
use super::{Error, Identifiers, Kind};

/// The longest identifier, in bytes.
const MAX_IDENTIFIER: usize = 4096;
/// How many white space characters may stand between two words of a term.
const MAX_GAP: usize = 64;

/// Whose identifier a rule finds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) subject: usize,
    pub(super) identifier: usize,
    pub(super) kind: Kind,
}

/// How an identifier was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A UUID, an address, a term or a literal, with its own boundaries checked.
    Itself,
    /// A user ID that is the whole text.
    Whole {
        /// It is short or of digits only.
        is_weak: bool,
    },
    /// A user ID as a token of the text, or anything else where it is in doubt.
    Token,
}

/// What is looked at in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// A text of ASCII only: every kind.
    Ascii,
    /// Any other text as it is: what is compared exactly.
    Raw,
    /// Its lower case: addresses.
    Lower,
    /// Its folded form: terms.
    Folded,
}

#[derive(PartialEq, Eq)]
enum Check {
    Uuid(u128),
    UserId { exact: String, is_weak: bool },
    Email(usize),
    Term(Vec<String>),
    Literal(String),
}

struct Rule {
    check: Check,
    owners: Vec<Owner>,
}

/// The automaton over the identifiers, and the rules its patterns stand for.
#[derive(Default)]
pub(super) struct Matcher {
    automaton: Option<AhoCorasick>,
    rules: Vec<Rule>,
    /// The rules of each pattern of the automaton.
    by_pattern: Vec<Vec<usize>>,
    has_emails: bool,
    has_terms: bool,
}

impl Matcher {
    /// Builds it for all subjects.
    pub(super) fn new(subjects: &[Identifiers]) -> Result<Self, Error> {
        let mut builder = Builder::default();
        for (subject, identifiers) in subjects.iter().enumerate() {
            builder.add(subject, identifiers)?;
        }
        let automaton = if builder.patterns.is_empty() {
            None
        } else {
            let automaton = AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .build(&builder.patterns)
                .map_err(|_error| Error::TooMuch)?;
            Some(automaton)
        };
        Ok(Self {
            automaton,
            has_emails: builder
                .rules
                .iter()
                .any(|rule| matches!(rule.check, Check::Email(_))),
            has_terms: builder
                .rules
                .iter()
                .any(|rule| matches!(rule.check, Check::Term(_))),
            rules: builder.rules,
            by_pattern: builder.by_pattern,
        })
    }

    /// Where identifiers may stand in a text as it is, without decoding or folding: no other place has one, or the first word of one.
    pub(super) fn candidates(&self, text: &str) -> impl Iterator<Item = Range<usize>> {
        let found = self.automaton.iter();
        let found = found.flat_map(move |automaton| automaton.find_overlapping_iter(text));
        found.map(|candidate| candidate.range())
    }

    /// Finds every identifier of a text that stands there without decoding. `ends` tells what may stand beside a find.
    ///
    /// `as_it_is` may be left out where none of the [`Self::candidates`] lies in it.
    pub(super) fn find(
        &self,
        text: &str,
        ends: (Escaping, Cut),
        as_it_is: bool,
        scratch: &mut String,
        mut found: impl FnMut(&[Owner], Found),
    ) {
        let is_ascii = text.is_ascii();
        if as_it_is {
            let pass = if is_ascii { Pass::Ascii } else { Pass::Raw };
            self.run(text, ends, pass, &mut found);
        }
        if !is_ascii && self.has_emails && memchr(b'@', text.as_bytes()).is_some() {
            scratch.clear();
            lower(text, scratch);
            self.run(scratch, ends, Pass::Lower, &mut found);
        }
        if !is_ascii && self.has_terms {
            scratch.clear();
            fold(text, scratch);
            self.run(scratch, ends, Pass::Folded, &mut found);
        }
    }

    fn run(
        &self,
        text: &str,
        ends: (Escaping, Cut),
        pass: Pass,
        found: &mut impl FnMut(&[Owner], Found),
    ) {
        let Some(automaton) = &self.automaton else {
            return;
        };
        for candidate in automaton.find_overlapping_iter(text) {
            let rules = self.by_pattern.get(candidate.pattern().as_usize());
            for rule in rules
                .into_iter()
                .flatten()
                .filter_map(|at| self.rules.get(*at))
            {
                let (start, end) = (candidate.start(), candidate.end());
                if let Some(what) = rule.check.verify(text, start, end, ends, pass) {
                    found(&rule.owners, what);
                }
            }
        }
    }
}

impl Check {
    /// Whether the candidate is the identifier and stands alone.
    fn verify(
        &self,
        text: &str,
        start: usize,
        end: usize,
        (escaping, cut): (Escaping, Cut),
        pass: Pass,
    ) -> Option<Found> {
        let is_as_it_is = matches!(pass, Pass::Ascii | Pass::Raw);
        let judge = |end, sure| match escaping.beside(text, start, end) {
            Beside::Nothing if cut.touches(start, end, text.len()) => Some(Found::Token),
            Beside::Nothing => Some(sure),
            Beside::Hidden => None,
            Beside::Doubtful => Some(Found::Token),
        };
        match self {
            Self::Uuid(uuid) if is_as_it_is => {
                let end = uuid_at(text.as_bytes(), start, *uuid)?;
                judge(end, Found::Itself)
            }
            Self::UserId { exact, is_weak } if is_as_it_is => {
                if text.get(start..end)? != exact {
                    None
                } else if start == 0 && end == text.len() && cut == Cut::NONE {
                    Some(Found::Whole { is_weak: *is_weak })
                } else {
                    let ends = |c: Option<char>| {
                        !c.is_some_and(|c| is_letter_or_digit(c) || matches!(c, '.' | '_' | '-'))
                    };
                    let is_token = !is_weak && ends(before(text, start)) && ends(after(text, end));
                    is_token.then(|| judge(end, Found::Token)).flatten()
                }
            }
            Self::Email(length)
                if matches!(pass, Pass::Ascii | Pass::Lower) && *length == end - start =>
            {
                let is_bounded = email_may_begin(text, start) && email_may_end(text, end);
                is_bounded.then(|| judge(end, Found::Itself)).flatten()
            }
            Self::Term(words) if matches!(pass, Pass::Ascii | Pass::Folded) => {
                let end = term_at(text, start, words)?;
                let is_bounded = term_may_begin(text, start) && term_may_end(text, end);
                is_bounded.then(|| judge(end, Found::Itself)).flatten()
            }
            Self::Literal(exact) if is_as_it_is => {
                (text.get(start..end)? == exact).then_some(Found::Itself)
            }
            Self::Uuid(_)
            | Self::UserId { .. }
            | Self::Email(_)
            | Self::Term(_)
            | Self::Literal(_) => None,
        }
    }
}

/// Where the UUID ends that begins at the position, unless it is another one or part of a longer run of hex digits.
fn uuid_at(bytes: &[u8], start: usize, expected: u128) -> Option<usize> {
    let is_hex = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_hexdigit)
    };
    let hyphens = bytes.get(start + 8) == Some(&b'-');
    let end = start + if hyphens { 36 } else { 32 };
    if is_hex(start.checked_sub(1)) || is_hex(Some(end)) {
        return None;
    }
    let mut value = 0_u128;
    for (at, byte) in bytes.get(start..end)?.iter().enumerate() {
        if hyphens && matches!(at, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
        } else {
            value = value << 4 | u128::from(char::from(*byte).to_digit(16)?);
        }
    }
    (value == expected).then_some(end)
}

fn email_may_begin(text: &str, start: usize) -> bool {
    !before(text, start)
        .is_some_and(|c| is_letter_or_digit(c) || matches!(c, '.' | '_' | '%' | '+' | '-'))
}

fn email_may_end(text: &str, end: usize) -> bool {
    match after(text, end) {
        Some('.') => !after(text, end + 1).is_some_and(is_letter_or_digit),
        Some(c) => !(is_letter_or_digit(c) || matches!(c, '-' | '_')),
        None => true,
    }
}

/// Where the term ends whose first word begins at the position. White space, or the `+` of forms, separates words.
fn term_at(text: &str, start: usize, words: &[String]) -> Option<usize> {
    let mut at = start;
    for (index, word) in words.iter().enumerate() {
        let rest = text.get(at..)?;
        if index > 0 {
            let gap: usize = rest
                .chars()
                .take(MAX_GAP)
                .take_while(|c| c.is_whitespace() || *c == '+')
                .map(char::len_utf8)
                .sum();
            if gap == 0 {
                return None;
            }
            at += gap;
        }
        let found = text.as_bytes().get(at..at + word.len())?;
        if !found.eq_ignore_ascii_case(word.as_bytes()) {
            return None;
        }
        at += word.len();
    }
    Some(at)
}

/// Whether a character, beside another one of a term, makes the term a part of a longer word.
fn continues_word(c: char) -> bool {
    (is_letter_or_digit(c) || c == '_') && !is_unspaced(c)
}

fn term_may_begin(text: &str, start: usize) -> bool {
    let first = after(text, start).unwrap_or(' ');
    !continues_word(first) || !before(text, start).is_some_and(continues_word)
}

fn term_may_end(text: &str, end: usize) -> bool {
    let last = before(text, end).unwrap_or(' ');
    match after(text, end) {
        // A mark makes the last character another one, in every script.
        Some(next) if is_mark(next) => false,
        Some(next) => !continues_word(last) || !continues_word(next),
        None => true,
    }
}

#[derive(Default)]
struct Builder {
    patterns: Vec<Vec<u8>>,
    pattern_ids: HashMap<Vec<u8>, usize>,
    by_pattern: Vec<Vec<usize>>,
    rules: Vec<Rule>,
}

impl Builder {
    fn add(&mut self, subject: usize, identifiers: &Identifiers) -> Result<(), Error> {
        let mut identifier = 0;
        let mut next = |kind| {
            identifier += 1;
            Owner {
                subject,
                identifier: identifier - 1,
                kind,
            }
        };
        for uuid in &identifiers.install_ids {
            self.uuid(*uuid, next(Kind::InstallId));
        }
        for id in &identifiers.user_ids {
            let owner = next(Kind::UserId);
            check_length(id, owner)?;
            let is_weak = id.chars().count() < 4 || id.bytes().all(|byte| byte.is_ascii_digit());
            let exact = id.clone();
            self.rule(id.as_bytes(), Check::UserId { exact, is_weak }, owner);
        }
        for email in &identifiers.emails {
            self.email(email, next(Kind::Email))?;
        }
        for term in &identifiers.terms {
            let owner = next(Kind::Term);
            check_length(term.trim(), owner)?;
            let mut folded = String::new();
            fold(term, &mut folded);
            let words: Vec<String> = folded.split_whitespace().map(str::to_owned).collect();
            let first = words.first().cloned().unwrap_or_default();
            self.rule(first.as_bytes(), Check::Term(words), owner);
        }
        for uuid in &identifiers.report_ids {
            self.uuid(*uuid, next(Kind::ReportId));
        }
        for literal in &identifiers.literals {
            let owner = next(Kind::Literal);
            check_length(literal, owner)?;
            self.rule(literal.as_bytes(), Check::Literal(literal.clone()), owner);
        }
        Ok(())
    }

    /// The automaton knows a UUID by its first eight digits, which every spelling shares.
    fn uuid(&mut self, uuid: Uuid, owner: Owner) {
        let text = uuid.as_simple().to_string();
        let prefix = text.as_bytes().get(..8).unwrap_or_default();
        self.rule(prefix, Check::Uuid(uuid.as_u128()), owner);
    }

    /// An address, with its domain as given, in Unicode and in Punycode.
    fn email(&mut self, email: &str, owner: Owner) -> Result<(), Error> {
        check_length(email.trim(), owner)?;
        let spellings = email_spellings(email).ok_or(Error::NotAnAddress {
            subject: owner.subject,
            identifier: owner.identifier,
        })?;
        for spelling in spellings {
            self.rule(spelling.as_bytes(), Check::Email(spelling.len()), owner);
        }
        Ok(())
    }

    /// Adds a rule, or one more owner of a rule that is there.
    fn rule(&mut self, pattern: &[u8], check: Check, owner: Owner) {
        let pattern = pattern.to_ascii_lowercase();
        let next_pattern = self.patterns.len();
        let id = *self
            .pattern_ids
            .entry(pattern.clone())
            .or_insert(next_pattern);
        if id == next_pattern {
            self.patterns.push(pattern);
            self.by_pattern.push(Vec::new());
        }
        let Some(rules) = self.by_pattern.get_mut(id) else {
            return;
        };
        let known = rules
            .iter()
            .find(|at| self.rules.get(**at).is_some_and(|rule| rule.check == check));
        match known.and_then(|at| self.rules.get_mut(*at)) {
            Some(rule) => rule.owners.push(owner),
            None => {
                rules.push(self.rules.len());
                self.rules.push(Rule {
                    check,
                    owners: vec![owner],
                });
            }
        }
    }
}

/// The forms of an address that are looked for, in lower case: its domain as given, in Unicode and in Punycode.
///
/// `None` when it has no `@` between two texts.
pub(super) fn email_spellings(email: &str) -> Option<Vec<String>> {
    let (local, domain) = email
        .trim()
        .rsplit_once('@')
        .filter(|(local, domain)| !local.is_empty() && !domain.is_empty())?;
    let mut domains = vec![domain.to_owned()];
    domains.extend(idna::domain_to_ascii(domain).ok());
    domains.push(idna::domain_to_unicode(domain).0);
    let mut spellings: Vec<String> = domains
        .iter()
        .filter(|domain| !domain.is_empty())
        .map(|domain| {
            let mut lowered = String::new();
            lower(&format!("{local}@{domain}"), &mut lowered);
            lowered
        })
        .collect();
    spellings.sort_unstable();
    spellings.dedup();
    Some(spellings)
}

fn check_length(text: &str, owner: Owner) -> Result<(), Error> {
    let Owner {
        subject,
        identifier,
        ..
    } = owner;
    match text.len() {
        0 => Err(Error::Empty {
            subject,
            identifier,
        }),
        1..=MAX_IDENTIFIER => Ok(()),
        _ => Err(Error::TooLong {
            subject,
            identifier,
            limit: MAX_IDENTIFIER,
        }),
    }
}
