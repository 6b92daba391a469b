//! The exporter: configurations, and the blobs that they bring into being.

pub(crate) mod payload;
mod plan;
pub(crate) mod rows;
mod storage;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ids::iso;
use crate::server::Shared;
use crate::state::State;
use crate::world::Layout;

pub(crate) use storage::{Written, can_connect};

/// Minutes whose blobs are built at once.
const MINUTES_AT_ONCE: usize = 32;

/// One export configuration of an app.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) id: Uuid,
    pub(crate) app: usize,
    /// The `type` of the request.
    pub(crate) kind: String,
    /// As they were sent; empty means analytics only.
    pub(crate) entities: Vec<String>,
    pub(crate) path_format: Option<String>,
    pub(crate) subscription_id: Option<String>,
    /// Where it writes; never shown in a reply.
    pub(crate) destination: String,
    pub(crate) resource_name: String,
    pub(crate) resource_group: String,
    pub(crate) backfill: bool,
    pub(crate) state: ExportState,
    pub(crate) state_info: String,
    pub(crate) created: Timestamp,
    pub(crate) last_run: Option<Timestamp>,
    /// Rows that arrived before this are exported, or never will be.
    pub(crate) exported_until: Timestamp,
    pub(crate) ticks_pending: u32,
    /// When a step first failed, if none has succeeded since.
    pub(crate) failing_since: Option<Timestamp>,
}

/// The state of an export configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportState {
    /// Made, nothing written yet.
    Pending,
    /// Writes what arrives.
    Enabled,
    /// Switched off, by somebody or (its storage having failed for long) by the service; what arrives meanwhile is never
    /// written.
    Disabled,
    /// The storage cannot be used.
    Invalid,
}

impl ExportState {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::Invalid => "Invalid",
        }
    }
}

/// What one step, or one whole archive, wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Blobs written, anew or again.
    pub blobs: usize,
    /// Log rows in them.
    pub rows: usize,
    /// Crashes and handled errors in them.
    pub reports: usize,
}

impl Configuration {
    pub(crate) fn is_app_insights(&self) -> bool {
        self.kind.starts_with("application_insights")
    }

    pub(crate) fn layout(&self) -> Layout {
        match self.path_format.as_deref() {
            Some("WithAppId") => Layout::WithAppId,
            _ => Layout::WithoutAppId,
        }
    }

    /// A step succeeded.
    fn succeeded(&mut self, now: Timestamp, exported_until: Timestamp) {
        self.last_run = Some(now);
        self.exported_until = exported_until;
        self.failing_since = None;
        if matches!(self.state, ExportState::Pending | ExportState::Invalid) {
            self.state = ExportState::Enabled;
            self.state_info.clear();
        }
    }

    /// A step failed: what is to be written waits for the next, but not for ever. Nobody is told of the end.
    fn failed(&mut self, now: Timestamp, patience: SignedDuration) {
        if self.state == ExportState::Disabled {
            return;
        }
        "The storage account could not be reached.".clone_into(&mut self.state_info);
        let since = *self.failing_since.get_or_insert(now);
        if now.duration_since(since) < patience {
            self.state = ExportState::Invalid;
        } else {
            self.state = ExportState::Disabled;
            self.failing_since = None;
        }
    }

    /// The reply's form. The nested part names no secret and no place.
    pub(crate) fn json(&self) -> Value {
        let mut nested = json!({
            "type": self.kind,
            "export_entities": self.entities,
            "resource_name": self.resource_name,
            "resource_group": self.resource_group,
            "backfill": self.backfill,
        });
        if let Some(id) = &self.subscription_id {
            nested["subscription_id"] = json!(id);
        }
        if !self.is_app_insights() {
            nested["blob_path_format_kind"] =
                json!(self.path_format.as_deref().unwrap_or("WithoutAppId"));
        }
        let mut body = json!({
            "id": self.id,
            "export_type": if self.is_app_insights() { "AppInsights" } else { "BlobStorage" },
            "creation_time": iso(self.created),
            "export_entities": self.entities,
            "state": self.state.name(),
            "resource_group": self.resource_group,
            "resource_name": self.resource_name,
            "export_configuration": nested,
        });
        if let Some(at) = self.last_run {
            body["last_run_time"] = json!(iso(at));
        }
        if !self.state_info.is_empty() {
            body["state_info"] = json!(self.state_info);
        }
        body
    }
}

