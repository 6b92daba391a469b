//! The blobs of a day, listed ahead of those who read them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::days::{Order, Source};
use crate::stages::StageError;
use crate::storage::{Container, Entry, Error};
use crate::work::names;

/// Where a blob lies.
pub(super) struct At {
    pub(super) order: Order,
    pub(super) container: Container,
}

type Page = (Arc<At>, Vec<Entry>);

/// Blobs source by source, in the order of their names. A page is listed while the one before it is read.
pub(super) struct Pages {
    listed: mpsc::Receiver<Result<Page, Error>>,
    at: Option<Arc<At>>,
    entries: std::vec::IntoIter<Entry>,
    task: AbortHandle,
}

impl Pages {
    /// Begins to list sources.
    pub(super) fn list(sources: Vec<(Source, Container)>) -> Self {
        let (send, listed) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            if let Err(error) = list(sources, &send).await {
                // Nobody listens any more: then nobody needs to know.
                _ = send.send(Err(error)).await;
            }
        });
        Self {
            listed,
            at: None,
            entries: Vec::new().into_iter(),
            task: task.abort_handle(),
        }
    }

    /// The next blob, if there is one; one that is not listed yet is waited for only if that is asked for.
    ///
    /// # Errors
    /// When a source cannot be listed, in place of its blobs. It is over then.
    pub(super) async fn next(
        &mut self,
        is_waited_for: bool,
    ) -> Result<Option<(Arc<At>, Entry)>, StageError> {
        loop {
            if let (Some(entry), Some(at)) = (self.entries.next(), &self.at) {
                return Ok(Some((Arc::clone(at), entry)));
            }
            let page = if is_waited_for {
                self.listed.recv().await
            } else {
                self.listed.try_recv().ok()
            };
            let Some(page) = page else {
                return Ok(None);
            };
            let (at, entries) = page.map_err(|error| StageError::archive(&error))?;
            self.at = Some(at);
            self.entries = entries.into_iter();
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends pages for as long as anybody takes them.
async fn list(
    sources: Vec<(Source, Container)>,
    pages: &mpsc::Sender<Result<Page, Error>>,
) -> Result<(), Error> {
    for (source, container) in sources {
        let mut listing = container.list(&source.prefix);
        let at = Arc::new(At {
            order: source.order,
            container,
        });
        while let Some(mut page) = listing.next_page().await? {
            if let Some(account) = &source.account {
                for entry in &mut page {
                    entry.name = names::in_account(account, &entry.name);
                }
            }
            if pages.send(Ok((Arc::clone(&at), page))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
