//! What tests share: one emulator a test run, a stack a test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use appcenter_sim::World;
use azurite::Azurite;
use stack::{Settings, Stack};
use tokio::sync::OnceCell;

/// How long a request may take in a test.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The emulator of this test run. It ends with the process.
pub(crate) async fn azurite() -> Arc<Azurite> {
    static AZURITE: OnceCell<Arc<Azurite>> = OnceCell::const_new();
    let azurite = AZURITE.get_or_try_init(|| async { Azurite::start().await.map(Arc::new) });
    Arc::clone(azurite.await.expect("Azurite starts"))
}

/// The usual settings of a stack over the handler under test.
pub(crate) fn settings() -> Settings {
    Settings::new(Path::new(env!("CARGO_BIN_EXE_appcenter-dsr")))
}

/// A stack over a world.
pub(crate) async fn start(world: World, settings: Settings) -> anyhow::Result<Stack> {
    Stack::start(azurite().await, world, settings).await
}
