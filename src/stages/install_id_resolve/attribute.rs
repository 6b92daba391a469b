//! From a part of a report to its IDs: the blob's own, else `errors/search` by its GUID, else a walk of the groups.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fold::Findings;
use crate::appcenter::{Client, Error, ErrorKind};
use crate::domain::{AppRef, ErrorId, GroupId};
use crate::stages::{Context, StageError, Wait, not_known};

/// Days that the API reaches back, whatever the retention setting says.
const API_DAYS: i64 = 27;

/// What lookups found so far, by app (`owner/name`); stored with the slice, so that no call is made twice.
///
/// In a shared folder several apps ask for the same report: what one of them was answered says nothing of the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lookups {
    /// By app.
    #[serde(default)]
    pub apps: BTreeMap<String, AppLookups>,
}

/// What lookups found of one app.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AppLookups {
    /// By GUID; none when the search did not find it.
    #[serde(default)]
    pub searched: BTreeMap<Uuid, Option<(GroupId, ErrorId)>>,
    /// Groups that a walk still has to look at; none before the walk began.
    #[serde(default)]
    pub walk: Option<Vec<GroupId>>,
    /// Reports that the walk found, by GUID.
    #[serde(default)]
    pub walked: BTreeMap<Uuid, (GroupId, ErrorId)>,
    /// Why App Center could not be asked, if it could not.
    #[serde(default)]
    pub unasked: Option<String>,
}

/// The report IDs of an app's findings, by the findings' keys.
pub type Ids = BTreeMap<String, (GroupId, ErrorId)>;

/// Finds the IDs of an app's reports, asking App Center only about those that the archive does not tell.
///
/// Of a service that `is_retired` nothing can be asked, and every ID is taken as the archive has it.
///
/// # Errors
/// When App Center must be asked again later; `lookups` holds what is known by then.
pub async fn attribute(
    cx: Context<'_>,
    app: &AppRef,
    findings: &Findings,
    lookups: &mut Lookups,
    is_retired: bool,
) -> Result<Ids, StageError> {
    let mut ids = Ids::new();
    let mut asked: BTreeMap<Uuid, String> = BTreeMap::new();
    for (key, report) in &findings.reports {
        match (&report.group_id, &report.error_id) {
            // A GUID alone is no ID that a call takes: asked with it, App Center would seem to have the report no longer.
            (Some(group), Some(error))
                if report.is_of_app && (is_whole(group, error) || is_retired) =>
            {
                ids.insert(key.clone(), (group.clone(), error.clone()));
            }
            (_, Some(error)) => {
                if let Some(guid) = error.guid() {
                    asked.insert(guid, key.clone());
                }
            }
            (_, None) => {}
        }
    }
    if asked.is_empty() || is_retired {
        return Ok(ids);
    }
    let lookups = lookups.apps.entry(app.to_string()).or_default();
    if lookups.unasked.is_some() {
        return Ok(ids);
    }
    match ask(cx, app, &asked, lookups).await {
        Ok(()) => {}
        Err(StageError::Permanent { reason }) => {
            lookups.unasked = Some(reason);
        }
        Err(error) => return Err(error),
    }
    for (guid, key) in asked {
        let searched = lookups.searched.get(&guid).cloned().flatten();
        if let Some(found) = searched.or_else(|| lookups.walked.get(&guid).cloned()) {
            ids.insert(key, found);
        }
    }
    Ok(ids)
}

/// Whether a call takes the ID: a current one with its digits, or one of the legacy API.
fn is_whole(group: &GroupId, error: &ErrorId) -> bool {
    error.timestamp().is_some() || error.guid().is_none() || group.is_legacy()
}

