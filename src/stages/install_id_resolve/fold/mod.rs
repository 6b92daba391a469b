//! From hits to installs and reports: what each says of itself, taken together. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

pub use super::rows::Named;
use super::rows::{Owner, Rows, is_outside, time_of};
use crate::domain::document::Window;
use crate::domain::hit::{Hit, InstallFrom, LISTED, Stream};
use crate::domain::{ErrorId, GroupId, InstallId, LegacyIds};
use crate::search::facts::ids_in_name;
use crate::stages::inventory::Bridge;
use crate::work::names;

/// An installation, as its rows and reports show it.
#[derive(Debug, Clone, Default)]
pub struct Install {
    /// Whether the request gave it.
    pub given: bool,
    /// Whether its rows or reports name the person.
    pub named: Named,
    /// User IDs it shows.
    pub users: BTreeSet<String>,
    /// Device models it shows.
    pub models: BTreeSet<String>,
    /// Log rows.
    pub rows: u64,
    /// Log rows that name the person.
    pub rows_named: u64,
    /// How it was found.
    pub provenance: BTreeSet<&'static str>,
}

/// A report, as its blobs and rows show it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Its ID, if a blob, name or row says it.
    pub error_id: Option<ErrorId>,
    /// Its group, if a blob says it.
    pub group_id: Option<GroupId>,
    /// The installation that sent it, by its own words or by a log row that names it.
    pub install: Option<InstallId>,
    /// Whether only log rows that name its blob, or its GUID, told the install so far.
    pub by_row: bool,
    /// It holds a searched install ID without saying that it is of it.
    pub mentions: bool,
    /// Name and content tell different reports, so that neither is acted on.
    pub disagrees: bool,
    /// User IDs it shows.
    pub users: BTreeSet<String>,
    /// Device models it shows.
    pub models: BTreeSet<String>,
    /// Whether it names the person itself.
    pub named: Named,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// Archive blobs that hold it.
    pub blobs: BTreeSet<String>,
    /// What was fetched of it by API.
    pub collected: BTreeSet<String>,
    /// What the legacy API calls it, where only that one knows it.
    pub legacy: Option<LegacyIds>,
    /// Whether something said that it is of this app.
    pub is_of_app: bool,
}

impl Report {
    /// Takes an ID; the whole one, which calls need, rather than the GUID alone.
    fn learn_id(&mut self, told: Option<ErrorId>) {
        let is_whole = |id: &ErrorId| id.timestamp().is_some();
        let is_better =
            told.as_ref().is_some_and(is_whole) && !self.error_id.as_ref().is_some_and(is_whole);
        if self.error_id.is_none() || is_better {
            self.error_id = told;
        }
    }
}

/// Log rows that name the person and belong to no installation.
#[derive(Debug, Clone, Copy, Default)]
pub struct LooseRows {
    /// That name the person for sure.
    pub exact: u64,
    /// That hold a token or term only.
    pub weak: u64,
}

/// What was found of one app.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Installations.
    pub installs: BTreeMap<InstallId, Install>,
    /// Reports, by GUID where there is one, else by blob.
    pub reports: BTreeMap<String, Report>,
    /// Rows of no installation.
    pub loose: LooseRows,
    /// Records outside of the window.
    pub outside_window: u64,
    /// Rows that name no app, in folders that name none.
    pub rows_of_no_app: u64,
    /// Days of the pass over the installs that could not be searched: who else used them is not known.
    pub is_incomplete: bool,
    /// What records outside of the window show of their installs: it still tells whether they are shared.
    outside: BTreeMap<InstallId, (BTreeSet<String>, BTreeSet<String>)>,
    rows: Rows,
}

/// What a report is known by here: its GUID, where its ID has one.
fn key_of(id: &ErrorId) -> String {
    id.guid()
        .map_or_else(|| id.to_string(), |guid| guid.to_string())
}

/// The report that a log row without a link is about.
fn guid_of_row(hit: &Hit) -> Option<ErrorId> {
    let is_report = matches!(
        hit.message_type.as_deref(),
        Some("ErrorLog" | "HandledErrorLog")
    );
    let id = hit.message_id.as_ref().filter(|_| is_report)?;
    id.parse().ok()
}

