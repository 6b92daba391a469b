//! What exists: apps, installs, groups, reports, log rows, and what requests must come to.

mod expect;
mod file;
mod fill;
mod generate;
mod load;
#[cfg(test)]
mod oracle;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use uuid::Uuid;

use crate::clock::Clock;

pub use expect::{Also, AppInstall, AppReport, AppTestRun, Expected, ExpectedRequest, Held};
pub use file::{BlobIds, BlobNames, ExportStyle, KeyCase, Layout, RowLink, Shape};
pub(crate) use fill::is_apple;
pub use generate::{GENERATED_APP, Spec};

/// The demo world's file.
const DEMO: &str = include_str!("../../worlds/demo.toml");

/// A world: everything that a simulated App Center knows at its start, and later.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) name: String,
    pub(crate) seed: String,
    pub(crate) epoch: Timestamp,
    pub(crate) owner: String,
    pub(crate) apps: Vec<App>,
    pub(crate) installs: Vec<Install>,
    pub(crate) groups: Vec<Group>,
    pub(crate) reports: Vec<Report>,
    pub(crate) events: Vec<Event>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) test_runs: Vec<TestRun>,
    pub(crate) requests: Vec<ExpectedRequest>,
    pub(crate) by_error_id: HashMap<String, usize>,
    /// Reports by the SDK's log ID, and by the legacy ID.
    pub(crate) by_guid: HashMap<Uuid, usize>,
}

/// One app of the owner.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) secret: Uuid,
    pub(crate) os: String,
    pub(crate) platform: String,
    pub(crate) retention_days: u16,
    pub(crate) versions: Vec<String>,
    pub(crate) next_link_without_app: bool,
    pub(crate) has_described_states: bool,
    pub(crate) style: ExportStyle,
}

/// The device that an install is seen on.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) model: String,
    pub(crate) oem: String,
    pub(crate) os_version: String,
    pub(crate) locale: String,
    pub(crate) country: String,
}

/// One installation of an app; a cloned one is seen on several devices.
#[derive(Debug, Clone)]
pub(crate) struct Install {
    pub(crate) name: String,
    pub(crate) app: usize,
    pub(crate) id: Uuid,
    pub(crate) version: String,
    pub(crate) devices: Vec<Device>,
    pub(crate) user: Option<Arc<str>>,
}

/// Reports of one cause in one version of an app.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) app: usize,
    pub(crate) id: String,
    pub(crate) legacy_id: String,
    pub(crate) is_crash: bool,
    pub(crate) version: String,
    pub(crate) exception: String,
    pub(crate) message: String,
    pub(crate) class: String,
    pub(crate) method: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    /// The search over reports covers what is symbolicated, lists cover everything.
    pub(crate) is_symbolicated: bool,
    /// Only the legacy API shows the group and its reports.
    pub(crate) is_legacy_only: bool,
    /// Its reports, newest first.
    pub(crate) reports: Vec<usize>,
}

/// One crash or handled error.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) group: usize,
    pub(crate) install: usize,
    pub(crate) device: usize,
    pub(crate) at: Timestamp,
    pub(crate) ingress: Timestamp,
    pub(crate) guid: Uuid,
    pub(crate) legacy_id: Uuid,
    pub(crate) error_id: String,
    pub(crate) user: Option<Arc<str>>,
    /// `None` stands for the group's message.
    pub(crate) message: Option<Arc<str>>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) attachments: Vec<Attachment>,
}

/// A file sent along with a report.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) id: Uuid,
    pub(crate) file_name: String,
    pub(crate) content_type: String,
    pub(crate) bytes: Arc<[u8]>,
}

/// What a log row that is no report tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    StartService,
    StartSession,
    Event,
}

/// A log row that is no report.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) install: usize,
    pub(crate) device: usize,
    pub(crate) at: Timestamp,
    pub(crate) ingress: Timestamp,
    pub(crate) kind: EventKind,
    pub(crate) name: Arc<str>,
    pub(crate) properties: Arc<[(String, String)]>,
    pub(crate) session: Uuid,
    pub(crate) id: Uuid,
}

/// A time in which the exporter writes nothing.
#[derive(Debug, Clone)]
pub(crate) struct Gap {
    pub(crate) app: usize,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// A run of App Center Test; it names no person.
#[derive(Debug, Clone)]
pub(crate) struct TestRun {
    pub(crate) id: Uuid,
    pub(crate) app: usize,
    pub(crate) at: Timestamp,
    pub(crate) series: String,
    pub(crate) description: String,
}

impl World {
    /// Reads a world file; its relative times count back from the present minute.
    ///
    /// # Errors
    /// When the text is no TOML of the schema, or a name in it stands for nothing.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Self::parse_at(text, Clock::real_now())
    }

    /// Reads a world file; its relative times count back from the minute of `now`.
    ///
    /// # Errors
    /// When the text is no TOML of the schema, or a name in it stands for nothing.
    pub fn parse_at(text: &str, now: Timestamp) -> anyhow::Result<Self> {
        load::load(text, whole_minute(now)?)
    }

    /// The demo world: two apps, 40 installs, 120 reports, and the people of its requests.
    ///
    /// # Errors
    /// Never with the file as it is committed.
    pub fn demo() -> anyhow::Result<Self> {
        Self::parse(DEMO).context("the demo world")
    }

