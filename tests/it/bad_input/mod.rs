//! Input that nobody would want: each gets a clear outcome on its request, and the rest goes on.

mod archive;
mod queue;
mod records;
mod service;

use std::time::Duration;

use appcenter_dsr::storage::{Account, AccountSettings, Container};
use stack::Stack;
use tokio::time::Instant;

use crate::harness::LIMIT;

/// A container of the stack's account, opened as the product opens it.
fn container(stack: &Stack, name: &str) -> anyhow::Result<Container> {
    let text = stack.account.connection_string().into();
    let account = Account::open(&AccountSettings::ConnectionString(text))?;
    Ok(account.container(name))
}

/// Asks until it is so.
async fn until<F, Fut>(what: &str, mut is_so: F) -> anyhow::Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<bool>>,
{
    let end = Instant::now() + LIMIT;
    while !is_so().await? {
        anyhow::ensure!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
