//! The whole product with its surroundings: Azurite, App Center's simulator, the local functions host, the handler.
//!
//! Tests, the demo and long runs start it the same way: [`Stack::start`]. [`Api`] calls the product over HTTP, as its
//! users do. [`audit`] holds what App Center was asked to do against what a world expects.

mod api;
pub mod audit;
mod running;

pub use api::Api;
pub use running::{App, Settings, Stack, project_root};
