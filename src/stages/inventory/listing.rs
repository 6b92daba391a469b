//! Page after page: groups, their reports, then what only the legacy API knows.

use super::matching::{Matching, Shown};
use super::{Inventory, Listing, Pending, Phase, earlier};
use crate::appcenter::{Client, Crash, Error, ErrorItem, ErrorKind, Page, Pages, Personal};
use crate::domain::hit::Listed;
use crate::domain::{AppRef, ErrorId, GroupId, LegacyIds};
use crate::ledger::Key;
use crate::stages::setup::ledger_id;
use crate::stages::{Context, StageError, not_known};
use crate::work::Slice;

/// Pages between two saves: what a kill costs at most.
const PAGES: u32 = 20;

/// Lists until all is listed (true) or time is up (false).
pub(super) async fn list(
    cx: Context<'_>,
    app: &AppRef,
    slice: &mut Slice,
    listing: &mut Listing<'_>,
) -> Result<bool, StageError> {
    let client = cx.app.app_center()?;
    let mut pages = 0;
    while listing.inventory.phase != Phase::Done {
        if cx.is_out_of_time() {
            return Ok(false);
        }
        match listing.inventory.phase {
            Phase::Groups => groups(cx, client, app, listing.inventory).await?,
            Phase::Reports => reports(cx, client, app, listing).await?,
            Phase::LegacyGroups => legacy_groups(cx, client, app, listing.inventory).await?,
            Phase::LegacyReports => legacy_reports(cx, client, app, listing).await?,
            Phase::Done => {}
        }
        listing.inventory.stumbles = 0;
        slice.state.forget_tries();
        pages += 1;
        if pages % PAGES == 0 {
            listing.store(cx, slice).await?;
            slice.set_body(&*listing.inventory)?;
            cx.app.store.save_slice(slice).await?;
        }
    }
    Ok(true)
}

