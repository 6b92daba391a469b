//! What to act on and what to hold. Pure: findings in, items out.
//!
//! `hold` beats `act`. An install that several people or several device models show is held, and so are its reports
//! that do not name the person; what only a token or term found is held; everything else that is the person's is acted
//! on.

use std::collections::BTreeMap;

use super::fold::{Findings, Install, Named, Report};
use crate::domain::plan::{
    Action, AlsoSeen, InstallItem, Large, ReportItem, RowsItem, Unattributed, item_id,
};
use crate::domain::{AppRef, ErrorId, GroupId, InstallId, Subject, Window};

/// The items of one app.
#[derive(Debug, Default)]
pub struct Items {
    /// Installations.
    pub installs: Vec<InstallItem>,
    /// Reports.
    pub reports: Vec<ReportItem>,
    /// Log rows.
    pub rows: Vec<RowsItem>,
    /// What leads nowhere.
    pub unattributed: Vec<Unattributed>,
    /// Other user IDs of the person's installs.
    pub also_seen: Vec<AlsoSeen>,
}

type Verdict = (Action, String);

fn act(reason: &str) -> Verdict {
    (Action::Act, reason.to_owned())
}

fn hold(reason: &str) -> Verdict {
    (Action::Hold, reason.to_owned())
}

/// What to do with an install.
#[must_use]
pub fn install_verdict(install: &Install, is_incomplete: bool) -> Verdict {
    if install.users.len() >= 2 {
        return hold("shared: the install shows two or more user IDs");
    }
    if install.models.len() >= 2 {
        return hold("cloned: the install ID shows two or more device models");
    }
    if is_incomplete && !install.given {
        return hold("not searched whole: who else used the install is not known");
    }
    match (install.given, install.named) {
        (true, _) => act("install ID given in the request"),
        (false, Named { exact: true, .. }) => {
            act("a given user ID or e-mail was found on this install")
        }
        (false, _) => hold("found only by a term, or by a user ID inside text"),
    }
}

/// What to do with a report, given what is done with its install.
#[must_use]
pub fn report_verdict(report: &Report, install: Option<&Verdict>) -> Verdict {
    if report.disagrees {
        return hold("the blob's name and its content tell different reports");
    }
    if report.named.exact {
        return act("the report itself holds a given user ID or e-mail");
    }
    match install {
        Some((Action::Act, _)) => act("a report of an install that is acted on"),
        Some((Action::Hold, reason)) => {
            let kind = reason.split(':').next().unwrap_or("held");
            hold(&format!(
                "a report of a held install ({kind}) that does not name the person"
            ))
        }
        _ if report.named.weak => hold("found only by a term, or by a user ID inside text"),
        _ => hold("it mentions a searched install ID and is of another install, or of none"),
    }
}

/// Whether an install has anything to do with the request: one that a report merely links to does.
fn is_relevant(install: &Install) -> bool {
    install.given || install.named.exact || install.named.weak
}

/// Turns an app's findings into items; `ids` holds the report IDs that lookups found, by the findings' keys.
#[must_use]
pub fn items(
    app: &AppRef,
    findings: &Findings,
    ids: &BTreeMap<String, (GroupId, ErrorId)>,
    subject: &Subject,
    window: Option<&Window>,
) -> Items {
    let mut items = Items::default();
    let mut verdicts: BTreeMap<InstallId, Verdict> = BTreeMap::new();
    for (id, install) in &findings.installs {
        if !is_relevant(install) {
            continue;
        }
        let verdict = install_verdict(install, findings.is_incomplete);
        items.installs.push(InstallItem {
            id: item_id("install", app, &id.to_string()),
            app: app.clone(),
            install_id: *id,
            action: verdict.0,
            reason: verdict.1.clone(),
            provenance: install
                .provenance
                .iter()
                .map(|it| (*it).to_owned())
                .collect(),
            rows: install.rows,
            users: install.users.len(),
            models: install.models.len(),
        });
        items.rows.extend(rows_of(app, *id, install, &verdict));
        let others = install
            .users
            .iter()
            .filter(|user| !subject.user_ids.contains(user) && !is_email_of(subject, user));
        items.also_seen.extend(others.map(|user| AlsoSeen {
            app: app.clone(),
            install_id: *id,
            user_id: user.clone(),
        }));
        verdicts.insert(*id, verdict);
    }
    items.rows.extend(loose_rows(app, findings));
    for (key, report) in &findings.reports {
        let install = report.install.and_then(|id| verdicts.get(&id));
        let is_of_person = report
            .install
            .and_then(|id| findings.installs.get(&id))
            .is_some_and(|install| install.given || install.named.exact);
        if !is_of_person && !report.named.exact && !report.named.weak && !report.mentions {
            // Found by a link only, or on an install that only a term found: nothing says that it is the person's.
            continue;
        }
        let Some((group_id, error_id)) = ids.get(key) else {
            let mut blobs = report.blobs.iter().chain(&report.collected);
            let blob = blobs.next().cloned().unwrap_or_default();
            items.unattributed.push(Unattributed {
                id: item_id("unattributed", app, key),
                app: app.clone(),
                blob,
                reason: if report.error_id.is_some() {
                    "App Center does not know a report of this ID, and no group lists it".to_owned()
                } else {
                    "neither the blob, nor a log row, nor its name tells the report".to_owned()
                },
            });
            continue;
        };
        // The time that the found part did not tell, the ID does.
        let at = error_id.timestamp().or(report.at);
        if window.is_some_and(|window| at.is_some_and(|at| !window.contains(at))) {
            continue;
        }
        let (action, reason) = report_verdict(report, install);
        items.reports.push(ReportItem {
            id: item_id("report", app, key),
            app: app.clone(),
            group_id: group_id.clone(),
            error_id: error_id.clone(),
            install_id: report.install,
            action,
            reason,
            blobs: report.blobs.iter().cloned().collect(),
            collected: report.collected.iter().cloned().collect(),
            legacy: report.legacy.clone(),
        });
    }
    items
}

