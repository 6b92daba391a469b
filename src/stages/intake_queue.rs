//! `intake-queue`: the same document from other systems. Its message is the one place where a message holds
//! identifiers: it is read once, stored, and deleted by the host.
//!
//! A refused one becomes a refused-intake record: the reference, and faults by JSON pointer, no values. Its name is an
//! HMAC of the text: the host merges a message's own properties over the queue's, so the ID that comes with a message may
//! be anything, also a person's; and the same text delivered twice meets its own record, two texts never do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Context;
use super::intake::{self, Accepted};
use super::requests::Refusal;
use crate::domain::Fault;
use crate::domain::document::MAX_MESSAGE_BYTES;
use crate::work::{Error, names};

/// How much of the HMAC names a refused message, in hex digits: 128 bits.
const ID_LENGTH: usize = 32;

/// A queue message that was refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    /// By which it is known again: the start of an HMAC of its text, or the ID that the queue gave to what has none.
    pub id: String,
    /// The document's reference, if it has one that is well-formed and holds no identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was refused.
    pub at: Timestamp,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

/// Takes a document from a message; none when it was refused, which is then stored.
///
/// # Errors
/// When stored state cannot be read or written.
pub async fn run(cx: Context<'_>, text: &str) -> Result<Option<Accepted>, Error> {
    let taken = if text.len() > MAX_MESSAGE_BYTES {
        let detail = "the document is longer than 48 KiB; send it over HTTP";
        Err(Refusal::Faults(vec![Fault::new("", detail)]))
    } else {
        intake::run(cx, text.as_bytes()).await
    };
    let faults = match taken {
        Ok(accepted) => return Ok(Some(accepted)),
        Err(Refusal::Work(error)) => return Err(error),
        Err(Refusal::Faults(faults)) => faults,
        Err(
            Refusal::BadQuery(reason)
            | Refusal::Conflict(reason)
            | Refusal::NotFound(reason)
            | Refusal::WrongHash(reason),
        ) => {
            vec![Fault::new("/reference", reason)]
        }
        Err(refusal @ Refusal::BadRange { .. }) => {
            vec![Fault::new("", refusal.to_string())]
        }
    };
    let mut id = cx.app.fingerprint(text.as_bytes()).await?;
    id.truncate(ID_LENGTH);
    let refused = Refused {
        reference: reference(text, &faults),
        at: cx.now(),
        faults,
        id: id.clone(),
    };
    tracing::warn!(message = %id, faults = refused.faults.len(), "a queue message was refused");
    let name = format!("{}{id}.json", names::REFUSED);
    cx.app
        .store
        .create_json(&name, "a refused intake", &refused)
        .await?;
    Ok(None)
}

/// The reference, unless it is one of the faults or the document could not be read.
fn reference(text: &str, faults: &[Fault]) -> Option<String> {
    let is_faulty = |pointer: &str| {
        faults
            .iter()
            .any(|fault| fault.pointer == pointer && !fault.detail.starts_with("a request of this"))
    };
    // Without a readable document nothing was checked; without a readable subject nobody can tell whether the reference
    // holds an identifier.
    if is_faulty("")
        || is_faulty("/reference")
        || faults.iter().any(|it| it.pointer.starts_with("/subject"))
    {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let reference = value.get("reference")?.as_str()?;
    (reference.len() <= 64).then(|| reference.to_owned())
}
