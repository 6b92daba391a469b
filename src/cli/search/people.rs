//! Who is looked for: by flags, or by a file of subjects.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;
use uuid::Uuid;

use super::SearchArgs;
use crate::search::{Identifiers, Searcher};

/// The longest line of a file of subjects, in bytes.
const MAX_SUBJECT: u64 = 1 << 20;

/// Everybody who is looked for.
pub(super) struct People {
    pub(super) searcher: Searcher,
    /// The identifiers of each subject.
    pub(super) subjects: Vec<Identifiers>,
    /// The ID of each subject; one without when the identifiers stand on the command line.
    pub(super) ids: Vec<Option<String>>,
    /// For identifiers of the command line: the place there of each, by the engine's order.
    pub(super) places: Option<Vec<usize>>,
}

/// One line of a file of subjects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    id: String,
    #[serde(default)]
    install_ids: Vec<Uuid>,
    #[serde(default)]
    user_ids: Vec<String>,
    #[serde(default)]
    emails: Vec<String>,
    #[serde(default)]
    terms: Vec<String>,
}

impl People {
    pub(super) fn of(args: &SearchArgs) -> Result<Self, String> {
        match &args.flags.subjects {
            Some(file) => Self::of_file(file),
            None => Self::of_flags(args),
        }
    }

    fn of_flags(args: &SearchArgs) -> Result<Self, String> {
        let flags = &args.flags;
        if args.order.is_empty() {
            return Err(
                "give at least one of --install-id, --user-id, --email, --term, or --subjects"
                    .to_owned(),
            );
        }
        let install_ids: Result<Vec<Uuid>, _> = flags
            .install_id
            .iter()
            .map(|id| Uuid::try_parse(id.trim()))
            .collect();
        let identifiers = Identifiers {
            install_ids: install_ids.map_err(|_error| "an --install-id is no UUID".to_owned())?,
            user_ids: flags.user_id.clone(),
            emails: flags.email.clone(),
            terms: flags.term.clone(),
            ..Identifiers::default()
        };
        let subjects = vec![identifiers];
        let searcher = Searcher::new(&subjects).map_err(|error| error.to_string())?;
        // The engine counts kind by kind.
        let mut places: Vec<usize> = (0..args.order.len()).collect();
        places.sort_by_key(|place| args.order.get(*place).copied());
        Ok(Self {
            searcher,
            subjects,
            ids: vec![None],
            places: Some(places),
        })
    }

    fn of_file(file: &Path) -> Result<Self, String> {
        let shown = file.display();
        let opened = File::open(file).map_err(|error| format!("{shown}: {error}"))?;
        let mut reader = BufReader::new(opened);
        let mut ids = Vec::new();
        let mut subjects = Vec::new();
        for number in 1_u64.. {
            let mut line = Vec::new();
            reader
                .by_ref()
                .take(MAX_SUBJECT + 1)
                .read_until(b'\n', &mut line)
                .map_err(|error| format!("{shown}: {error}"))?;
            if line.is_empty() {
                break;
            }
            if line.len() as u64 > MAX_SUBJECT {
                return Err(format!(
                    "{shown}: line {number} is longer than {MAX_SUBJECT} bytes"
                ));
            }
            let text = line.trim_ascii();
            let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
            if text.is_empty() {
                continue;
            }
            // The parser's own words may quote the line.
            let subject: Subject = serde_json::from_slice(text).map_err(|error| {
                format!(
                    "{shown}: line {number} is no subject ({:?} error, column {})",
                    error.classify(),
                    error.column()
                )
            })?;
            ids.push(Some(subject.id));
            subjects.push(Identifiers {
                install_ids: subject.install_ids,
                user_ids: subject.user_ids,
                emails: subject.emails,
                terms: subject.terms,
                ..Identifiers::default()
            });
        }
        if subjects.is_empty() {
            return Err(format!("{shown}: it holds no subject"));
        }
        let searcher = Searcher::new(&subjects).map_err(|error| format!("{shown}: {error}"))?;
        Ok(Self {
            searcher,
            subjects,
            ids,
            places: None,
        })
    }
}
