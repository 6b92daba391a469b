//! What the app folder says: host.json and each function's function.json.

mod functions;
mod host_json;
mod json;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use functions::{Access, HttpTrigger, QueueRef, Target, TimerTrigger};
pub(crate) use functions::{Function, Trigger};
pub(crate) use host_json::{CustomHandler, MessageEncoding, QueueOptions};

use crate::settings::Settings;

/// Everything the host needs to know about the app.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) root: PathBuf,
    pub(crate) handler: CustomHandler,
    pub(crate) queues: QueueOptions,
    /// Between the host's address and a function's route; may be empty.
    pub(crate) route_prefix: String,
    /// `None` is unbounded.
    pub(crate) function_timeout: Option<Duration>,
    pub(crate) functions: Vec<Arc<Function>>,
}

impl Manifest {
    /// Reads an app folder.
    ///
    /// # Errors
    /// With what the real host would say no to, and with bindings that only the real host knows.
    pub(crate) fn read(root: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let host = json::read(&root.join("host.json"))?;
        let host = host_json::with_overrides(host, settings);
        let functions = functions::read_all(root, settings)?;
        host_json::check(&host, &functions)?;
        Ok(Self {
            root: root.to_path_buf(),
            handler: host_json::custom_handler(&host, root, settings)?,
            queues: host_json::queues(&host)?,
            route_prefix: host_json::route_prefix(&host),
            function_timeout: host_json::function_timeout(&host)?,
            functions,
        })
    }

    /// The function of that name, in any case.
    pub(crate) fn function(&self, name: &str) -> Option<&Arc<Function>> {
        self.functions
            .iter()
            .find(|function| function.name.eq_ignore_ascii_case(name))
    }
}
