//! What a request must come to, in the IDs that App Center and the storage show.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::{Value, json};

use super::World;
use super::file::{ExpectedEntry, ItemEntry, RequestEntry};

/// An install in an app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AppInstall {
    /// `owner/name`.
    pub app: String,
    /// Lower case, with hyphens.
    pub install: String,
}

/// A report in an app, by the IDs of the current API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AppReport {
    /// `owner/name`.
    pub app: String,
    /// The group's ID (digits, `u` behind for crashes).
    pub group: String,
    /// The error's ID (19 digits, hyphen, GUID).
    pub error: String,
}

/// A run of App Center Test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AppTestRun {
    /// `owner/name`.
    pub app: String,
    /// The run's ID: lower case, with hyphens.
    pub run: String,
}

/// A finding that waits for a person's decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Held {
    /// An install that is not blocked unless a person says so.
    Install {
        /// `owner/name`.
        app: String,
        /// Lower case, with hyphens.
        install: String,
        /// `shared`, `cloned`, `term` or `token`.
        reason: String,
    },
    /// A report that is not deleted unless a person says so.
    Report {
        /// `owner/name`.
        app: String,
        /// The group's ID.
        group: String,
        /// The error's ID.
        error: String,
        /// `shared`, `cloned`, `term` or `token`.
        reason: String,
    },
    /// A test run that is not deleted unless a person says so.
    TestRun {
        /// `owner/name`.
        app: String,
        /// The run's ID.
        run: String,
    },
}

/// What a request comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// Installs acted on: blocked by a delete, the person's own in an export.
    pub installs: BTreeSet<AppInstall>,
    /// Reports acted on: deleted by a delete, in the package of an export.
    pub reports: BTreeSet<AppReport>,
    /// Test runs deleted: only those that an approval names.
    pub test_runs: BTreeSet<AppTestRun>,
    /// Findings that are not acted on.
    pub held: BTreeSet<Held>,
    /// Log rows of the person by `owner/name`: those of the installs acted on, and those elsewhere that name the person
    /// by a user ID or an e-mail address.
    pub rows: BTreeMap<String, usize>,
    /// File names of the attachments of the reports acted on, by error ID.
    pub attachments: BTreeSet<(String, String)>,
}

/// Held items that are approved as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Also {
    /// What the variant is about.
    pub name: String,
    /// The held items whose IDs stand in `also`.
    pub include: BTreeSet<Held>,
    /// What is acted on then, the rest included. `rows` is as without it.
    pub expected: Expected,
}

/// A request document and what it must come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpectedRequest {
    /// A name unique in the world.
    pub name: String,
    /// Whom it is about, for people who read the results.
    pub person: String,
    /// The body of the request.
    pub document: Value,
    /// What it comes to.
    pub expected: Expected,
    /// What it comes to when held items are approved as well.
    pub also: Vec<Also>,
}

impl ExpectedRequest {
    /// Whether the request is an erasure.
    #[must_use]
    pub fn is_delete(&self) -> bool {
        self.document["kind"] == "delete"
    }

    /// The installs that App Center must show as blocked afterwards: none for an export.
    #[must_use]
    pub fn blocked(&self) -> BTreeSet<AppInstall> {
        if self.is_delete() {
            self.expected.installs.clone()
        } else {
            BTreeSet::new()
        }
    }

    /// The reports that App Center must show as deleted afterwards: none for an export.
    #[must_use]
    pub fn deleted(&self) -> BTreeSet<AppReport> {
        if self.is_delete() {
            self.expected.reports.clone()
        } else {
            BTreeSet::new()
        }
    }
}

impl ExpectedRequest {
    /// The test runs that App Center must not show any more afterwards.
    #[must_use]
    pub fn archived(&self) -> BTreeSet<AppTestRun> {
        self.expected.test_runs.clone()
    }

    /// The same request, approved with a variant of held items.
    #[must_use]
    pub fn with(&self, also: &Also) -> Self {
        Self {
            expected: also.expected.clone(),
            ..self.clone()
        }
    }
}

/// Turns an entry of the file into documents and IDs.
pub(super) fn request(world: &World, entry: RequestEntry) -> anyhow::Result<ExpectedRequest> {
    let name = entry.name.clone();
    build(world, entry).with_context(|| format!("the request `{name}`"))
}

