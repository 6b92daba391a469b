//! Where standard exports write: to storage accounts that App Center made, and names in their configurations.

use std::collections::BTreeSet;

use super::note;
use crate::appcenter::{ExportConfiguration, ExportState, ExportType};
use crate::archives::{Reach, is_account};
use crate::domain::AppRef;
use crate::stages::setup::{AppSetup, Remembered, remember};
use crate::stages::{Context, StageError};
use crate::storage::{self, Container};

/// The kind of a standard export.
const STANDARD: &str = "blob_storage_linked_subscription";
/// Tries after which an account that does not answer is left out, and named.
const PATIENCE: u32 = 4;

/// An account that an export writes or wrote to.
struct Named<'a> {
    account: &'a str,
    /// What is said of it.
    verb: &'static str,
    /// Whether it is where new data goes.
    is_best: bool,
}

/// Finds out which accounts hold what the app's exports wrote, those of the past included: all of them are searched. One
/// that cannot be is an exception; where the export in use writes to it, the API is asked as well.
///
/// # Errors
/// When an account does not answer, until it was tried enough.
pub(super) async fn find(
    cx: Context<'_>,
    app: &AppRef,
    setup: &mut AppSetup,
    remembered: &mut Remembered,
    (listed, best): (&[ExportConfiguration], Option<&ExportConfiguration>),
    tries: u32,
) -> Result<(), StageError> {
    let best = best.map(|best| &best.id);
    let standard = listed
        .iter()
        .filter(|it| it.kind().is_none_or(|kind| kind == STANDARD))
        .filter(|it| !matches!(it.export_type, Some(ExportType::AppInsights)));
    let mut all: Vec<Named<'_>> = standard
        .filter_map(|it| {
            let writes = matches!(it.state, Some(ExportState::Enabled | ExportState::Pending));
            Some(Named {
                account: it.resource_name.as_deref()?,
                verb: if writes { "writes" } else { "wrote" },
                is_best: Some(&it.id) == best,
            })
        })
        .collect();
    let known = remembered.accounts.clone();
    all.extend(known.iter().map(|account| Named {
        account,
        verb: "wrote",
        is_best: false,
    }));
    // What is said of the one in use counts.
    all.sort_by_key(|it| !it.is_best);
    let mut seen = BTreeSet::new();
    for named in all {
        let account = named.account.to_ascii_lowercase();
        if seen.insert(account.clone()) {
            one(cx, setup, &named, &account, tries).await?;
        }
    }
    if !setup.accounts.is_subset(&remembered.accounts) {
        let found = setup.accounts.clone();
        *remembered = remember(cx, app, |it| it.accounts.extend(found.iter().cloned())).await?;
    }
    Ok(())
}

async fn one(
    cx: Context<'_>,
    setup: &mut AppSetup,
    named: &Named<'_>,
    account: &str,
    tries: u32,
) -> Result<(), StageError> {
    let verb = named.verb;
    if !is_account(account) {
        refuse(
            setup,
            named,
            format!(
                "the export {verb} to what App Center names like no storage account: what it {verb} is not searched"
            ),
        );
        return Ok(());
    }
    let archives = &cx.app.archives;
    let reach = archives
        .reach(account)
        .map_err(|error| StageError::archive(&error))?;
    match reach {
        Reach::Own | Reach::Unknown => {
            note(
                &mut setup.notes,
                format!("the export {verb} to the storage account `{account}`"),
            );
        }
        Reach::Not => {
            let ours = archives.own_account().unwrap_or_default();
            refuse(
                setup,
                named,
                format!(
                    "the export {verb} to the storage account `{account}`, and `ARCHIVE_STORAGE` is `{ours}`: what it {verb} is not searched; a person must put its connection string in `ARCHIVE_ACCOUNTS`, or have the storage reached by an identity that may read it"
                ),
            );
        }
        Reach::Other(container) => match look(&container).await {
            Ok(()) => {
                note(
                    &mut setup.notes,
                    format!(
                        "the export {verb} to the storage account `{account}`, which is searched as well"
                    ),
                );
                setup.accounts.insert(account.to_owned());
            }
            Err(storage::Error::Denied(_)) => refuse(
                setup,
                named,
                format!(
                    "the export {verb} to the storage account `{account}`, which may not be read: what it {verb} is not searched; a person must give the identity the role Storage Blob Data Reader on it, or mend `ARCHIVE_ACCOUNTS`"
                ),
            ),
            Err(error) if tries < PATIENCE => return Err(StageError::archive(&error)),
            Err(error) => refuse(
                setup,
                named,
                format!(
                    "the export {verb} to the storage account `{account}`, which could not be reached ({error}): what it {verb} is not searched"
                ),
            ),
        },
    }
    Ok(())
}

/// Whether the account may be read. One without the container holds nothing yet.
async fn look(container: &Container) -> Result<(), storage::Error> {
    container.first_under("").await.map(|_first| ())
}

/// Says that an account is not searched.
fn refuse(setup: &mut AppSetup, named: &Named<'_>, exception: String) {
    if named.is_best {
        let shortfall = "the export writes to a storage account that is not searched";
        setup.shortfall = Some(shortfall.to_owned());
    }
    note(&mut setup.exceptions, exception);
}
