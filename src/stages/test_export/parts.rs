//! The parts of an app's test data, and the files that they name: fetched in order, each part saved with its files.
//!
//! A part is asked for again after a kill, and its files with it: their addresses are signed for a short time. A file
//! that is stored already is not fetched again.

use serde_json::Value;

use super::{DATA, TestExport, TestFile, absent};
use crate::appcenter::{Client, Error, Location, TestLink, TestPart, TestScope};
use crate::domain::AppRef;
use crate::stages::planned::sha256;
use crate::stages::{Context, StageError, Wait};
use crate::work::{Slice, names};
use crate::workflow::Record;

/// Most parts of one app: each is a call, and parts lead to parts.
const MAX_PARTS: usize = 1_000;
/// Most files of one app.
const MAX_FILES: usize = 20_000;
/// How often a part is asked for that fails for a reason that may pass.
const MAX_TRIES: u32 = 6;
/// What the account's data is called where it could not be had.
const ACCOUNT: &str = "the account's data of App Center Test";
/// What a file is called where it could not be had.
const FILE: &str = "a file of App Center Test";
/// Longest file, in bytes: a package takes no longer one.
const MAX_FILE: u64 = 1024 * 1024 * 1024;
/// How deep a part's objects are looked into.
const MAX_DEPTH: usize = 32;

/// Where the files of one app are stored.
pub(super) struct Folder {
    prefix: String,
}

impl Folder {
    pub(super) fn of(record: &Record, slice: &Slice) -> Self {
        let name = format!("files/{:05}/", slice.number);
        Self {
            prefix: names::of_step(&record.id, record.run, slice.step, &name),
        }
    }

    fn part(&self, number: usize) -> String {
        format!("{}{number:05}.json", self.prefix)
    }

    /// By its address, without a signature that is new each time: one file, however many parts name it.
    fn file(&self, address: &str) -> String {
        let (place, query) = address.split_once('?').unwrap_or((address, ""));
        let is_signed = query.split(['&', '#']).any(|it| it.starts_with("sig="));
        let place = if is_signed { place } else { address };
        let hash = sha256(place.as_bytes());
        format!("{}{}", self.prefix, hash.get(..32).unwrap_or_default())
    }
}

/// Asks for an index: what it leads to, and the parts that are described, are to be fetched.
pub(super) async fn index(
    client: &Client,
    app: &AppRef,
    of: TestScope,
    export: &mut TestExport,
) -> Result<(), StageError> {
    // A refusal is believed when it is said twice.
    let index = match client.test_export(app, of).await {
        Err(Error::NotFound(_) | Error::Unauthorized(_) | Error::Forbidden(_)) => {
            client.test_export(app, of).await
        }
        index => index,
    };
    match index {
        Ok(addresses) => {
            for address in addresses {
                match client.test_link(app, &address) {
                    Ok(TestLink::Part(part)) => add(export, part),
                    Ok(TestLink::File(_)) => {
                        let reason = "its index leads to another host, which gets no token";
                        export.miss(DATA, reason);
                    }
                    Err(error) => export.miss(DATA, error.to_string()),
                }
            }
        }
        // The token may see the app and nothing of the account; nobody is waited for because of that.
        Err(error @ (Error::Unauthorized(_) | Error::Forbidden(_))) if of == TestScope::Account => {
            export.miss(ACCOUNT, error.to_string());
            return Ok(());
        }
        Err(error) => {
            let reason = absent(client, app, error).await?;
            export.miss(DATA, reason);
        }
    }
    // Also those that the index leaves out.
    for part in TestPart::described(of) {
        add(export, part);
    }
    Ok(())
}

fn add(export: &mut TestExport, part: TestPart) {
    if export.parts.contains(&part) {
        return;
    }
    if export.parts.len() >= MAX_PARTS {
        export.miss(DATA, format!("there are more than {MAX_PARTS} parts"));
        return;
    }
    export.parts.push(part);
}

/// Fetches the next part with its files; whether there was one.
pub(super) async fn next(
    cx: Context<'_>,
    client: &Client,
    folder: &Folder,
    app: &AppRef,
    export: &mut TestExport,
) -> Result<bool, StageError> {
    let number = export.fetched;
    let Some(part) = export.parts.get(number).cloned() else {
        return Ok(false);
    };
    let bytes = match twice(client, app, &part).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let is_refused = matches!(error, Error::Unauthorized(_) | Error::Forbidden(_));
            if part.is_of_account() && is_refused {
                export.miss(ACCOUNT, error.to_string());
            } else {
                let reason = absent(client, app, error).await?;
                export.miss(DATA, reason);
            }
            export.fetched += 1;
            export.tries = 0;
            return Ok(true);
        }
    };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|_error| StageError::retry("App Center's test data is not JSON"))?;
    for link in links(&value) {
        match client.test_link(app, link.address) {
            Ok(TestLink::Part(part)) => add(export, part),
            Ok(TestLink::File(location)) => {
                let blob = folder.file(link.address);
                if export.files.iter().any(|it| it.blob == blob) {
                    continue;
                }
                if export.files.len() >= MAX_FILES {
                    export.miss(DATA, format!("there are more than {MAX_FILES} files"));
                    break;
                }
                if cx.is_out_of_time() {
                    // This part comes once more; the files that it stored are known by then.
                    return Ok(true);
                }
                match store(cx, client, &location, &blob).await {
                    Ok(()) => export.files.push(TestFile {
                        blob,
                        name: link.name(part.name()),
                        operation: part.operation().to_owned(),
                    }),
                    Err(Fault::Stage(error)) => return Err(error),
                    Err(Fault::Call(error)) => {
                        let reason = absent(client, app, error).await?;
                        export.miss(FILE, reason);
                    }
                }
            }
            Err(error) => export.miss(FILE, error.to_string()),
        }
    }
    let blob = folder.part(number);
    let store = &cx.app.store;
    store
        .put(&blob, "test data", bytes.to_vec(), "application/json")
        .await?;
    export.files.push(TestFile {
        blob,
        name: format!("{}.json", part.name()),
        operation: part.operation().to_owned(),
    });
    export.fetched += 1;
    export.tries = 0;
    Ok(true)
}