fn is_email_of(subject: &Subject, user: &str) -> bool {
    subject
        .emails
        .iter()
        .any(|email| *email == user.to_lowercase())
}

/// The rows of an install: with it, or, where it is held, those that name the person by themselves.
fn rows_of(app: &AppRef, id: InstallId, install: &Install, verdict: &Verdict) -> Vec<RowsItem> {
    let item = |kind: &str, action: Action, reason: &str, rows: u64| RowsItem {
        id: item_id(kind, app, &id.to_string()),
        app: app.clone(),
        install_id: Some(id),
        action,
        reason: reason.to_owned(),
        rows,
    };
    let parts = match verdict.0 {
        Action::Act => vec![item("rows", Action::Act, &verdict.1, install.rows)],
        Action::Hold => vec![
            item(
                "rows-named",
                Action::Act,
                "rows of a held install that themselves hold a given user ID or e-mail",
                install.rows_named,
            ),
            item(
                "rows",
                Action::Hold,
                &verdict.1,
                install.rows.saturating_sub(install.rows_named),
            ),
        ],
    };
    parts.into_iter().filter(|item| item.rows > 0).collect()
}

fn loose_rows(app: &AppRef, findings: &Findings) -> Vec<RowsItem> {
    let item = |kind: &str, action: Action, reason: &str, rows: u64| RowsItem {
        id: item_id(kind, app, "no install"),
        app: app.clone(),
        install_id: None,
        action,
        reason: reason.to_owned(),
        rows,
    };
    let parts = [
        item(
            "rows-named",
            Action::Act,
            "rows without an install that hold a given user ID or e-mail",
            findings.loose.exact,
        ),
        item(
            "rows",
            Action::Hold,
            "rows without an install, found only by a term or by a user ID inside text",
            findings.loose.weak,
        ),
    ];
    parts.into_iter().filter(|item| item.rows > 0).collect()
}

/// The limits over which a plan needs a second look.
#[derive(Debug, Clone, Copy)]
pub struct LargeLimits {
    /// Installs.
    pub installs: u64,
    /// Reports.
    pub reports: u64,
    /// Share of an app's reports, in percent.
    pub share_percent: u64,
}

/// Whether a plan is large; `known` tells how many reports each app has.
#[must_use]
pub fn large(
    installs: &[InstallItem],
    reports: &[ReportItem],
    known: &BTreeMap<String, u64>,
    limits: LargeLimits,
) -> Option<Large> {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let acted = reports.iter().filter(|report| report.action == Action::Act);
    let total = count(acted.clone().count());
    let blocked = count(
        installs
            .iter()
            .filter(|it| it.action == Action::Act)
            .count(),
    );
    let mut reasons = Vec::new();
    if blocked > limits.installs {
        reasons.push(format!("{blocked} installs, more than {}", limits.installs));
    }
    if total > limits.reports {
        reasons.push(format!("{total} reports, more than {}", limits.reports));
    }
    let mut by_app: BTreeMap<String, u64> = BTreeMap::new();
    for report in acted {
        *by_app.entry(report.app.to_string()).or_default() += 1;
    }
    for (app, n) in by_app {
        // Where nothing tells how many there are, at least these are there: a person looks again.
        let known = known.get(&app).copied().unwrap_or(0).max(n);
        if n * 100 > known * limits.share_percent {
            reasons.push(format!(
                "{n} of the {known} reports of {app}, more than {} %",
                limits.share_percent
            ));
        }
    }
    (!reasons.is_empty()).then_some(Large {
        confirm_large: total,
        reasons,
    })
}