async fn ask(
    cx: Context<'_>,
    app: &AppRef,
    asked: &BTreeMap<Uuid, String>,
    lookups: &mut AppLookups,
) -> Result<(), StageError> {
    let client = cx.app.app_center()?;
    for guid in asked.keys() {
        if lookups.searched.contains_key(guid) {
            continue;
        }
        in_time(cx)?;
        let wanted = guid.to_string();
        let Some(hits) = unless_unknown(client, app, || client.error_search(app, &wanted)).await?
        else {
            // There is no search; the lists may be there.
            for guid in asked.keys() {
                lookups.searched.entry(*guid).or_insert(None);
            }
            break;
        };
        let found = hits.hits.into_iter().find_map(|hit| {
            let error = hit.id.filter(|id| id.guid() == Some(*guid))?;
            Some((hit.group_id?, error))
        });
        lookups.searched.insert(*guid, found);
    }
    let missing: BTreeSet<Uuid> = asked
        .keys()
        .filter(|guid| matches!(lookups.searched.get(guid), Some(None)))
        .filter(|guid| !lookups.walked.contains_key(guid))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    walk(cx, client, app, &missing, lookups).await
}

/// Stops when the invocation must save itself; what is known by then is stored, and it goes on at once.
fn in_time(cx: Context<'_>) -> Result<(), StageError> {
    if cx.is_out_of_time() {
        return Err(StageError::Retry {
            reason: "report IDs are being looked up".to_owned(),
            wait: Wait::Throttled(cx.now()),
        });
    }
    Ok(())
}

/// Looks through every group for reports that the search does not know: it covers symbolicated crashes only.
async fn walk(
    cx: Context<'_>,
    client: &Client,
    app: &AppRef,
    missing: &BTreeSet<Uuid>,
    lookups: &mut AppLookups,
) -> Result<(), StageError> {
    let start = cx
        .now()
        .checked_sub(jiff::SignedDuration::from_hours(24 * API_DAYS))
        .unwrap_or(cx.now());
    if lookups.walk.is_none() {
        let groups = unless_unknown(client, app, || all_groups(client, app, start)).await?;
        let mut groups = groups.ok_or_else(|| {
            StageError::permanent("it has neither a search nor a list of the app's reports")
        })?;
        groups.reverse();
        lookups.walk = Some(groups);
    }
    while let Some(group) = lookups.walk.as_ref().and_then(|left| left.last().cloned()) {
        in_time(cx)?;
        let found = || in_group(client, app, &group, start, missing);
        // None: the group was removed between the list and the look.
        let found = unless_unknown(client, app, found).await?;
        lookups.walked.extend(found.into_iter().flatten());
        if let Some(left) = &mut lookups.walk {
            left.pop();
        }
    }
    Ok(())
}

/// An answer; none after a 404 that was said twice, by a service that shows the app in between: it has no such thing of
/// this app, and asking again changes nothing.
async fn unless_unknown<T, F, Fut>(
    client: &Client,
    app: &AppRef,
    call: F,
) -> Result<Option<T>, StageError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    match call().await {
        Err(Error::NotFound(_)) => {}
        answer => return Ok(Some(answer?)),
    }
    match client.app(app).await {
        Ok(_app) => {}
        Err(Error::NotFound(_)) => return Err(not_known(client, app).await),
        Err(error) => return Err(error.into()),
    }
    match call().await {
        Err(Error::NotFound(_)) => Ok(None),
        answer => Ok(Some(answer?)),
    }
}

async fn all_groups(
    client: &Client,
    app: &AppRef,
    start: jiff::Timestamp,
) -> Result<Vec<GroupId>, Error> {
    let mut groups = Vec::new();
    let mut pages = client.error_groups(app, start, ErrorKind::All)?;
    while let Some(page) = pages.next().await? {
        groups.extend(page.items.into_iter().filter_map(|group| group.id));
    }
    Ok(groups)
}

/// The missing reports that a group lists.
async fn in_group(
    client: &Client,
    app: &AppRef,
    group: &GroupId,
    start: jiff::Timestamp,
    missing: &BTreeSet<Uuid>,
) -> Result<Vec<(Uuid, (GroupId, ErrorId))>, Error> {
    let mut found = Vec::new();
    let mut pages = client.errors_in_group(app, group, start)?;
    while let Some(page) = pages.next().await? {
        for error in page.items.into_iter().filter_map(|item| item.id) {
            if let Some(guid) = error.guid().filter(|guid| missing.contains(guid)) {
                found.push((guid, (group.clone(), error)));
            }
        }
    }
    Ok(found)
}
