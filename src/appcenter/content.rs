//! What a report consists of: stack trace, raw log, attachments.

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::body::decode_any;
use super::client::Client;
use super::error::Error;
use super::errors::report_path;
use super::hosts::Location;
use super::http::Call;
use super::lenient;
use super::path::{Path, PathId};
use super::personal::Personal;
use crate::domain::{AppRef, ErrorId, GroupId};

/// An attachment of a report, in the current and in the legacy spelling.
#[derive(Debug, Clone, Deserialize)]
pub struct Attachment {
    /// Its ID; none when the service sent one that cannot be used.
    #[serde(
        default,
        rename = "attachmentId",
        alias = "attachment_id",
        deserialize_with = "lenient::parsed"
    )]
    pub id: Option<PathId>,
    /// The file's name on the device.
    #[serde(
        default,
        rename = "fileName",
        alias = "file_name",
        deserialize_with = "lenient::personal"
    )]
    pub file_name: Option<Personal<String>>,
    /// Its media type.
    #[serde(
        default,
        rename = "contentType",
        alias = "content_type",
        deserialize_with = "lenient::text"
    )]
    pub content_type: Option<String>,
    /// When it was made.
    #[serde(
        default,
        rename = "createdTime",
        alias = "created_time",
        deserialize_with = "lenient::time"
    )]
    pub created: Option<Timestamp>,
    /// Its length in bytes.
    #[serde(default, deserialize_with = "lenient::count")]
    pub size: Option<u64>,
    /// Where the service keeps it.
    #[serde(
        default,
        rename = "blobLocation",
        alias = "blob_location",
        deserialize_with = "lenient::personal"
    )]
    pub blob_location: Option<Personal<String>>,
}

/// A list, or its only entry.
#[derive(Deserialize)]
struct Attachments(#[serde(deserialize_with = "lenient::list")] Vec<Attachment>);

/// Where the raw log of a report was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawSource {
    /// The file behind `…/location`: the log that the device sent.
    Location,
    /// `…/download` as JSON: what the service knows of the report.
    Json,
    /// `…/download` as text: a native crash.
    Text,
}

/// The raw log of a report.
#[derive(Debug, Clone)]
pub struct RawLog {
    /// The bytes as they came.
    pub bytes: Personal<Bytes>,
    /// Where they came from.
    pub source: RawSource,
}

