//! Settings, read once at the start. Nothing else reads the environment.

pub mod env;
mod ledger;
mod storage;
mod telemetry;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt as _;
use secrecy::SecretString;
use url::Url;

use env::Setting;

pub use ledger::{Ledger, LedgerDatabase, SqlEncryption, SqlLogin, SqlServer};
pub use storage::{AccountConnection, Storage};
pub use telemetry::Telemetry;

/// A setting that cannot be used; the message names it and never shows a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("setting `{name}`: {reason}")]
pub struct ConfigError {
    /// The environment variable.
    pub name: String,
    /// What is wrong with it and what would be right.
    pub reason: String,
}

/// Where settings come from: the environment, or a test's map.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Looks up the process's environment.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    std::env::var(name).ok()
}

/// How App Center is told to export.
#[derive(Debug, Clone)]
pub enum ExportType {
    /// Use what is there.
    None,
    /// Linked subscription.
    Standard {
        /// The Azure subscription's ID.
        subscription_id: String,
    },
    /// Connection string.
    Custom {
        /// What App Center gets.
        connection_string: SecretString,
    },
}

/// Where data that is not yet exported is got from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataPath {
    /// As the app's retention and its export allow.
    Auto,
    /// From the export to Blob Storage only.
    Blob,
    /// By API, report by report, as well.
    Api,
}

/// The App Center API.
#[derive(Debug, Clone)]
pub struct AppCenter {
    /// Address.
    pub url: Url,
    /// Token; without one the first call fails, not the start.
    pub token: SecretString,
    /// Calls per window.
    pub rate_budget: String,
    /// Further hosts of downloads.
    pub download_hosts: Vec<String>,
    /// Whether it is known to be gone.
    pub retired: bool,
    /// Where data that is not yet exported is got from.
    pub path: DataPath,
    /// How it is told to export.
    pub export: ExportType,
    /// How long an export may be pending.
    pub export_pending: Duration,
}

/// Limits of the workflow.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A plan over this many installs is large.
    pub plan_installs: u64,
    /// A plan over this many reports is large.
    pub plan_reports: u64,
    /// A plan over this share of an app's reports is large, in percent.
    pub plan_share_percent: u64,
    /// How long a package is kept.
    pub package: Duration,
    /// How long `collected/` is kept.
    pub collected: Duration,
    /// How long reports are kept, in months.
    pub report_months: i32,
    /// Delay before the first retry.
    pub retry_first: Duration,
    /// Longest delay between retries.
    pub retry_longest: Duration,
    /// Tries of a slice.
    pub retry_tries: u32,
    /// Time for the tries of a slice.
    pub retry_time: Duration,
    /// Longest time of one invocation.
    pub invocation: Duration,
    /// Items of one slice.
    pub slice_items: usize,
    /// When a request counts as standing still.
    pub stalled: Duration,
}

impl Limits {
    /// Tries after which nonsense that a service answers each time is taken for all that there is: half of a slice's.
    #[must_use]
    pub fn patience(&self) -> u32 {
        (self.retry_tries / 2).max(1)
    }

    /// The delay before the next try of what failed this often: doubling from the first to the longest, ±20 %.
    #[must_use]
    pub fn backoff(&self, tries: u32) -> Duration {
        let doubled = self
            .retry_first
            .saturating_mul(1_u32 << tries.saturating_sub(1).min(20));
        let delay = doubled.min(self.retry_longest);
        delay.mul_f64(rand::rng().random_range(0.8..=1.2))
    }
}

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port of the handler, on 127.0.0.1.
    pub port: u16,
    /// Work storage.
    pub work: Storage,
    /// Container of the work storage.
    pub work_container: String,
    /// Storage of the archive.
    pub archive: Storage,
    /// Further accounts that standard exports write to.
    pub archive_accounts: Vec<AccountConnection>,
    /// Container of the archive, in each account.
    pub archive_container: String,
    /// The API.
    pub app_center: AppCenter,
    /// The API path's list of reports.
    pub ledger: Ledger,
    /// Key of HMACs, if it is set.
    pub index_key: Option<SecretString>,
    /// Where telemetry goes.
    pub telemetry: Telemetry,
    /// Limits.
    pub limits: Limits,
    /// Log filter.
    pub log: String,
}