/// How a report told its install, in words.
fn provenance(hit: &Hit) -> &'static str {
    match hit.install_from {
        InstallFrom::Record if names::is_collected(&hit.blob) => "InstallId of a report got by API",
        InstallFrom::Record => "InstallId of a report",
        InstallFrom::AppleKey => "CrashReporter Key of a report",
        InstallFrom::RawLog => "install ID in a report's raw log",
        InstallFrom::SessionLogs => "install ID in a report's session logs",
    }
}

impl Findings {
    /// With the installs that the request gave.
    #[must_use]
    pub fn new(given: &[InstallId]) -> Self {
        let mut findings = Self::default();
        for id in given {
            let install = findings.installs.entry(*id).or_default();
            install.given = true;
            install.provenance.insert("given in the request");
        }
        findings
    }

    /// Takes a hit of the app (`is_of_app` when its record or path says so).
    pub fn take(&mut self, hit: &Hit, is_of_app: bool, window: Option<&Window>) {
        let at = time_of(hit);
        if is_outside(hit, window) {
            self.outside_window += 1;
            if let Some(owner) = hit.install.filter(|_| is_of_app) {
                let (users, models) = self.outside.entry(owner).or_default();
                users.extend(hit.users.iter().cloned());
                models.extend(hit.model.clone());
            }
            return;
        }
        match Stream::of(&hit.blob) {
            Stream::Crashes | Stream::Errors | Stream::Attachments => {
                self.take_report(hit, is_of_app, at);
            }
            Stream::Logs | Stream::Other => self.take_row(hit, is_of_app, window),
        }
    }

    fn show(&mut self, owner: InstallId, hit: &Hit, provenance: &'static str) -> &mut Install {
        let install = self.installs.entry(owner).or_default();
        install.named.add(&hit.reasons);
        install.users.extend(hit.users.iter().cloned());
        install.models.extend(hit.model.clone());
        install.provenance.insert(provenance);
        install
    }

    fn take_row(&mut self, hit: &Hit, is_of_app: bool, window: Option<&Window>) {
        if let Some(row) = self.rows.take(hit, is_of_app, window) {
            let is_new = u64::from(row.is_new);
            match row.owner {
                Owner::NoApp => self.rows_of_no_app += is_new,
                Owner::Install(owner) => {
                    let install = self.show(owner, hit, "InstallId of a log row");
                    install.rows += is_new;
                    install.rows_named += is_new * u64::from(row.named.exact);
                }
                Owner::Loose => {
                    self.loose.exact += is_new * u64::from(row.named.exact);
                    self.loose.weak += is_new * u64::from(row.named.weak && !row.named.exact);
                }
            }
        }
        // A row names its report's blob; where it names none, its own ID is the report's GUID.
        let (error_id, payload) = match &hit.payload {
            Some(payload) => {
                let named = ids_in_name(payload).error_id;
                let blob = names::beside(&hit.blob, payload);
                (named.or_else(|| hit.error_id.clone()), Some(blob))
            }
            None => (guid_of_row(hit), None),
        };
        if error_id.is_none() && payload.is_none() {
            return;
        }
        let report = self.report(error_id.as_ref(), payload.as_deref().unwrap_or_default());
        report.blobs.extend(payload);
        report.learn_id(error_id);
        report.by_row |= report.install.is_none() && hit.install.is_some();
        report.install = report.install.or(hit.install);
        report.named.add(&hit.reasons);
        report.at = report.at.or_else(|| time_of(hit));
        report.is_of_app |= is_of_app;
    }

