//! What tests share: an emulator for some of them, a stack a test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use appcenter_sim::World;
use azurite::Azurite;
use stack::{Settings, Stack};
use tokio::sync::Mutex;

/// How long a request may take in a test.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// Accounts that one emulator is used for: it becomes slower with all that was ever stored in it.
const ACCOUNTS: usize = 100;
/// Emulators at once. Each is busy on one core at most, and most of what the tests wait for.
const EMULATORS: usize = 2;

/// An emulator from which one account may be taken. Tests share them in turn; one that has served its number of accounts
/// is replaced, and ends with the last test that uses it, or with the process.
pub(crate) async fn azurite() -> Arc<Azurite> {
    struct Pool {
        next: usize,
        slots: [Option<(Arc<Azurite>, usize)>; EMULATORS],
    }
    static POOL: Mutex<Pool> = Mutex::const_new(Pool {
        next: 0,
        slots: [const { None }; EMULATORS],
    });
    let mut pool = POOL.lock().await;
    let next = pool.next;
    pool.next = (next + 1) % EMULATORS;
    let slot = &mut pool.slots[next];
    if let Some((azurite, left)) = slot
        && *left > 0
    {
        *left -= 1;
        return Arc::clone(azurite);
    }
    let azurite = Arc::new(Azurite::start().await.expect("Azurite starts"));
    *slot = Some((Arc::clone(&azurite), ACCOUNTS - 1));
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
