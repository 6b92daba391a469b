//! The output: one JSON line for each subject of each matching record.

use std::io::{self, Write};
use std::ops::ControlFlow;

use serde::Serialize;
use uuid::Uuid;

use super::people::People;
use crate::search::facts::ids_in_name;
use crate::search::{Facts, Match, Sink};

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    blob: &'a str,
    record: u64,
    offset: u64,
    length: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    decoded: bool,
    install_id: Option<String>,
    report_id: Option<String>,
    matched: Vec<usize>,
}

/// Writes a line for each subject of each matching record.
pub(super) struct Lines<'a> {
    pub(super) people: &'a People,
    pub(super) out: &'a mut dyn Write,
    pub(super) blob: &'a str,
    /// Why the output could not be written.
    pub(super) error: Option<io::Error>,
}

impl Sink for Lines<'_> {
    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
        match self.write(found) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl Lines<'_> {
    fn write(&mut self, found: &Match<'_>) -> io::Result<()> {
        let facts = Facts::of_record(found.bytes);
        let mut matched: Vec<(usize, usize)> = found
            .hits
            .iter()
            .map(|hit| {
                let places = self.people.places.as_ref();
                let place = places.and_then(|places| places.get(hit.identifier).copied());
                (hit.subject, place.unwrap_or(hit.identifier))
            })
            .collect();
        matched.sort_unstable();
        matched.dedup();
        for group in matched.chunk_by(|(left, _), (right, _)| left == right) {
            let subject = group
                .first()
                .and_then(|(subject, _)| self.people.ids.get(*subject));
            let line = Line {
                subject: subject.and_then(Option::as_deref),
                blob: self.blob,
                record: found.record,
                offset: found.offset,
                length: found.length,
                decoded: found.decoded,
                install_id: facts.install_id.map(|id| id.to_string()),
                report_id: report_id(&facts, self.blob).map(|id| id.to_string()),
                matched: group.iter().map(|(_, identifier)| *identifier).collect(),
            };
            serde_json::to_writer(&mut *self.out, &line)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// The report that a record belongs to: by its own ID, by the blob that it names, or by the name of its own blob.
fn report_id(facts: &Facts, blob: &str) -> Option<Uuid> {
    let named = |name: &str| ids_in_name(name).error_id.and_then(|id| id.guid());
    facts
        .error_id
        .as_ref()
        .and_then(crate::domain::ErrorId::guid)
        .or_else(|| facts.payload_blob.as_deref().and_then(named))
        .or_else(|| named(blob))
}