    fn take_report(&mut self, hit: &Hit, is_of_app: bool, at: Option<Timestamp>) {
        let report = self.report(hit.error_id.as_ref(), &hit.blob);
        let is_ours = names::is_collected(&hit.blob) || hit.blob.starts_with(LISTED);
        if names::is_collected(&hit.blob) {
            report.collected.insert(hit.blob.clone());
        } else if !is_ours {
            report.blobs.insert(hit.blob.clone());
        }
        // The archive has no such IDs: what looks like them there is text.
        let legacy = hit.legacy.clone().filter(|_| is_ours);
        report.legacy = report.legacy.take().or(legacy);
        report.learn_id(hit.error_id.clone());
        report.group_id = report.group_id.take().or_else(|| hit.group_id.clone());
        report.by_row &= hit.install.is_none();
        report.install = hit.install.or(report.install);
        report.mentions |= !hit.holds.is_empty() && hit.install.is_none();
        report.disagrees |= hit.disagrees;
        report.users.extend(hit.users.iter().cloned());
        report.models.extend(hit.model.clone());
        report.named.add(&hit.reasons);
        report.at = report.at.or(at);
        report.is_of_app |= is_of_app;
        // An install that was searched for, or that this report shows to be the person's; one that it only mentions is
        // none of theirs.
        if let Some(own) = hit.install
            && hit.holds.contains(&own)
            && is_of_app
        {
            self.show(own, hit, provenance(hit));
        }
    }

    fn report(&mut self, error_id: Option<&ErrorId>, blob: &str) -> &mut Report {
        let key = error_id.map_or_else(|| format!("blob {blob}"), key_of);
        self.reports.entry(key).or_default()
    }

    /// What reports say of their installs once all is folded: a report that names the person makes its install the
    /// person's, also where only its attachment was found and another record tells the install. Only what is known to be
    /// of this app counts. Can be repeated.
    pub fn close(&mut self) {
        for report in self.reports.values() {
            let Some(id) = report.install.filter(|_| report.is_of_app) else {
                continue;
            };
            if !report.named.exact && !report.named.weak {
                continue;
            }
            let install = self.installs.entry(id).or_default();
            install.named.exact |= report.named.exact;
            install.named.weak |= report.named.weak;
            install.users.extend(report.users.iter().cloned());
            install.models.extend(report.models.iter().cloned());
            install.provenance.insert(if report.by_row {
                "a log row that names a report of it"
            } else {
                "a report of it"
            });
        }
        for (id, (users, models)) in &self.outside {
            if let Some(install) = self.installs.get_mut(id) {
                install.users.extend(users.iter().cloned());
                install.models.extend(models.iter().cloned());
            }
        }
    }

    /// Takes what the app's legacy list calls a report, if that is one of those found: the list is of the app, so it is, too.
    pub fn bridge(&mut self, bridge: Bridge) {
        let Some(report) = self.reports.get_mut(&key_of(&bridge.error)) else {
            return;
        };
        report.learn_id(Some(bridge.error));
        report.group_id = report.group_id.take().or(Some(bridge.group));
        report.legacy = report.legacy.take().or(Some(bridge.legacy));
        report.is_of_app = true;
    }

    /// Notes that a look-up found a report in this app.
    pub fn attribute(&mut self, key: &str) {
        if let Some(report) = self.reports.get_mut(key) {
            report.is_of_app = true;
        }
    }

    /// Installs that are the person's and were not searched for yet. One that only a term or token found is held
    /// whatever else it shows, so nothing more of it is looked for.
    #[must_use]
    pub fn new_installs(&self, searched: &[InstallId]) -> Vec<InstallId> {
        self.installs
            .iter()
            .filter(|(id, install)| install.named.exact && !searched.contains(id))
            .map(|(id, _install)| *id)
            .collect()
    }

    /// Names of payload blobs whose install or app is not known: rows that name them tell it.
    #[must_use]
    pub fn unlinked(&self) -> Vec<String> {
        self.reports
            .values()
            .filter(|report| report.install.is_none() || !report.is_of_app)
            .flat_map(|report| &report.blobs)
            .map(|blob| names::account_of(blob).1.to_owned())
            .collect()
    }

    /// GUIDs of the same reports.
    #[must_use]
    pub fn unlinked_guids(&self) -> Vec<Uuid> {
        self.reports
            .values()
            .filter(|report| report.install.is_none() || !report.is_of_app)
            .filter_map(|report| report.error_id.as_ref()?.guid())
            .collect()
    }
}

#[cfg(test)]
mod tests;
