//! What tests share: an emulator for some of them, a stack a test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use appcenter_sim::World;
use azurite::Azurite;
use stack::{Settings, Stack};
use tokio::sync::Mutex;

/// How long a request may take in a test.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Accounts that one emulator is used for: it becomes slower with all that was ever stored in it.
const ACCOUNTS: usize = 40;

/// An emulator from which one account may be taken. Tests share it, until it has served its number of accounts; it ends
/// with the last of them, or with the process.
pub(crate) async fn azurite() -> Arc<Azurite> {
    static AZURITE: Mutex<Option<(Arc<Azurite>, usize)>> = Mutex::const_new(None);
    let mut current = AZURITE.lock().await;
    if let Some((azurite, left)) = current.as_mut()
        && *left > 0
    {
        *left -= 1;
        return Arc::clone(azurite);
    }
    let azurite = Arc::new(Azurite::start().await.expect("Azurite starts"));
    *current = Some((Arc::clone(&azurite), ACCOUNTS - 1));
    azurite
}

/// The usual settings of a stack over the handler under test.
pub(crate) fn settings() -> Settings {
    Settings::new(Path::new(env!("CARGO_BIN_EXE_appcenter-dsr")))
}

/// A stack over a world.
pub(crate) async fn start(world: World, settings: Settings) -> anyhow::Result<Stack> {
    Stack::start(azurite().await, world, settings).await
}
