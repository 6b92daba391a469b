//! Searching a container by its address: blobs are fetched side by side and searched one after the other, by name.

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::runtime::{Builder, Runtime};

use super::run::Run;
use crate::config;
use crate::storage::{Account, Address, Container, Entry, Error};

/// Blobs that are fetched at once.
const IN_FLIGHT: usize = 16;
/// Longest blob that is fetched whole, in bytes; longer ones come part by part, on their own.
const SMALL: u64 = 4 * 1024 * 1024;

/// Searches what an address names. An address may carry a signature, which is never shown.
pub(super) fn search(run: &mut Run<'_>, address: &str) {
    match open(address) {
        Ok((runtime, address, container)) => {
            runtime.block_on(Box::pin(blobs(run, &address, &container)));
        }
        Err(reason) => run.unread("a container's address", &reason),
    }
}

fn open(address: &str) -> Result<(Runtime, Address, Container), String> {
    let address = Address::parse(address).map_err(|error| error.to_string())?;
    let container = match ours(&address)? {
        Some(container) => container,
        None => address.open().map_err(|error| error.to_string())?,
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    Ok((runtime, address, container))
}

/// The container as the settings reach it, if they name its account and the address has no signature of its own.
fn ours(address: &Address) -> Result<Option<Container>, String> {
    if address.is_signed() {
        return Ok(None);
    }
    let storage = config::archive_storage(&config::environment);
    let Some(storage) = storage.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let account = Account::open(&crate::app::account(&storage));
    let account = account.map_err(|error| error.to_string())?;
    Ok(address.of(&account))
}

/// What was fetched of a blob.
enum Fetched {
    Whole(Bytes),
    Large,
    Gone,
}

async fn blobs(run: &mut Run<'_>, address: &Address, container: &Container) {
    let folder = match address.prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let mut listing = container.list(&folder);
    let mut is_empty = true;
    loop {
        let page = match listing.next_page().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) => return run.unread(&address.shown, &explain(&error)),
        };
        is_empty = false;
        let fetched = futures::stream::iter(page.into_iter().map(|entry| {
            // A task of its own, so that it goes on while another blob is searched.
            let task = tokio::spawn(fetch(container.clone(), entry.clone()));
            async move { (entry, task.await) }
        }));
        let mut fetched = fetched.buffered(IN_FLIGHT);
        while let Some((entry, got)) = fetched.next().await {
            let rest = entry.name.strip_prefix(&folder).unwrap_or(&entry.name);
            let name = format!("{}/{rest}", address.shown);
            match got {
                Ok(got) => take(run, container, &entry, &name, got).await,
                Err(_broken) => run.unread(&name, "the download broke off"),
            }
            if run.is_out_broken {
                return;
            }
        }
    }
    if is_empty {
        alone(run, address, container).await;
    }
}

/// An address may name one blob.
async fn alone(run: &mut Run<'_>, address: &Address, container: &Container) {
    let shown = &address.shown;
    if address.prefix.is_empty() {
        return run.unread(shown, "the container is not there, or holds nothing");
    }
    match container.stream(&address.prefix).await {
        Ok(Some(_stream)) => large(run, container, &address.prefix, shown).await,
        Ok(None) => run.unread(shown, "there are no such blobs"),
        Err(error) => run.unread(shown, &explain(&error)),
    }
}

async fn fetch(container: Container, entry: Entry) -> Result<Fetched, Error> {
    if entry.size > SMALL {
        return Ok(Fetched::Large);
    }
    let limit = usize::try_from(SMALL).unwrap_or(usize::MAX);
    match container.read(&entry.name, limit).await {
        Ok(Some(stored)) => Ok(Fetched::Whole(stored.bytes)),
        Ok(None) => Ok(Fetched::Gone),
        // It has grown since it was listed.
        Err(Error::TooLarge { .. }) => Ok(Fetched::Large),
        Err(error) => Err(error),
    }
}

async fn take(
    run: &mut Run<'_>,
    container: &Container,
    entry: &Entry,
    name: &str,
    got: Result<Fetched, Error>,
) {
    match got {
        Ok(Fetched::Whole(bytes)) => {
            let mut blob = run.blob(name);
            // Whether the output broke is told at the end.
            _ = blob.push(&bytes);
            let end = blob.finish();
            run.note(name, end, None);
        }
        Ok(Fetched::Large) => large(run, container, &entry.name, name).await,
        Ok(Fetched::Gone) => run.unread(name, "it was deleted while the container was searched"),
        Err(error) => run.unread(name, &explain(&error)),
    }
}

async fn large(run: &mut Run<'_>, container: &Container, blob_name: &str, name: &str) {
    let mut stream = match container.stream(blob_name).await {
        Ok(Some(stream)) => stream,
        Ok(None) => return run.unread(name, "it was deleted while the container was searched"),
        Err(error) => return run.unread(name, &explain(&error)),
    };
    let mut blob = run.blob(name);
    let problem = loop {
        match stream.next().await {
            Ok(Some(chunk)) => {
                if blob.push(&chunk).is_break() {
                    break None;
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(explain(&error)),
        }
    };
    let end = blob.finish();
    run.note(name, end, problem);
}

/// What went wrong, and what to do about a refusal.
fn explain(error: &Error) -> String {
    match error {
        Error::Denied(_) => format!(
            "{error}: give an address with a signature that may read and list, or set `ARCHIVE_STORAGE` to its account"
        ),
        _ => error.to_string(),
    }
}
