//! `intake`: check a request document, store it, start it. The same request twice is one request.

use super::requests::Refusal;
use super::{Context, StageError};
use crate::domain::Document;
use crate::telemetry;
use crate::work::{Error, names};
use crate::workflow::{Record, Status};

/// What became of a document.
#[derive(Debug)]
pub enum Accepted {
    /// A new request.
    New(Record),
    /// The same request was there; ended or not.
    Known(Record),
}

impl Accepted {
    /// The request's record.
    #[must_use]
    pub fn record(&self) -> &Record {
        match self {
            Self::New(record) | Self::Known(record) => record,
        }
    }

    /// Whether it still has to be started.
    #[must_use]
    pub fn is_to_start(&self) -> bool {
        self.record().status == Status::Received
    }
}

/// Takes a document.
///
/// # Errors
/// Its faults; another request of the same kind and reference; stored state that cannot be used.
pub async fn run(cx: Context<'_>, body: &[u8]) -> Result<Accepted, Refusal> {
    let document = Document::parse(body, cx.now()).map_err(Refusal::Faults)?;
    let fingerprint = cx.app.fingerprint(&document.canonical()).await?;
    let mut record = Record::new(document, fingerprint, cx.now());
    record.traceparent = telemetry::traceparent().and_then(|it| it.parse().ok());
    let store = &cx.app.store;
    let stored = match store.record(&record.id).await? {
        Some(loaded) => loaded.record,
        None => {
            // The mark comes first: a request without a mark would never be swept.
            store
                .put(
                    &names::open(&record.id),
                    "a mark",
                    b"{}".to_vec(),
                    "application/json",
                )
                .await?;
            if store.create_record(&record).await? {
                return Ok(Accepted::New(record));
            }
            let loaded = store.record(&record.id).await?.ok_or(Error::Lost {
                what: "the request's record",
            })?;
            loaded.record
        }
    };
    if stored.fingerprint == record.fingerprint {
        Ok(Accepted::Known(stored))
    } else {
        Err(Refusal::Conflict(format!(
            "a request of this kind and reference was filed with other content (request {}); use another reference",
            stored.id
        )))
    }
}

impl From<Refusal> for StageError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Work(error) => Self::Work(error),
            Refusal::Faults(_) => Self::permanent("the document has faults"),
            Refusal::BadQuery(reason)
            | Refusal::NotFound(reason)
            | Refusal::Conflict(reason)
            | Refusal::WrongHash(reason) => Self::permanent(reason),
            Refusal::BadRange { .. } => Self::permanent("no such range"),
        }
    }
}