/// One span of one app's data, to be written to one place.
#[derive(Debug, Clone)]
struct Job {
    app: usize,
    destination: String,
    layout: Layout,
    entities: Vec<String>,
    from: Timestamp,
    to: Timestamp,
}

/// Whole minutes only are written: those before this time.
fn end_of_export(now: Timestamp) -> Timestamp {
    whole_minute(now)
}

fn whole_minute(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second().div_euclid(60) * 60).unwrap_or(at)
}

/// Moves every configuration on by one step.
pub(crate) async fn tick(shared: &Shared) -> Exported {
    let _one_at_a_time = shared.exporting.lock().await;
    let mut total = Exported::default();
    let ids: Vec<Uuid> = {
        let state = shared.state();
        state.configurations.iter().map(|it| it.id).collect()
    };
    for id in ids {
        let Some(job) = next_job(&mut shared.state(), id) else {
            continue;
        };
        let to = job.to;
        let written = write(shared, &job).await;
        let mut state = shared.state();
        let now = state.now;
        let patience = SignedDuration::from_hours(state.quirks.disable_after_hours);
        let Some(it) = state.configurations.iter_mut().find(|it| it.id == id) else {
            continue;
        };
        match written {
            Ok(exported) => {
                total.blobs += exported.blobs;
                total.rows += exported.rows;
                total.reports += exported.reports;
                it.succeeded(now, to);
            }
            Err(error) => {
                it.failed(now, patience);
                tracing::debug!(%error, state = it.state.name(), "an export could not be written");
            }
        }
    }
    total
}

/// What a configuration writes in this step; `None` when it writes nothing.
fn next_job(state: &mut State, id: Uuid) -> Option<Job> {
    let pending_ticks = state.quirks.pending_ticks;
    let now = state.now;
    let it = state.configurations.iter_mut().find(|it| it.id == id)?;
    match it.state {
        ExportState::Disabled => return None,
        // One that was put into this state stays in it.
        ExportState::Invalid if it.failing_since.is_none() => return None,
        ExportState::Pending => {
            it.ticks_pending += 1;
            if it.ticks_pending < pending_ticks {
                return None;
            }
        }
        ExportState::Enabled | ExportState::Invalid => {}
    }
    if it.is_app_insights() {
        it.state = ExportState::Enabled;
        it.last_run = Some(now);
        return None;
    }
    Some(Job {
        app: it.app,
        destination: it.destination.clone(),
        layout: it.layout(),
        entities: it.entities.clone(),
        from: it.exported_until,
        to: end_of_export(now),
    })
}

/// Writes the whole archive of every app, as an earlier export would have left it.
pub(crate) async fn write_archive(shared: &Shared, destination: &str) -> anyhow::Result<Exported> {
    let _one_at_a_time = shared.exporting.lock().await;
    let jobs: Vec<Job> = {
        let state = shared.state();
        let all = ["crashes", "errors", "attachments"].map(str::to_owned);
        (0..state.world.apps.len())
            .map(|app| Job {
                app,
                destination: destination.to_owned(),
                layout: state.world.apps[app].style.layout,
                entities: all.to_vec(),
                from: Timestamp::MIN,
                to: end_of_export(state.now),
            })
            .collect()
    };
    let mut total = Exported::default();
    for job in jobs {
        let exported = write(shared, &job).await?;
        total.blobs += exported.blobs;
        total.rows += exported.rows;
        total.reports += exported.reports;
    }
    Ok(total)
}

/// How far back a configuration made now reaches.
pub(crate) fn first_minute(state: &State, backfill: bool) -> Timestamp {
    if backfill {
        whole_minute(state.now - SignedDuration::from_hours(24 * state.quirks.backfill_days))
    } else {
        whole_minute(state.now)
    }
}

async fn write(shared: &Shared, job: &Job) -> anyhow::Result<Exported> {
    let folders: Vec<(i64, plan::Folder)> = {
        let state = shared.state();
        plan::folders(&state, job.app, job.from, job.to)
            .into_iter()
            .collect()
    };
    let container = storage::container(&job.destination).await?;
    let mut exported = Exported::default();
    for minutes in folders.chunks(MINUTES_AT_ONCE) {
        let mut blobs = Vec::new();
        {
            let state = shared.state();
            for (minute, folder) in minutes {
                exported.rows += plan::blobs(&state, job, *minute, folder, &mut blobs);
                exported.reports += folder.reports.len();
            }
        }
        exported.blobs += blobs.len();
        storage::upload(&container, &shared.written, &job.destination, blobs).await?;
    }
    Ok(exported)
}
