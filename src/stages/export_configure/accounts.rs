//! Where standard exports write: to storage accounts that App Center made, and names in their configurations.

use std::collections::BTreeSet;

use super::note;
use crate::appcenter::{ExportConfiguration, ExportState, ExportType};
use crate::archives::{Reach, is_account};
use crate::domain::AppRef;
use crate::stages::setup::{AppSetup, Remembered, Writer, remember};
use crate::stages::{Context, StageError, tries};
use crate::storage::{self, Container};
use crate::work::SliceState;

/// The kind of a standard export.
const STANDARD: &str = "blob_storage_linked_subscription";
/// Tries after which an account that does not answer is left out, and named.
const PATIENCE: u32 = 4;

/// What the configurations of an app tell of the accounts that standard exports write to.
pub(super) fn writers(
    listed: &[ExportConfiguration],
    best: Option<&ExportConfiguration>,
) -> Vec<Writer> {
    let best = best.map(|best| &best.id);
    let standard = listed
        .iter()
        .filter(|it| it.kind().is_none_or(|kind| kind == STANDARD))
        .filter(|it| !matches!(it.export_type, Some(ExportType::AppInsights)));
    let named = standard.filter_map(|it| {
        Some(Writer {
            account: it.resource_name.clone()?,
            is_writing: matches!(it.state, Some(ExportState::Enabled | ExportState::Pending)),
            is_best: Some(&it.id) == best,
        })
    });
    named.collect()
}

/// Finds out which accounts hold what the app's exports wrote, those of the past included: all of them are searched. One
/// that cannot be is an exception; where the export in use writes to it, the API is asked as well.
///
/// # Errors
/// When an account does not answer, until it was tried enough; when one may not be read, until a person was waited for long
/// enough. Every account was looked at then.
pub(super) async fn find(
    cx: Context<'_>,
    app: &AppRef,
    setup: &mut AppSetup,
    remembered: &Remembered,
    state: &SliceState,
) -> Result<(), StageError> {
    let mut all = setup.writers.clone();
    all.extend(remembered.accounts.iter().map(|account| Writer {
        account: account.clone(),
        ..Writer::default()
    }));
    // What is said of the one in use counts.
    all.sort_by_key(|it| !it.is_best);
    let mut seen = BTreeSet::new();
    let mut failed = Ok(());
    for writer in all {
        let account = writer.account.to_ascii_lowercase();
        if seen.insert(account.clone()) {
            let looked = one(cx, setup, &writer, &account, state).await;
            failed = failed.and(looked);
        }
    }
    if !setup.accounts.is_subset(&remembered.accounts) {
        let found = &setup.accounts;
        remember(cx, app, |it| it.accounts.extend(found.iter().cloned())).await?;
    }
    failed
}

async fn one(
    cx: Context<'_>,
    setup: &mut AppSetup,
    writer: &Writer,
    account: &str,
    state: &SliceState,
) -> Result<(), StageError> {
    let verb = if writer.is_writing { "writes" } else { "wrote" };
    if !is_account(account) {
        let named = "what App Center names like no storage account";
        refuse(setup, writer, &format!("the export {verb} to {named}"));
        return Ok(());
    }
    let named = format!("the export {verb} to the storage account `{account}`");
    let archives = &cx.app.archives;
    let reach = archives
        .reach(account)
        .map_err(|error| StageError::archive(&error))?;
    let for_person = match reach {
        Reach::Own | Reach::Unknown => {
            note(&mut setup.notes, named);
            return Ok(());
        }
        Reach::Not => {
            let ours = archives.own_account().unwrap_or_default();
            format!(
                "{named}, and `ARCHIVE_STORAGE` is `{ours}`: a person must put its connection string in `ARCHIVE_ACCOUNTS`, or have the storage reached by an identity that may read it"
            )
        }
        Reach::Other(container) => match look(&container).await {
            Ok(()) => {
                let text = format!("{named}, which is searched as well");
                note(&mut setup.notes, text);
                setup.accounts.insert(account.to_owned());
                return Ok(());
            }
            Err(storage::Error::Denied(_)) => format!(
                "{named}, which may not be read: a person must give the identity the role Storage Blob Data Reader on it, or mend `ARCHIVE_ACCOUNTS`"
            ),
            Err(error) => {
                let text = format!("{named}, which could not be reached ({error})");
                if state.tries < PATIENCE {
                    return Err(StageError::retry(text));
                }
                refuse(setup, writer, &text);
                return Ok(());
            }
        },
    };
    if !tries::is_long_enough(state, &cx.app.config.limits, cx.now()) {
        return Err(StageError::person(for_person));
    }
    refuse(setup, writer, &for_person);
    Ok(())
}

/// Whether the account may be read. One without the container holds nothing yet.
async fn look(container: &Container) -> Result<(), storage::Error> {
    container.first_under("").await.map(|_first| ())
}

/// Says that an account is not searched.
fn refuse(setup: &mut AppSetup, writer: &Writer, why: &str) {
    if writer.is_best {
        let shortfall = "the export writes to a storage account that is not searched";
        setup.shortfall = Some(shortfall.to_owned());
    }
    let exception = format!("{why}; what lies there was not searched");
    note(&mut setup.exceptions, exception);
}
