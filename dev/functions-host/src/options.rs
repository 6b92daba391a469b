//! What a host is started with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::log::LogSink;

/// What a host is started with.
#[derive(Clone)]
pub struct Options {
    /// Holds host.json, `<function>/function.json` and the handler beside them.
    pub app_root: PathBuf,
    /// App settings: given to the handler, and used for connections (`AzureWebJobsStorage`) and `%NAME%` references.
    /// `AzureFunctionsJobHost__a__b` overrides host.json's `a.b`.
    pub env: Vec<(String, String)>,
    /// Where the host listens on 127.0.0.1; 0 takes a free port.
    pub http_port: u16,
    /// How long a message stays invisible while it runs (10 minutes in the real host); renewed at half of it. Storage
    /// knows whole seconds; one second is the least.
    pub lease: Duration,
    /// Start the whole host again after it gave up (three failures of the handler), as the platform does.
    pub supervise: bool,
    /// How long the platform takes to start the host again.
    pub supervise_pause: Duration,
    /// Ask for keys, which Core Tools does only with `--enableAuth`.
    pub enable_auth: bool,
    /// Use a handler that runs already on this port, instead of starting one.
    pub running_handler: Option<u16>,
    /// Where log lines go.
    pub log: LogSink,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            app_root: PathBuf::from("."),
            env: Vec::new(),
            http_port: 0,
            lease: Duration::from_secs(600),
            supervise: false,
            supervise_pause: Duration::from_millis(500),
            enable_auth: false,
            running_handler: None,
            log: LogSink::stderr(),
        }
    }
}

impl fmt::Debug for Options {
    /// Without the settings' values, which hold keys and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Options")
            .field("app_root", &self.app_root)
            .field("env", &names)
            .field("http_port", &self.http_port)
            .field("lease", &self.lease)
            .field("supervise", &self.supervise)
            .field("enable_auth", &self.enable_auth)
            .field("running_handler", &self.running_handler)
            .finish_non_exhaustive()
    }
}