fn build(world: &World, entry: RequestEntry) -> anyhow::Result<ExpectedRequest> {
    let mut install_ids = Vec::new();
    for id in &entry.install_ids {
        install_ids.push(match id.strip_prefix('@') {
            Some(name) => world
                .install_id(name)
                .with_context(|| format!("there is no install `{name}`"))?,
            None => id.clone(),
        });
    }
    let mut subject = serde_json::Map::new();
    for (key, list) in [
        ("install_ids", install_ids),
        ("user_ids", entry.user_ids),
        ("emails", entry.emails),
        ("terms", entry.terms),
    ] {
        if !list.is_empty() {
            subject.insert(key.to_owned(), json!(list));
        }
    }
    let apps: Vec<Value> = entry
        .apps
        .iter()
        .map(|name| json!({ "owner": world.owner, "name": name }))
        .collect();
    let mut document = json!({
        "kind": entry.kind,
        "reference": entry.reference,
        "apps": apps,
        "subject": subject,
    });
    if let Some(include) = entry.include {
        document["include"] = json!(include);
    }
    let expected = expected(world, &entry.expected)?;
    let mut also = Vec::new();
    for variant in entry.also {
        let mut with = expected.clone();
        let mut include = BTreeSet::new();
        for item in &variant.include {
            let found = held(world, item)?;
            let known = expected
                .held
                .iter()
                .find(|it| same(it, &found))
                .with_context(|| format!("`{}` includes what is not held", variant.name))?;
            with.held.remove(known);
            include.insert(known.clone());
            match known {
                Held::Install { app, install, .. } => {
                    with.installs.insert(AppInstall {
                        app: app.clone(),
                        install: install.clone(),
                    });
                }
                Held::Report {
                    app, group, error, ..
                } => {
                    with.reports.insert(AppReport {
                        app: app.clone(),
                        group: group.clone(),
                        error: error.clone(),
                    });
                }
                Held::TestRun { app, run } => {
                    with.test_runs.insert(AppTestRun {
                        app: app.clone(),
                        run: run.clone(),
                    });
                }
            }
        }
        with.attachments = attachments(world, &with.reports);
        also.push(Also {
            name: variant.name,
            include,
            expected: with,
        });
    }
    Ok(ExpectedRequest {
        name: entry.name,
        person: entry.person,
        document,
        expected,
        also,
    })
}

fn expected(world: &World, entry: &ExpectedEntry) -> anyhow::Result<Expected> {
    let mut expected = Expected::default();
    for text in &entry.installs {
        expected.installs.insert(install(world, text)?);
    }
    for name in &entry.reports {
        let before = expected.reports.len();
        match name.strip_suffix('*') {
            Some(prefix) => {
                let all = world
                    .reports
                    .iter()
                    .filter(|it| it.name.starts_with(prefix));
                expected.reports.extend(all.map(|it| world.app_report(it)));
            }
            None => expected.reports.extend(world.report(name)),
        }
        if expected.reports.len() == before {
            bail!("`{name}` adds no report");
        }
    }
    for item in &entry.held {
        if !expected.held.insert(held(world, item)?) {
            bail!("an item is held twice");
        }
    }
    for (app, rows) in &entry.rows {
        let app = app_index(world, app)?;
        expected.rows.insert(world.app_path(app), *rows);
    }
    expected.attachments = attachments(world, &expected.reports);
    Ok(expected)
}

pub(super) fn attachments(
    world: &World,
    reports: &BTreeSet<AppReport>,
) -> BTreeSet<(String, String)> {
    let mut names = BTreeSet::new();
    for report in reports {
        let Some(index) = world.by_error_id.get(&report.error) else {
            continue;
        };
        for attachment in &world.reports[*index].attachments {
            names.insert((report.error.clone(), attachment.file_name.clone()));
        }
    }
    names
}

fn same(a: &Held, b: &Held) -> bool {
    match (a, b) {
        (
            Held::Install { app, install, .. },
            Held::Install {
                app: other_app,
                install: other,
                ..
            },
        ) => app == other_app && install == other,
        (Held::Report { error, .. }, Held::Report { error: other, .. }) => error == other,
        (Held::TestRun { run, .. }, Held::TestRun { run: other, .. }) => run == other,
        (Held::Install { .. } | Held::Report { .. } | Held::TestRun { .. }, _) => false,
    }
}

fn held(world: &World, item: &ItemEntry) -> anyhow::Result<Held> {
    let reason = item.reason.clone();
    match (&item.install, &item.report, &item.test_run) {
        (Some(text), None, None) => {
            let AppInstall { app, install } = install(world, text)?;
            Ok(Held::Install {
                app,
                install,
                reason,
            })
        }
        (None, Some(name), None) => {
            let AppReport { app, group, error } = world
                .report(name)
                .with_context(|| format!("there is no report `{name}`"))?;
            Ok(Held::Report {
                app,
                group,
                error,
                reason,
            })
        }
        (None, None, Some(name)) => {
            let AppTestRun { app, run } = world
                .test_run(name)
                .with_context(|| format!("there is no test run `{name}`"))?;
            Ok(Held::TestRun { app, run })
        }
        _ => bail!("a held item is an install, a report or a test run"),
    }
}

fn app_index(world: &World, name: &str) -> anyhow::Result<usize> {
    world
        .apps
        .iter()
        .position(|app| app.name == name)
        .with_context(|| format!("there is no app `{name}`"))
}

fn install(world: &World, text: &str) -> anyhow::Result<AppInstall> {
    let (app, name) = text
        .split_once(':')
        .with_context(|| format!("`{text}` is not APP:INSTALL"))?;
    Ok(AppInstall {
        app: world.app_path(app_index(world, app)?),
        install: world
            .install_id(name)
            .with_context(|| format!("there is no install `{name}`"))?,
    })
}
