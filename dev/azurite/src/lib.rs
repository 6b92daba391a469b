//! Azurite, the storage emulator, for tests, the demo and the dev tools.
//!
//! [`Azurite::start`] runs the version pinned in `package-lock.json` on free ports, in memory, with a pool of storage
//! accounts. Each test takes an [`Account`] of its own ([`Azurite::account`]), so that tests that use the product's
//! fixed queue and container names run side by side. Azurite ends when its `Azurite` is dropped, or when this process
//! dies in any way (it watches its standard input).
//!
//! [`Account`] also opens any storage connection string with clients of Microsoft's crates, authorised by an account
//! SAS. The product signs with SharedKey instead: the two share no code on purpose.

mod account;
mod server;

pub use account::Account;
pub use server::{Azurite, install, npm_ci};