impl Config {
    /// Reads every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn from_lookup(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let work = storage::read(lookup, env::WORK_STORAGE.name, true)?.ok_or_else(|| {
            error(
                env::WORK_STORAGE.name,
                "required: a connection string, `UseDevelopmentStorage=true`, or `…__accountName`",
            )
        })?;
        let archive = storage::read(lookup, env::ARCHIVE_STORAGE.name, false)?
            .unwrap_or_else(|| work.clone());
        let limits = Limits {
            plan_installs: number(lookup, env::PLAN_MAX_INSTALLS, 1..=1_000_000)?,
            plan_reports: number(lookup, env::PLAN_MAX_REPORTS, 1..=10_000_000)?,
            plan_share_percent: number(lookup, env::PLAN_MAX_SHARE_PERCENT, 1..=100)?,
            package: days(number(lookup, env::RETENTION_PACKAGE_DAYS, 1..=3650)?),
            collected: days(number(lookup, env::RETENTION_COLLECTED_DAYS, 1..=3650)?),
            report_months: i32::try_from(number(lookup, env::RETENTION_REPORT_MONTHS, 1..=240)?)
                .unwrap_or(24),
            retry_first: Duration::from_secs(number(lookup, env::RETRY_FIRST_SECONDS, 1..=3600)?),
            retry_longest: Duration::from_secs(number(
                lookup,
                env::RETRY_LONGEST_SECONDS,
                1..=86_400,
            )?),
            retry_tries: u32::try_from(number(lookup, env::RETRY_TRIES, 1..=1000)?).unwrap_or(20),
            retry_time: Duration::from_secs(3600 * number(lookup, env::RETRY_HOURS, 1..=720)?),
            invocation: Duration::from_secs(number(lookup, env::INVOCATION_SECONDS, 5..=240)?),
            slice_items: usize::try_from(number(lookup, env::SLICE_ITEMS, 1..=1000)?).unwrap_or(50),
            stalled: Duration::from_secs(number(lookup, env::STALLED_SECONDS, 1..=86_400)?),
        };
        Ok(Self {
            port: port(lookup)?,
            work,
            work_container: container(lookup, env::WORK_CONTAINER)?,
            archive,
            archive_accounts: storage::connections(lookup, env::ARCHIVE_ACCOUNTS.name)?,
            archive_container: container(lookup, env::ARCHIVE_CONTAINER)?,
            app_center: app_center(lookup)?,
            ledger: ledger::read(lookup)?,
            index_key: index_key(lookup)?,
            telemetry: telemetry::read(lookup)?,
            limits,
            log: text(lookup, env::LOG),
        })
    }
}

/// The key of HMACs over identifiers, when one is set.
///
/// # Errors
/// When it is a reference to a vault that was not resolved: the platform leaves such a text as it is, and as a key everybody
/// could guess it ([Key Vault references](https://learn.microsoft.com/azure/app-service/app-service-key-vault-references)).
pub fn index_key(lookup: Lookup<'_>) -> Result<Option<SecretString>, ConfigError> {
    let key = text(lookup, env::INDEX_KEY);
    if key.starts_with("@Microsoft.KeyVault(") {
        let reason = "the vault has no such secret, or the app may not read it: put the key there and restart the app";
        return Err(error(env::INDEX_KEY.name, reason));
    }
    Ok((!key.is_empty()).then(|| SecretString::from(key)))
}

