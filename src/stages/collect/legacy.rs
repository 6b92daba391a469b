//! What the legacy API calls reports of the current one, for the parts of them that only it still gives.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::Mutex;

use super::Desk;
use super::view::View;
use crate::appcenter::ErrorKind;
use crate::domain::{AppRef, ErrorId, GroupId};
use crate::stages::{StageError, inventory};

/// A group of an app.
type Group = (AppRef, GroupId);

/// A group as the legacy API names it, and those of its reports that are asked for, by their current IDs.
#[derive(Debug, Clone)]
struct Names {
    group: GroupId,
    crashes: BTreeMap<ErrorId, ErrorId>,
}

/// The legacy names of a slice's reports. A group is listed once, however many of its reports are asked for: only its whole
/// list tells the name of one.
#[derive(Debug)]
pub(super) struct LegacyNames {
    wanted: BTreeSet<ErrorId>,
    known: Mutex<BTreeMap<Group, Option<Names>>>,
}

impl LegacyNames {
    /// For these reports.
    pub(super) fn new(wanted: impl IntoIterator<Item = ErrorId>) -> Self {
        Self {
            wanted: wanted.into_iter().collect(),
            known: Mutex::default(),
        }
    }

    /// What the legacy API calls a report and its group; `None` when it does not tell.
    pub(super) async fn of(
        &self,
        desk: Desk<'_>,
        view: &View<'_>,
        (group, error): (&GroupId, &ErrorId),
    ) -> Result<Option<(GroupId, ErrorId)>, StageError> {
        // Held while a group is listed: the others of the slice would list the same one.
        let mut known = self.known.lock().await;
        let key = (view.app.clone(), group.clone());
        if !known.contains_key(&key) {
            let names = self.listed(desk, view, group).await?;
            known.insert(key.clone(), names);
        }
        let names = known.get(&key).and_then(Option::as_ref);
        Ok(names.and_then(|names| {
            let crash = names.crashes.get(error)?;
            Some((names.group.clone(), crash.clone()))
        }))
    }

    async fn listed(
        &self,
        desk: Desk<'_>,
        view: &View<'_>,
        group: &GroupId,
    ) -> Result<Option<Names>, StageError> {
        let group = inventory::legacy_group(desk.cx, desk.record, view.app, group).await?;
        let Some(group) = group else {
            return Ok(None);
        };
        let listed = view
            .client
            .crashes_in_group(view.app, &group, ErrorKind::All);
        let crashes = match listed.await {
            Ok(crashes) => crashes,
            Err(error) if view.lacks(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let names = crashes.into_iter().filter_map(|it| it.new_id.zip(it.id));
        let crashes = names
            .filter(|(error, _)| self.wanted.contains(error))
            .collect();
        Ok(Some(Names { group, crashes }))
    }
}