    /// The demo world's file, as the start of another one.
    #[must_use]
    pub fn demo_toml() -> &'static str {
        DEMO
    }

    /// The same world with blobs that look otherwise; expected results stay as they are.
    #[must_use]
    pub fn with_export(mut self, style: &ExportStyle) -> Self {
        for app in &mut self.apps {
            let upper = style.upper_install_ids.or(app.style.upper_install_ids);
            app.style = ExportStyle {
                upper_install_ids: upper,
                ..style.clone()
            };
        }
        self
    }

    /// Makes a large world from a few numbers.
    ///
    /// # Errors
    /// When the numbers do not fit together (no install, more days than the service keeps).
    pub fn generate(spec: &Spec) -> anyhow::Result<Self> {
        generate::generate(spec, whole_minute(Clock::real_now())?)
    }

    /// The world's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The organisation that owns every app.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The names of the apps.
    #[must_use]
    pub fn apps(&self) -> Vec<&str> {
        self.apps.iter().map(|app| app.name.as_str()).collect()
    }

    /// The time from which relative times count back.
    #[must_use]
    pub fn epoch(&self) -> Timestamp {
        self.epoch
    }

    /// The requests that come with the world, and what each must come to.
    #[must_use]
    pub fn requests(&self) -> &[ExpectedRequest] {
        &self.requests
    }

    /// The request of this name.
    #[must_use]
    pub fn request(&self, name: &str) -> Option<&ExpectedRequest> {
        self.requests.iter().find(|request| request.name == name)
    }

    /// The ID (lower case, hyphens) of an install by its symbolic name.
    #[must_use]
    pub fn install_id(&self, name: &str) -> Option<String> {
        let install = self.installs.iter().find(|install| install.name == name)?;
        Some(install.id.to_string())
    }

    /// A report by its symbolic name.
    #[must_use]
    pub fn report(&self, name: &str) -> Option<AppReport> {
        let report = self.reports.iter().find(|report| report.name == name)?;
        Some(self.app_report(report))
    }

    /// A test run by its symbolic name.
    #[must_use]
    pub fn test_run(&self, name: &str) -> Option<AppTestRun> {
        let id = crate::ids::uuid(&self.seed, "test run", name);
        let run = self.test_runs.iter().find(|run| run.id == id)?;
        Some(AppTestRun {
            app: self.app_path(run.app),
            run: id.to_string(),
        })
    }

    /// The symbolic name of a report by its error ID.
    #[must_use]
    pub fn report_name(&self, error_id: &str) -> Option<&str> {
        let report = self.reports.get(*self.by_error_id.get(error_id)?)?;
        Some(&report.name)
    }

    /// How many apps, installs, groups, reports and log rows there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let attachments: usize = self.reports.iter().map(|it| it.attachments.len()).sum();
        Counts {
            apps: self.apps.len(),
            installs: self.installs.len(),
            groups: self.groups.len(),
            reports: self.reports.len(),
            attachments,
            rows: self.events.len() + self.reports.len() + attachments,
        }
    }

    /// `owner/name` of an app.
    pub(crate) fn app_path(&self, app: usize) -> String {
        let name = self.apps.get(app).map_or("", |app| app.name.as_str());
        format!("{}/{name}", self.owner)
    }

    pub(crate) fn app_report(&self, report: &Report) -> AppReport {
        let group = &self.groups[report.group];
        AppReport {
            app: self.app_path(group.app),
            group: group.id.clone(),
            error: report.error_id.clone(),
        }
    }

    /// Sorts the groups' reports and fills the indexes; to be called after reports were added in bulk.
    pub(crate) fn index(&mut self) {
        self.by_error_id.clear();
        self.by_guid.clear();
        for group in &mut self.groups {
            group.reports.clear();
        }
        for (index, report) in self.reports.iter().enumerate() {
            self.by_error_id.insert(report.error_id.clone(), index);
            self.by_guid.insert(report.guid, index);
            self.by_guid.insert(report.legacy_id, index);
            self.groups[report.group].reports.push(index);
        }
        let reports = &self.reports;
        for group in &mut self.groups {
            group
                .reports
                .sort_by(|a, b| reports[*a].error_id.cmp(&reports[*b].error_id));
        }
    }

    /// Adds one report behind the start, keeping the indexes.
    pub(crate) fn add_report(&mut self, report: Report) -> usize {
        let index = self.reports.len();
        self.by_error_id.insert(report.error_id.clone(), index);
        self.by_guid.insert(report.guid, index);
        self.by_guid.insert(report.legacy_id, index);
        let list = &mut self.groups[report.group].reports;
        let reports = &self.reports;
        let place = list.partition_point(|it| reports[*it].error_id < report.error_id);
        list.insert(place, index);
        self.reports.push(report);
        index
    }
}

/// How much a world holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Apps of the owner.
    pub apps: usize,
    /// Installs over all apps.
    pub installs: usize,
    /// Groups over all apps.
    pub groups: usize,
    /// Crashes and handled errors.
    pub reports: usize,
    /// Files sent along with reports.
    pub attachments: usize,
    /// Log rows that a whole archive has, those of reports and attachments included.
    pub rows: usize,
}

fn whole_minute(now: Timestamp) -> anyhow::Result<Timestamp> {
    Timestamp::from_second(now.as_second().div_euclid(60) * 60).context("the time is out of range")
}
