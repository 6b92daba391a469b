//! Which folders a span of time has, and which blobs stand in each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Job, payload, rows};
use crate::state::State;
use crate::world::{BlobNames, Layout, Report, RowLink, Shape};

/// What arrived in one minute.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) events: Vec<usize>,
    pub(super) reports: Vec<usize>,
}

/// A blob to be written.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Rows of another app may stand under the same name: they are kept.
    pub(super) is_shared: bool,
}

/// An app's arrivals in `from..to`, by minute. What was dropped at arrival is not there, nor what a gap swallowed.
pub(super) fn folders(
    state: &State,
    app: usize,
    from: Timestamp,
    to: Timestamp,
) -> BTreeMap<i64, Folder> {
    let mut folders: BTreeMap<i64, Folder> = BTreeMap::new();
    let world = &state.world;
    let is_wanted = |install: usize, ingress: Timestamp| {
        let install = &world.installs[install];
        install.app == app
            && (from..to).contains(&ingress)
            && !state.is_dropped(app, install.id, ingress)
            && !world
                .gaps
                .iter()
                .any(|gap| gap.app == app && (gap.from..gap.to).contains(&ingress))
    };
    for (index, event) in world.events.iter().enumerate() {
        if is_wanted(event.install, event.ingress) {
            let minute = event.ingress.as_second().div_euclid(60);
            folders.entry(minute).or_default().events.push(index);
        }
    }
    for (index, report) in world.reports.iter().enumerate() {
        if is_wanted(report.install, report.ingress) {
            let minute = report.ingress.as_second().div_euclid(60);
            folders.entry(minute).or_default().reports.push(index);
        }
    }
    folders
}

/// The name of a minute's folder, with a slash at its end.
fn folder_name(state: &State, app: usize, layout: Layout, minute: i64) -> String {
    let at = Timestamp::from_second(minute * 60).unwrap_or(Timestamp::UNIX_EPOCH);
    let path = at.strftime("%Y/%m/%d/%H/%M/");
    match layout {
        Layout::WithAppId => format!("{}/{path}", state.world.apps[app].id),
        Layout::WithoutAppId => path.to_string(),
    }
}

/// Adds the blobs of one minute to `blobs`; returns how many log rows they hold.
pub(super) fn blobs(
    state: &State,
    job: &Job,
    minute: i64,
    folder: &Folder,
    blobs: &mut Vec<Blob>,
) -> usize {
    let style = &state.world.apps[job.app].style;
    let base = folder_name(state, job.app, job.layout, minute);
    let has = |entity: &str| job.entities.iter().any(|it| it == entity);
    let link = |name: &str| match style.row_link {
        RowLink::Plain => name.to_owned(),
        RowLink::Json => serde_json::json!({ "blob": name }).to_string(),
        RowLink::None => "None".to_owned(),
    };
    let mut rows: Vec<Value> = Vec::new();
    for event in &folder.events {
        rows.push(rows::event(state, *event));
    }
    let mut bundles: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for index in &folder.reports {
        let report = &state.world.reports[*index];
        let is_crash = state.world.groups[report.group].is_crash;
        let kind = if is_crash { "crashes" } else { "errors" };
        let name = match style.shape {
            Shape::Object | Shape::Array => format!("{base}{kind}/{}.json", stem(state, report)),
            Shape::Lines | Shape::Bundle => format!("{base}{kind}/{kind}.json"),
        };
        // A report deleted before its minute is exported leaves its row only.
        let is_there = has(kind) && !state.deleted.contains(index);
        let text = if is_there {
            link(&name)
        } else {
            "None".to_owned()
        };
        rows.push(rows::report(state, *index, &text));
        if is_there {
            let value = payload::report(state, *index);
            bundles.entry(name).or_default().push(value);
        }
        for attachment in &report.attachments {
            let name = match style.blob_names {
                BlobNames::ErrorId => {
                    format!("{base}attachments/{}/{}", report.error_id, attachment.id)
                }
                BlobNames::Guid => format!("{base}attachments/{}/{}", report.guid, attachment.id),
                BlobNames::Opaque => {
                    let id =
                        crate::ids::uuid(&state.world.seed, "blob", &attachment.id.to_string());
                    format!("{base}attachments/{}", id.simple())
                }
            };
            let is_there = has("attachments") && !state.deleted.contains(index);
            let text = if is_there {
                link(&name)
            } else {
                "None".to_owned()
            };
            rows.push(rows::attachment(state, *index, attachment, &text));
            if is_there {
                blobs.push(Blob {
                    name,
                    bytes: attachment.bytes.to_vec(),
                    is_shared: false,
                });
            }
        }
    }
    for (name, values) in bundles {
        let mut text = payload::text(style.shape, &values);
        if style.bom {
            text.insert(0, '\u{feff}');
        }
        blobs.push(Blob {
            name,
            bytes: text.into_bytes(),
            is_shared: false,
        });
    }
    if job.entities.iter().any(|it| it == "no_logs") {
        return 0;
    }
    if style.duplicates {
        rows.extend(rows.clone());
    }
    let n_rows = rows.len();
    let mut text = Value::Array(rows).to_string();
    if style.bom {
        text.insert(0, '\u{feff}');
    }
    blobs.push(Blob {
        name: format!("{base}logs.v1.data"),
        bytes: text.into_bytes(),
        is_shared: job.layout == Layout::WithoutAppId,
    });
    n_rows
}

fn stem(state: &State, report: &Report) -> String {
    match state.world.apps[state.world.groups[report.group].app]
        .style
        .blob_names
    {
        BlobNames::ErrorId => report.error_id.clone(),
        BlobNames::Guid => report.guid.to_string(),
        BlobNames::Opaque => crate::ids::uuid(&state.world.seed, "blob", &report.error_id)
            .simple()
            .to_string(),
    }
}
