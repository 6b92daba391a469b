//! One report through either API: the same questions, asked of the current or of the legacy one.

use bytes::Bytes;
use jiff::Timestamp;

use crate::appcenter::{Attachment, Client, Error, PathId, RawSource};
use crate::domain::{AppRef, ErrorId, GroupId, LegacyIds};

/// Largest raw log or attachment, in bytes: App Center takes attachments of 7 MB.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A report, by the API that knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) client: &'a Client,
    pub(super) app: &'a AppRef,
    pub(super) ids: Ids<'a>,
    /// Whether nonsense was answered so often that it is not waited for any more.
    pub(super) is_last: bool,
}

/// What the API calls it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ids<'a> {
    /// The current one.
    Current(&'a GroupId, &'a ErrorId),
    /// The legacy one.
    Legacy(&'a GroupId, &'a ErrorId),
}

/// What App Center shows of a report.
pub(super) struct Details {
    pub(super) json: Bytes,
    pub(super) at: Option<Timestamp>,
    /// What the current API calls it, as the legacy one tells it.
    pub(super) new: Option<(Option<GroupId>, ErrorId)>,
}

impl View<'_> {
    /// Whether an error about a part of the report says that it is not to be had, and not that it may be later.
    pub(super) fn lacks(&self, error: &Error) -> bool {
        match error {
            // So often it is no proxy's page: App Center has no more of it, and the rest is worth having.
            Error::Protocol { .. } => self.is_last,
            Error::NotFound(_)
            | Error::Gone
            | Error::Rejected { .. }
            | Error::Address { .. }
            | Error::Download { .. }
            | Error::TooLarge { .. } => true,
            _ => false,
        }
    }

    /// What the legacy API calls it, where that one is asked.
    pub(super) fn legacy(&self) -> Option<LegacyIds> {
        match self.ids {
            Ids::Current(..) => None,
            Ids::Legacy(group, crash) => Some(LegacyIds {
                group: group.clone(),
                crash: crash.clone(),
            }),
        }
    }

    pub(super) async fn details(&self) -> Result<Details, Error> {
        match self.ids {
            Ids::Current(group, error) => {
                let details = self.client.error_details(self.app, group, error).await?;
                Ok(Details {
                    json: details.json,
                    at: details.value.timestamp,
                    new: None,
                })
            }
            Ids::Legacy(group, crash) => {
                let details = self.client.crash(self.app, group, crash).await?;
                let crash = details.value;
                Ok(Details {
                    json: details.json,
                    at: crash.timestamp,
                    new: crash.new_id.map(|id| (crash.new_group_id, id)),
                })
            }
        }
    }

    /// The raw log, and where it came from.
    pub(super) async fn raw_log(&self) -> Result<(Bytes, &'static str), Error> {
        match self.ids {
            Ids::Current(group, error) => {
                let raw = self
                    .client
                    .raw_log(self.app, group, error, MAX_FILE)
                    .await?;
                let from = match raw.source {
                    RawSource::Location => "location",
                    RawSource::Json => "json",
                    RawSource::Text => "text",
                };
                Ok((raw.bytes.into_exposed(), from))
            }
            Ids::Legacy(group, crash) => {
                match self
                    .client
                    .crash_raw_log(self.app, group, crash, MAX_FILE)
                    .await
                {
                    Ok(bytes) => Ok((bytes.into_exposed(), "location")),
                    // The text may be had where the file is not.
                    Err(
                        first @ (Error::NotFound(_)
                        | Error::Gone
                        | Error::Rejected { .. }
                        | Error::Protocol { .. }
                        | Error::Address { .. }
                        | Error::Download { .. }),
                    ) => {
                        let native = self.client.crash_native(self.app, group, crash).await;
                        match native {
                            Ok(text) => Ok((text.into_exposed().into(), "text")),
                            Err(Error::NotFound(_) | Error::Gone | Error::Rejected { .. }) => {
                                Err(first)
                            }
                            Err(error) => Err(error),
                        }
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// The text form of a native crash: Apple's names the install as its `CrashReporter Key`.
    pub(super) async fn native_text(&self) -> Result<Bytes, Error> {
        match self.ids {
            Ids::Current(group, error) => {
                let download = |format| self.client.error_download(self.app, group, error, format);
                let text = match download("txt").await {
                    // As an older document has it.
                    Err(Error::NotFound(_) | Error::Rejected { .. }) => download("text").await?,
                    other => other?,
                };
                Ok(text.into_exposed())
            }
            Ids::Legacy(group, crash) => {
                let text = self.client.crash_native(self.app, group, crash).await?;
                Ok(text.into_exposed().into())
            }
        }
    }

    pub(super) async fn stack_trace(&self) -> Result<Bytes, Error> {
        let trace = match self.ids {
            Ids::Current(group, error) => self.client.stack_trace(self.app, group, error).await?,
            Ids::Legacy(group, crash) => {
                self.client
                    .crash_stack_trace(self.app, group, crash)
                    .await?
            }
        };
        Ok(trace.into_exposed())
    }

    /// Pages of session logs, and whether these are all.
    pub(super) async fn session_logs(&self) -> Result<(Vec<Bytes>, bool), Error> {
        let (pages, is_complete) = match self.ids {
            Ids::Current(_, error) => self.client.all_session_logs(self.app, error).await?,
            Ids::Legacy(_, crash) => self.client.all_crash_session_logs(self.app, crash).await?,
        };
        Ok((
            pages.into_iter().map(|page| page.json).collect(),
            is_complete,
        ))
    }

    /// Session logs belong to crashes; a handled error has none, and asking costs a call for each place they may be in.
    pub(super) fn may_have_session_logs(&self) -> bool {
        match self.ids {
            Ids::Current(group, _) => group.may_hold_crashes(),
            Ids::Legacy(..) => true,
        }
    }

    pub(super) async fn attachments(&self) -> Result<Vec<Attachment>, Error> {
        match self.ids {
            Ids::Current(_, error) => self.client.attachments(self.app, error).await,
            Ids::Legacy(_, crash) => self.client.crash_attachments(self.app, crash).await,
        }
    }

    /// A file: as text where it is said to be text, else from where it lies.
    pub(super) async fn attachment(&self, id: &PathId, is_text: bool) -> Result<Bytes, Error> {
        if is_text {
            match self.attachment_text(id).await {
                Ok(text) => return Ok(text),
                // The file itself may be had where its text is not.
                Err(
                    Error::NotFound(_)
                    | Error::Gone
                    | Error::Rejected { .. }
                    | Error::Protocol { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        match self.ids {
            Ids::Current(_, error) => {
                let bytes = self.client.attachment_bytes(self.app, error, id, MAX_FILE);
                Ok(bytes.await?.into_exposed())
            }
            Ids::Legacy(_, crash) => {
                let client = self.client;
                let bytes = client.crash_attachment_bytes(self.app, crash, id, MAX_FILE);
                Ok(bytes.await?.into_exposed())
            }
        }
    }

    async fn attachment_text(&self, id: &PathId) -> Result<Bytes, Error> {
        let text = match self.ids {
            Ids::Current(_, error) => self.client.attachment_text(self.app, error, id).await?,
            Ids::Legacy(_, crash) => {
                self.client
                    .crash_attachment_text(self.app, crash, id)
                    .await?
            }
        };
        Ok(Bytes::from(text.into_exposed()))
    }
}