fn app_center(lookup: Lookup<'_>) -> Result<AppCenter, ConfigError> {
    let url: Url = parse(lookup, env::API_URL, "an https address")?;
    let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err(error(env::API_URL.name, "https only (http for loopback)"));
    }
    let required = |setting: Setting, why: &str| {
        let value = text(lookup, setting);
        if value.is_empty() {
            Err(error(setting.name, why))
        } else {
            Ok(value)
        }
    };
    let export = match text(lookup, env::EXPORT_TYPE).as_str() {
        "none" => ExportType::None,
        "standard" => ExportType::Standard {
            subscription_id: required(
                env::EXPORT_SUBSCRIPTION_ID,
                "required when EXPORT_TYPE is `standard`",
            )?,
        },
        "custom" => ExportType::Custom {
            connection_string: required(
                env::EXPORT_CONNECTION_STRING,
                "required when EXPORT_TYPE is `custom`",
            )?
            .into(),
        },
        _ => {
            return Err(error(
                env::EXPORT_TYPE.name,
                "one of `none`, `standard`, `custom`",
            ));
        }
    };
    let path = match text(lookup, env::PATH).as_str() {
        "auto" => DataPath::Auto,
        "blob" => DataPath::Blob,
        "api" => DataPath::Api,
        _ => return Err(error(env::PATH.name, "one of `auto`, `blob`, `api`")),
    };
    let retired = match text(lookup, env::RETIRED).as_str() {
        "false" | "" => false,
        "true" => true,
        _ => return Err(error(env::RETIRED.name, "`true` or `false`")),
    };
    let hours = number(lookup, env::EXPORT_PENDING_HOURS, 1..=720)?;
    Ok(AppCenter {
        url,
        token: text(lookup, env::API_TOKEN).into(),
        rate_budget: text(lookup, env::RATE_BUDGET),
        download_hosts: text(lookup, env::DOWNLOAD_HOSTS)
            .split(',')
            .map(|host| host.trim().to_ascii_lowercase())
            .filter(|host| !host.is_empty())
            .collect(),
        retired,
        path,
        export,
        export_pending: Duration::from_secs(3600 * hours),
    })
}

fn port(lookup: Lookup<'_>) -> Result<u16, ConfigError> {
    let reason = "the port that the Functions host gives, 0 to 65535";
    lookup(env::PORT)
        .unwrap_or_else(|| "0".to_owned())
        .trim()
        .parse()
        .map_err(|_error| error(env::PORT, reason))
}

/// The account of the archive, where a setting names it: for commands that need nothing else.
///
/// # Errors
/// When the setting cannot be read.
pub fn archive_storage(lookup: Lookup<'_>) -> Result<Option<Storage>, ConfigError> {
    match storage::read(lookup, env::ARCHIVE_STORAGE.name, false)? {
        Some(archive) => Ok(Some(archive)),
        None => storage::read(lookup, env::WORK_STORAGE.name, false),
    }
}

fn container(lookup: Lookup<'_>, setting: Setting) -> Result<String, ConfigError> {
    let name = text(lookup, setting);
    let is_valid = (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_valid {
        Ok(name)
    } else {
        Err(error(
            setting.name,
            "a container name: 3 to 63 lower-case letters, digits, hyphens",
        ))
    }
}

fn text(lookup: Lookup<'_>, setting: Setting) -> String {
    lookup(setting.name)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| setting.default.unwrap_or_default().to_owned())
}

fn parse<T: FromStr>(lookup: Lookup<'_>, setting: Setting, what: &str) -> Result<T, ConfigError> {
    text(lookup, setting)
        .parse()
        .map_err(|_error| error(setting.name, what))
}