/// Counts a failure of the next part that may pass; whether it is left out now.
pub(super) fn skip(export: &mut TestExport, error: &StageError) -> bool {
    let StageError::Retry {
        reason,
        wait: Wait::Backoff | Wait::NotBefore(_),
    } = error
    else {
        return false;
    };
    export.tries += 1;
    if export.tries < MAX_TRIES {
        return false;
    }
    export.miss(DATA, reason.clone());
    export.fetched += 1;
    export.tries = 0;
    true
}

/// A refusal of a part is believed when it is said twice.
async fn twice(client: &Client, app: &AppRef, part: &TestPart) -> Result<bytes::Bytes, Error> {
    let personal = match client.test_part(app, part).await {
        Err(Error::NotFound(_) | Error::Unauthorized(_) | Error::Forbidden(_)) => {
            client.test_part(app, part).await?
        }
        other => other?,
    };
    Ok(personal.into_exposed())
}

/// An address in a part.
struct Link<'a> {
    /// The field that holds it, without `_url`.
    field: &'a str,
    /// What the object beside it calls the file, if it does.
    file: Option<&'a str>,
    address: &'a str,
}

impl Link<'_> {
    /// A name that says what the file is.
    fn name(&self, part: &str) -> String {
        let last = |text: &str| {
            let end = text.split(['?', '#']).next().unwrap_or_default();
            end.rsplit(['/', '\\'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let file = last(self.file.unwrap_or(self.address));
        format!("{part}-{}-{file}", self.field)
    }
}

/// Every field that ends in `_url`, at any depth.
fn links(value: &Value) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut open = vec![(value, 0)];
    while let Some((value, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            continue;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().rev().map(|it| (it, depth + 1))),
            Value::Object(fields) => {
                let text = |key: &str| fields.get(key).and_then(Value::as_str);
                let file = text("path").or_else(|| text("filename"));
                for (key, value) in fields {
                    match (key.strip_suffix("_url"), value) {
                        (Some(field), Value::String(address)) if !address.is_empty() => {
                            links.push(Link {
                                field,
                                file,
                                address,
                            });
                        }
                        _ => open.push((value, depth + 1)),
                    }
                }
            }
            _ => {}
        }
    }
    links
}

enum Fault {
    Call(Error),
    Stage(StageError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<crate::work::Error> for Fault {
    fn from(error: crate::work::Error) -> Self {
        Self::Stage(error.into())
    }
}

/// Stores a file unless it is stored, in memory that does not grow with it.
async fn store(
    cx: Context<'_>,
    client: &Client,
    location: &Location,
    blob: &str,
) -> Result<(), Fault> {
    let store = &cx.app.store;
    let container = store.container();
    if container
        .head(blob)
        .await
        .map_err(crate::work::Error::from)?
        .is_some()
    {
        return Ok(());
    }
    let mut download = match client.fetch(location, MAX_FILE).await {
        // Said once it may pass; said twice it is believed.
        Err(Error::Download { .. }) => client.fetch(location, MAX_FILE).await?,
        other => other?,
    };
    let mut writer = container.writer(blob, "application/octet-stream");
    while let Some(chunk) = download.chunk().await? {
        let written = writer.write(&chunk).await;
        written.map_err(crate::work::Error::from)?;
    }
    store.commit(writer, "a file of the test data").await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_at_any_depth_with_what_they_are_called() {
        let value = serde_json::json!([
            { "hash_file_url": "https://a/1?sig=x", "path": "screenshots/1.png" },
            { "deep": [{ "app_icon_url": "https://a/icon.png?sig=x#y" }], "url": "no", "empty_url": "" },
            { "app_url": 7, "list_url": ["x"] },
        ]);
        let links: Vec<(String, &str)> = links(&value)
            .iter()
            .map(|link| (link.name("part"), link.address))
            .collect();
        assert_eq!(
            links,
            [
                ("part-hash_file-1.png".to_owned(), "https://a/1?sig=x"),
                (
                    "part-app_icon-icon.png".to_owned(),
                    "https://a/icon.png?sig=x#y"
                ),
            ]
        );
    }

    #[test]
    fn what_is_nested_without_end_ends() {
        let mut value = serde_json::json!({ "x_url": "https://a/1" });
        for _ in 0..200 {
            value = Value::Array(vec![value]);
        }
        assert!(links(&value).is_empty());
    }
}
