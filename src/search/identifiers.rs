//! What is looked for, and what a find says.

use std::fmt;

use uuid::Uuid;

/// One person's identifiers, as a request gives them.
///
/// `Debug` shows only how many there are: every value is personal data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// Install IDs: found in any case, with or without hyphens or braces.
    pub install_ids: Vec<Uuid>,
    /// User IDs: found as whole JSON values, exactly, and (when not weak) as tokens of a text.
    pub user_ids: Vec<String>,
    /// E-mail addresses: found in any case, never as part of a longer address.
    pub emails: Vec<String>,
    /// Words or phrases such as a name: found as whole words in any case.
    pub terms: Vec<String>,
    /// The GUIDs of reports: found like install IDs.
    pub report_ids: Vec<Uuid>,
    /// Exact texts such as blob names: found anywhere, as they are.
    pub literals: Vec<String>,
}

impl Identifiers {
    /// How many identifiers there are, of all kinds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.install_ids.len()
            + self.user_ids.len()
            + self.emails.len()
            + self.terms.len()
            + self.report_ids.len()
            + self.literals.len()
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Identifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identifiers")
            .field("install_ids", &self.install_ids.len())
            .field("user_ids", &self.user_ids.len())
            .field("emails", &self.emails.len())
            .field("terms", &self.terms.len())
            .field("report_ids", &self.report_ids.len())
            .field("literals", &self.literals.len())
            .finish()
    }
}

/// The kind of an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An install ID.
    InstallId,
    /// A user ID.
    UserId,
    /// An e-mail address.
    Email,
    /// A word or phrase.
    Term,
    /// The GUID of a report.
    ReportId,
    /// An exact text.
    Literal,
}

/// How surely a find means the person. The first is the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strength {
    /// The identifier itself: a whole value, a UUID, an address, a literal.
    Exact,
    /// A user ID inside a longer text, as a key, or in a field that its developer named like one of the schema's.
    Token,
    /// A term: words that other people may share.
    Word,
}

/// One identifier found in one place of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct Hit {
    /// Whose: the index into the subjects that the searcher was built for.
    pub subject: usize,
    /// Which: the index over all identifiers of that subject, in the order install IDs, user IDs, e-mails, terms, report IDs, literals.
    pub identifier: usize,
    /// Its kind.
    pub kind: Kind,
    /// How sure.
    pub strength: Strength,
    /// The JSON pointer of the value, through JSON texts inside of strings; empty in plain text. Cut off at 1 KiB.
    pub pointer: String,
    /// How many layers of encoding were taken off to see it (0: it stands in the record as it is, JSON's own escapes aside).
    pub depth: u8,
    /// Whether the value stands in a user field (`UserId` in any spelling, `user_name`, `user_email`).
    pub in_user_field: bool,
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pointer is made of keys, which may themselves be personal data.
        f.debug_struct("Hit")
            .field("subject", &self.subject)
            .field("identifier", &self.identifier)
            .field("kind", &self.kind)
            .field("strength", &self.strength)
            .field("depth", &self.depth)
            .field("in_user_field", &self.in_user_field)
            .finish_non_exhaustive()
    }
}