/// One page of groups.
async fn groups(
    cx: Context<'_>,
    client: &Client,
    app: &AppRef,
    inventory: &mut Inventory,
) -> Result<(), StageError> {
    let start = inventory.start.unwrap_or(cx.now());
    let mut pages = client.error_groups(app, start, ErrorKind::All)?;
    // It stays until there is a next page: an error must not begin the list anew.
    if let Some(cursor) = inventory.cursor.clone() {
        pages = pages.resume(cursor);
    }
    // A 404 is believed when it is said twice: one that passes must not decide which API is asked.
    let page = match twice(&mut pages).await {
        Ok(Some(page)) => page,
        Ok(None) => {
            go_to(inventory, Phase::Reports);
            return Ok(());
        }
        // The current API is not there for an app that is: the legacy one may be.
        Err(Error::NotFound(_)) if inventory.seen.is_empty() && sees(client, app).await? => {
            inventory.is_legacy_only = true;
            go_to(inventory, Phase::LegacyGroups);
            return Ok(());
        }
        Err(Error::NotFound(_)) => return Err(not_known(client, app).await),
        Err(Error::Gone | Error::Rejected { .. }) if inventory.seen.is_empty() => {
            inventory.is_legacy_only = true;
            go_to(inventory, Phase::LegacyGroups);
            return Ok(());
        }
        // In the middle of a list it says nothing of the API, and what is listed so far is worth its reports.
        Err(error) if is_lasting(cx, inventory, &error) => {
            inventory
                .exceptions
                .push(format!("the list of crashes and errors broke off: {error}"));
            go_to(inventory, Phase::Reports);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    for group in page.items {
        let summary = &mut inventory.summary;
        summary.first_occurrence = earlier(summary.first_occurrence, group.first_occurrence);
        let Some(id) = group.id else { continue };
        if inventory.seen.insert(id.clone()) {
            summary.groups += 1;
            inventory.pending.push(Pending {
                group: id,
                new: None,
            });
        }
    }
    inventory.cursor = page.next;
    if inventory.cursor.is_none() {
        go_to(inventory, Phase::Reports);
    }
    Ok(())
}

/// One page of a group's reports.
async fn reports(
    cx: Context<'_>,
    client: &Client,
    app: &AppRef,
    listing: &mut Listing<'_>,
) -> Result<(), StageError> {
    let inventory = &mut *listing.inventory;
    let Some(pending) = inventory.pending.last().cloned() else {
        go_to(inventory, Phase::LegacyGroups);
        return Ok(());
    };
    let start = inventory.start.unwrap_or(cx.now());
    let mut pages = client.errors_in_group(app, &pending.group, start)?;
    if let Some(cursor) = inventory.cursor.clone() {
        pages = pages.resume(cursor);
    }
    let page = match twice(&mut pages).await {
        Ok(page) => page,
        // The group was removed between the list and the look.
        Err(Error::NotFound(_)) if sees(client, app).await? => None,
        // One bad group is no reason to leave out the others; the legacy list may have it.
        Err(error) if is_lasting(cx, inventory, &error) => {
            inventory.exceptions.push(format!(
                "the list of the reports of group {} broke off: {error}",
                pending.group
            ));
            inventory.seen.remove(&pending.group);
            None
        }
        Err(error) => return Err(error.into()),
    };
    let next = page.as_ref().and_then(|page| page.next.clone());
    let mut keys = Vec::new();
    for item in page.into_iter().flat_map(|page| page.items) {
        let Some(error) = item.id.clone() else {
            continue;
        };
        let at = item.timestamp.or_else(|| error.timestamp());
        inventory.summary.saw(at);
        let group = item.group_id.clone().unwrap_or(pending.group.clone());
        keys.push((group.clone(), error.clone()));
        look(&mut listing.matching, &item, group, error)?;
    }
    enter(cx, inventory, &keys).await?;
    if next.is_none() {
        inventory.pending.pop();
    }
    inventory.cursor = next;
    Ok(())
}

fn look(
    matching: &mut Matching,
    item: &ErrorItem,
    group: GroupId,
    error: ErrorId,
) -> Result<(), StageError> {
    let text = |value: &Option<Personal<String>>| value.as_ref().map(|it| it.expose().clone());
    let user = text(&item.user_id);
    let shown = Shown {
        user_id: user.as_deref(),
        user_name: None,
        user_email: None,
    };
    let listed = Listed {
        at: item.timestamp.or_else(|| error.timestamp()),
        error,
        group,
        legacy: None,
        user: user.clone(),
        model: text(&item.device_name),
    };
    matching.look(listed, &shown)
}

/// One page of legacy groups. Where the current API is there, only groups that it does not list are looked into.
async fn legacy_groups(
    cx: Context<'_>,
    client: &Client,
    app: &AppRef,
    inventory: &mut Inventory,
) -> Result<(), StageError> {
    let mut pages = client.crash_groups(app)?;
    if let Some(cursor) = inventory.cursor.clone() {
        pages = pages.resume(cursor);
    }
    let page = match twice(&mut pages).await {
        Ok(Some(page)) => page,
        Ok(None) => {
            go_to(inventory, Phase::LegacyReports);
            return Ok(());
        }
        Err(Error::NotFound(_) | Error::Gone | Error::Rejected { .. }) => {
            if inventory.cursor.is_some() {
                inventory
                    .exceptions
                    .push("the legacy list of crashes broke off before its end".to_owned());
            } else if inventory.is_legacy_only {
                inventory.exceptions.push(
                    "App Center has neither the current nor the legacy list of crashes and errors"
                        .to_owned(),
                );
            }
            go_to(inventory, Phase::LegacyReports);
            return Ok(());
        }
        Err(error) if is_lasting(cx, inventory, &error) => {
            inventory
                .exceptions
                .push(format!("the legacy list of crashes broke off: {error}"));
            go_to(inventory, Phase::LegacyReports);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    inventory.summary.is_limited |= page.is_limited;
    for group in page.items {
        let summary = &mut inventory.summary;
        summary.first_occurrence = earlier(summary.first_occurrence, group.first_occurrence);
        let Some(id) = group.id else { continue };
        // The current API has its reports, and the legacy one may have what that one lacks of them.
        if let Some(new) = group
            .new_id
            .as_ref()
            .filter(|it| inventory.seen.contains(it))
        {
            inventory.legacy_groups.insert(new.clone(), id);
            continue;
        }
        let pending = Pending {
            group: id,
            new: group.new_id,
        };
        if !inventory.pending.contains(&pending) {
            inventory.summary.groups += 1;
            inventory.pending.push(pending);
        }
    }
    inventory.cursor = page.next;
    if inventory.cursor.is_none() {
        go_to(inventory, Phase::LegacyReports);
    }
    Ok(())
}

/// The reports of a legacy group: its list has no pages.
async fn legacy_reports(
    cx: Context<'_>,
    client: &Client,
    app: &AppRef,
    listing: &mut Listing<'_>,
) -> Result<(), StageError> {
    let inventory = &mut *listing.inventory;
    let Some(pending) = inventory.pending.last().cloned() else {
        go_to(inventory, Phase::Done);
        return Ok(());
    };
    let list = || client.crashes_in_group(app, &pending.group, ErrorKind::All);
    let crashes = match list().await {
        Err(Error::NotFound(_)) => list().await,
        crashes => crashes,
    };
    let crashes = match crashes {
        Ok(crashes) => crashes,
        Err(Error::NotFound(_)) if sees(client, app).await? => Vec::new(),
        Err(error) if is_lasting(cx, inventory, &error) => {
            inventory.exceptions.push(format!(
                "the legacy list of the crashes of group {} could not be had: {error}",
                pending.group
            ));
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let mut keys = Vec::new();
    for crash in crashes {
        let Some(id) = crash.id.clone() else { continue };
        let at = crash.timestamp.or_else(|| id.timestamp());
        inventory.summary.saw(at);
        let is_bridged = crash.new_id.is_some() && !inventory.is_legacy_only;
        // By its current name, as the archive and any other list have it; by what the legacy API calls it where that one
        // is all there is.
        keys.push(match (&crash.new_id, &crash.new_group_id, &pending.new) {
            (Some(new), Some(group), _) | (Some(new), None, Some(group)) if is_bridged => {
                (group.clone(), new.clone())
            }
            _ => (pending.group.clone(), id.clone()),
        });
        let listed = listed(&crash, &pending, id);
        listing.bridges.note(&listed)?;
        look_legacy(&mut listing.matching, &crash, listed)?;
    }
    enter(cx, inventory, &keys).await?;
    inventory.pending.pop();
    Ok(())
}

/// A legacy report: under its current name, if that is known, since the archive may hold it under that.
fn listed(crash: &Crash, pending: &Pending, id: ErrorId) -> Listed {
    let legacy = LegacyIds {
        group: pending.group.clone(),
        crash: id.clone(),
    };
    let new_group = crash.new_group_id.clone().or(pending.new.clone());
    let (group, error) = match (new_group, crash.new_id.clone()) {
        (Some(group), Some(error)) => (group, error),
        _ => (pending.group.clone(), id),
    };
    Listed {
        at: crash.timestamp.or_else(|| error.timestamp()),
        error,
        group,
        legacy: Some(legacy),
        user: None,
        model: crash.device.as_ref().map(|it| it.expose().clone()),
    }
}

fn look_legacy(matching: &mut Matching, crash: &Crash, listed: Listed) -> Result<(), StageError> {
    let text = |value: &Option<Personal<String>>| value.as_ref().map(|it| it.expose().clone());
    let (name, email) = (text(&crash.user_name), text(&crash.user_email));
    let shown = Shown {
        user_id: None,
        user_name: name.as_deref(),
        user_email: email.as_deref(),
    };
    matching.look(listed, &shown)
}

/// Enters reports into the ledger, of an app whose data is got by API.
async fn enter(
    cx: Context<'_>,
    inventory: &Inventory,
    keys: &[(GroupId, ErrorId)],
) -> Result<(), StageError> {
    if let (true, Some(app_id)) = (inventory.by_api && !keys.is_empty(), &inventory.app_id) {
        let keys: Vec<Key> = keys
            .iter()
            .map(|(group, error)| Key::new(group.clone(), error.clone()))
            .collect::<Result<_, _>>()
            .map_err(|error| StageError::permanent(error.to_string()))?;
        cx.app.ledger.insert(ledger_id(app_id)?, &keys).await?;
    }
    Ok(())
}

fn go_to(inventory: &mut Inventory, phase: Phase) {
    inventory.cursor = None;
    inventory.phase = phase;
}

/// Whether a list stays as it is however often it is asked for: refused, or an answer that made no sense for half of the
/// tries that a slice has (a proxy's page passes within those).
fn is_lasting(cx: Context<'_>, inventory: &mut Inventory, error: &Error) -> bool {
    match error {
        Error::Gone | Error::Rejected { .. } => true,
        Error::Protocol { .. } | Error::TooLarge { .. } => {
            inventory.stumbles += 1;
            inventory.stumbles >= cx.app.config.limits.patience()
        }
        _ => false,
    }
}

/// The next page; asked for once more after a 404.
async fn twice<T>(pages: &mut Pages<T>) -> Result<Option<Page<T>>, Error> {
    match pages.next().await {
        Err(Error::NotFound(_)) => pages.next().await,
        other => other,
    }
}

/// Whether the token sees the app, so that a 404 is about something else.
async fn sees(client: &Client, app: &AppRef) -> Result<bool, StageError> {
    match client.app(app).await {
        Ok(_app) => Ok(true),
        Err(Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