fn number(
    lookup: Lookup<'_>,
    setting: Setting,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    let what = format!("a whole number from {} to {}", range.start(), range.end());
    let value: u64 = parse(lookup, setting, &what)?;
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(error(setting.name, what))
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

fn error(name: &str, reason: impl fmt::Display) -> ConfigError {
    ConfigError {
        name: name.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let settings: std::collections::HashMap<String, String> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Config::from_lookup(&|name| settings.get(name).cloned())
    }

    const WORK: (&str, &str) = ("AzureWebJobsStorage", "UseDevelopmentStorage=true");

    #[test]
    fn defaults_hold() {
        let config = read(&[WORK]).expect("the defaults are valid");
        assert_eq!(config.work_container, "dsr");
        assert_eq!(config.archive_container, "archive");
        assert_eq!(config.limits.plan_installs, 50);
        assert_eq!(config.app_center.url.as_str(), "https://api.appcenter.ms/");
    }

    #[test]
    fn identity_settings_are_read() {
        let config = read(&[
            ("AzureWebJobsStorage__accountName", "contosodsr"),
            (
                "AzureWebJobsStorage__blobServiceUri",
                "https://another.blob.core.windows.net",
            ),
            ("AzureWebJobsStorage__clientId", "11"),
            (
                "ARCHIVE_STORAGE__blobServiceUri",
                "https://x.blob.core.windows.net",
            ),
        ])
        .expect("valid");
        let Storage::Identity {
            blob_endpoint,
            queue_endpoint,
            client_id,
        } = config.work
        else {
            panic!("an identity");
        };
        assert_eq!(
            blob_endpoint.as_str(),
            "https://contosodsr.blob.core.windows.net/"
        );
        assert_eq!(
            queue_endpoint.as_str(),
            "https://contosodsr.queue.core.windows.net/"
        );
        assert_eq!(client_id.as_deref(), Some("11"));
        assert!(matches!(config.archive, Storage::Identity { .. }));
    }

    #[test]
    fn delays_double_to_a_limit() {
        let limits = read(&[WORK]).expect("valid").limits;
        for (tries, expected) in [
            (0, 2.0),
            (1, 2.0),
            (2, 4.0),
            (5, 32.0),
            (12, 900.0),
            (99, 900.0),
        ] {
            let delay = limits.backoff(tries).as_secs_f64();
            assert!((delay / expected - 1.0).abs() <= 0.2001, "{tries}: {delay}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (settings, name) in [
            (&[][..], "AzureWebJobsStorage"),
            (
                &[(
                    "AzureWebJobsStorage__blobServiceUri",
                    "https://x.blob.core.windows.net",
                )],
                "AzureWebJobsStorage__queueServiceUri",
            ),
            (
                &[WORK, ("APPCENTER_API_URL", "http://api.appcenter.ms")],
                "APPCENTER_API_URL",
            ),
            (
                &[WORK, ("APPCENTER_API_URL", "nonsense")],
                "APPCENTER_API_URL",
            ),
            (
                &[
                    WORK,
                    (
                        "INDEX_KEY",
                        "@Microsoft.KeyVault(SecretUri=https://v/secrets/k)",
                    ),
                ],
                "INDEX_KEY",
            ),
            (
                &[WORK, ("EXPORT_TYPE", "custom")],
                "EXPORT_CONNECTION_STRING",
            ),
            (&[WORK, ("EXPORT_TYPE", "else")], "EXPORT_TYPE"),
            (&[WORK, ("PLAN_MAX_REPORTS", "many")], "PLAN_MAX_REPORTS"),
            (&[WORK, ("INVOCATION_SECONDS", "900")], "INVOCATION_SECONDS"),
            (&[WORK, ("ARCHIVE_CONTAINER", "No")], "ARCHIVE_CONTAINER"),
            (&[WORK, ("LEDGER_DATABASE", "ledger.db")], "LEDGER_DATABASE"),
            (
                &[WORK, ("FUNCTIONS_CUSTOMHANDLER_PORT", "x")],
                "FUNCTIONS_CUSTOMHANDLER_PORT",
            ),
        ] {
            let error = read(settings).expect_err(name);
            assert_eq!(error.name, name);
        }
    }
}
