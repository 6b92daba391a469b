//! Marks of requests that wait for days of an app: empty blobs whose name is all they say.

use serde_json::json;

use crate::app::App;
use crate::domain::{AppRef, RequestId};
use crate::stages::StageError;
use crate::work::{Error, names};
use crate::workflow::{Record, Step};

/// Requests that one pass serves at most; more wait for the next message.
const MAX_REQUESTS: usize = 1000;

/// Marks a request as waiting for days of an app.
pub(super) async fn wait(
    app: &App,
    of: &AppRef,
    record: &Record,
    step: Step,
) -> Result<(), StageError> {
    let bytes = json!({ "run": record.run, "step": step })
        .to_string()
        .into_bytes();
    let name = names::waiting(of, &record.id);
    let put = app.store.put(&name, "a mark", bytes, "application/json");
    Ok(put.await?)
}

/// Takes the mark away.
pub(super) async fn forget(app: &App, of: &AppRef, id: &RequestId) -> Result<(), StageError> {
    app.store.delete(&names::waiting(of, id), "a mark").await?;
    Ok(())
}

/// The requests that wait for days of an app.
pub(super) async fn waiting(app: &App, of: &AppRef) -> Result<Vec<RequestId>, StageError> {
    let prefix = names::waiting_prefix(of);
    let mut listing = app.store.container().list(&prefix);
    let mut ids = Vec::new();
    while let Some(page) = listing.next_page().await.map_err(Error::from)? {
        ids.extend(
            page.iter()
                .filter_map(|entry| entry.name.strip_prefix(&prefix)?.parse::<RequestId>().ok()),
        );
        if ids.len() >= MAX_REQUESTS {
            break;
        }
    }
    ids.truncate(MAX_REQUESTS);
    Ok(ids)
}