impl Client {
    /// `Errors_ErrorStackTrace` of one report (not the group's), as JSON.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn stack_trace(
        &self,
        app: &AppRef,
        group: &GroupId,
        error: &ErrorId,
    ) -> Result<Personal<Bytes>, Error> {
        let path = report_path(self, app, group, error, &["stacktrace"])?;
        let call = Call::get("Errors_ErrorStackTrace", path);
        Ok(Personal::new(self.send(&call).await?))
    }

    /// `Errors_ErrorLocation`: where the raw log can be fetched.
    ///
    /// # Errors
    /// Those of a call; [`Error::Protocol`] when there is no address in the answer.
    pub async fn error_location(
        &self,
        app: &AppRef,
        group: &GroupId,
        error: &ErrorId,
    ) -> Result<Location, Error> {
        let path = report_path(self, app, group, error, &["location"])?;
        self.location(&Call::get("Errors_ErrorLocation", path))
            .await
    }

    /// `Errors_ErrorDownload` in the given `format`: `json` or `txt`; documents also say `text`.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn error_download(
        &self,
        app: &AppRef,
        group: &GroupId,
        error: &ErrorId,
        format: &str,
    ) -> Result<Personal<Bytes>, Error> {
        let path = report_path(self, app, group, error, &["download"])?.query("format", format);
        let call = Call::get_file("Errors_ErrorDownload", path);
        Ok(Personal::new(self.send(&call).await?))
    }

    /// The raw log from wherever there is one: the device's own log, else what the service makes of it.
    ///
    /// # Errors
    /// The first place's error when no place has one; at once when the next place would only say the same.
    pub async fn raw_log(
        &self,
        app: &AppRef,
        group: &GroupId,
        error: &ErrorId,
        limit: u64,
    ) -> Result<RawLog, Error> {
        let location = || self.error_location(app, group, error).boxed();
        let first = match self.fetch_fresh(&location, limit).await {
            Ok(bytes) => {
                return Ok(RawLog {
                    bytes,
                    source: RawSource::Location,
                });
            }
            Err(first) => next_place(first)?,
        };
        for (format, source) in [
            ("json", RawSource::Json),
            ("txt", RawSource::Text),
            ("text", RawSource::Text),
        ] {
            match self.error_download(app, group, error, format).await {
                Ok(bytes) if bytes.expose().is_empty() => {}
                Ok(bytes) => return Ok(RawLog { bytes, source }),
                Err(error) => drop(next_place(error)?),
            }
        }
        Err(first)
    }

    /// `Errors_ErrorAttachments`
    ///
    /// # Errors
    /// Those of a call.
    pub async fn attachments(
        &self,
        app: &AppRef,
        error: &ErrorId,
    ) -> Result<Vec<Attachment>, Error> {
        let path = Path::app(self, app, &["errors", error.as_str(), "attachments"])?;
        self.attachment_list(&Call::get("Errors_ErrorAttachments", path))
            .await
    }

    /// `Errors_ErrorAttachmentText`: the content of a text attachment.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn attachment_text(
        &self,
        app: &AppRef,
        error: &ErrorId,
        attachment: &PathId,
    ) -> Result<Personal<String>, Error> {
        let segments = [
            "errors",
            error.as_str(),
            "attachments",
            attachment.as_str(),
            "text",
        ];
        let path = Path::app(self, app, &segments)?;
        self.text(&Call::get_file("Errors_ErrorAttachmentText", path))
            .await
    }

    /// `Errors_ErrorAttachmentLocation`: where an attachment can be fetched.
    ///
    /// # Errors
    /// Those of a call; [`Error::Protocol`] when there is no address in the answer.
    pub async fn attachment_location(
        &self,
        app: &AppRef,
        error: &ErrorId,
        attachment: &PathId,
    ) -> Result<Location, Error> {
        let segments = [
            "errors",
            error.as_str(),
            "attachments",
            attachment.as_str(),
            "location",
        ];
        let path = Path::app(self, app, &segments)?;
        self.location(&Call::get("Errors_ErrorAttachmentLocation", path))
            .await
    }

    /// The bytes of an attachment: the file, or its text where there is no file to be had.
    ///
    /// # Errors
    /// As [`Client::raw_log`].
    pub async fn attachment_bytes(
        &self,
        app: &AppRef,
        error: &ErrorId,
        attachment: &PathId,
        limit: u64,
    ) -> Result<Personal<Bytes>, Error> {
        let location = || self.attachment_location(app, error, attachment).boxed();
        let text = || self.attachment_text(app, error, attachment);
        self.file_or_text(&location, limit, text).await
    }

    /// The file behind a link; where there is none to be had, its text.
    pub(super) async fn file_or_text<'a, F>(
        &self,
        link: &(dyn Fn() -> BoxFuture<'a, Result<Location, Error>> + Sync),
        limit: u64,
        text: impl FnOnce() -> F,
    ) -> Result<Personal<Bytes>, Error>
    where
        F: Future<Output = Result<Personal<String>, Error>>,
    {
        let first = match self.fetch_fresh(link, limit).await {
            Ok(bytes) => return Ok(bytes),
            Err(first) => next_place(first)?,
        };
        match text().await {
            Ok(text) => Ok(Personal::new(text.into_exposed().into())),
            Err(error) => {
                drop(next_place(error)?);
                Err(first)
            }
        }
    }

    pub(super) async fn attachment_list(&self, call: &Call<'_>) -> Result<Vec<Attachment>, Error> {
        let attachments: Attachments = decode_any(&self.send(call).await?)?;
        Ok(attachments.0)
    }

    /// `{"uri": …}`, where `uri` is optional in the current API's description and required in the legacy one's.
    pub(super) async fn location(&self, call: &Call<'_>) -> Result<Location, Error> {
        let uri = match decode_any(&self.send(call).await?)? {
            Value::Object(mut answer) => answer.remove("uri"),
            other => Some(other),
        };
        match uri {
            Some(Value::String(uri)) if !uri.is_empty() => Location::parse(&uri),
            _ => Err(Error::protocol("there is no address in it")),
        }
    }

    /// `{"content": …}` of the current API, a bare JSON string of the legacy one, or the text itself.
    pub(super) async fn text(&self, call: &Call<'_>) -> Result<Personal<String>, Error> {
        let body = self.send(call).await?;
        Ok(Personal::new(read_text(&body)))
    }

    /// Asks for a link and fetches what is behind it; each once more when another place may have to be looked in: a link
    /// expires, a 404 or a redirect passes, and a page may be a proxy's. What is said twice is believed.
    pub(super) async fn fetch_fresh<'a>(
        &self,
        link: &(dyn Fn() -> BoxFuture<'a, Result<Location, Error>> + Sync),
        limit: u64,
    ) -> Result<Personal<Bytes>, Error> {
        let location = match link().await {
            Ok(location) => location,
            Err(error) => {
                drop(next_place(error)?);
                link().await?
            }
        };
        match self.fetch_file(&location, limit).await {
            Ok((bytes, false)) => return Ok(bytes),
            Ok((_bytes, true)) => {}
            Err(error) => drop(next_place(error)?),
        }
        let (bytes, _is_page) = self.fetch_file(&link().await?, limit).await?;
        Ok(bytes)
    }
}

/// Gives the error back when another place may still have the content, and fails with it when none can.
fn next_place(error: Error) -> Result<Error, Error> {
    match error {
        Error::NotFound(_)
        | Error::Gone
        | Error::Rejected { .. }
        | Error::Protocol { .. }
        | Error::Address { .. }
        | Error::Download { .. } => {
            tracing::info!(why = %error, "looking in another place");
            Ok(error)
        }
        other => Err(other),
    }
}

fn read_text(body: &[u8]) -> String {
    match decode_any(body) {
        Ok(Value::String(text)) => return text,
        Ok(Value::Object(mut answer)) => {
            if let Some(Value::String(text)) = answer.remove("content") {
                return text;
            }
        }
        _ => {}
    }
    String::from_utf8_lossy(body).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_every_shape() {
        let cases = [
            (r#""bare \u00e9""#, "bare é"),
            (r#"{"content":"inside"}"#, "inside"),
            (r#"{"content":"inside","more":1}"#, "inside"),
            ("plain text", "plain text"),
            (r#"["a list"]"#, r#"["a list"]"#),
            (r#"{"content":1}"#, r#"{"content":1}"#),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("", ""),
        ];
        for (body, expected) in cases {
            assert_eq!(read_text(body.as_bytes()), expected);
        }
    }

    #[test]
    fn attachments_in_both_spellings_and_alone() {
        let new = r#"{"appId":"a","attachmentId":"7","crashId":"c","blobLocation":"b","contentType":"text/plain","fileName":"log.txt","createdTime":"2022-09-23T17:06:14.5901576Z","size":12}"#;
        let old = r#"{"app_id":"a","attachment_id":"7","crash_id":"c","blob_location":"b","content_type":"text/plain","file_name":"log.txt","created_time":"2022-09-23T17:06:14.5901576Z","size":"12"}"#;
        for body in [
            format!("[{new}]"),
            format!("[{old}]"),
            new.to_owned(),
            old.to_owned(),
        ] {
            let Attachments(list) = decode_any(body.as_bytes()).expect("decodes");
            let [attachment] = list.as_slice() else {
                panic!("one attachment");
            };
            assert_eq!(attachment.id.as_ref().map(PathId::as_str), Some("7"));
            assert_eq!(attachment.size, Some(12));
            assert!(attachment.created.is_some() && attachment.blob_location.is_some());
            let shown = format!("{attachment:?}");
            assert!(!shown.contains("log.txt"), "{shown}");
        }
        assert!(
            decode_any::<Attachments>(b"[]")
                .expect("decodes")
                .0
                .is_empty()
        );
    }
}
