//! The name of every setting, and what it means. One list: the README's table and `local.settings.example.json` are
//! tested against it.

/// One setting: its name, its default (if it has one) and its meaning.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// What holds when it is not set.
    pub default: Option<&'static str>,
    /// What it means.
    pub meaning: &'static str,
}

macro_rules! settings {
    ($($ident:ident = $name:literal, $default:expr, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $ident: Setting = Setting { name: $name, default: $default, meaning: $meaning };)*
        /// Every setting.
        pub const ALL: &[Setting] = &[$($ident,)*];
    };
}

settings! {
    API_URL = "APPCENTER_API_URL", Some("https://api.appcenter.ms"), "Address of the App Center API.";
    API_TOKEN = "APPCENTER_API_TOKEN", None, "App Center API token: a user token, or an app token with full access.";
    RATE_BUDGET = "APPCENTER_RATE_BUDGET", Some("500/300s"), "Calls that the token may make in any window of this length, over all instances.";
    PATH = "APPCENTER_PATH", Some("auto"), "Where data that is not yet exported is got from: `auto`, `blob` or `api`.";
    DOWNLOAD_HOSTS = "APPCENTER_DOWNLOAD_HOSTS", Some(""), "Further hosts (comma-separated) that download addresses may name, beside `*.blob.core.windows.net`.";
    RETIRED = "APPCENTER_RETIRED", Some("false"), "`true` once App Center is known to be gone: only the archive is searched, nothing is asked.";
    WORK_STORAGE = "AzureWebJobsStorage", None, "Work storage: a connection string, `UseDevelopmentStorage=true`, or identity settings `AzureWebJobsStorage__accountName`, `…__blobServiceUri`, `…__queueServiceUri`, `…__clientId`.";
    ARCHIVE_STORAGE = "ARCHIVE_STORAGE", Some(""), "Storage that App Center exports to, in the same forms; empty means the work storage.";
    ARCHIVE_ACCOUNTS = "ARCHIVE_ACCOUNTS", Some(""), "Connection strings, comma-separated, of further accounts that standard exports write to. An identity needs none: its role on them is enough.";
    ARCHIVE_CONTAINER = "ARCHIVE_CONTAINER", Some("archive"), "Container that App Center exports to.";
    EXPORT_TYPE = "EXPORT_TYPE", Some("none"), "How App Center is told to export: `standard` (linked subscription), `custom` (connection string), or `none` (use an existing export).";
    EXPORT_SUBSCRIPTION_ID = "EXPORT_SUBSCRIPTION_ID", Some(""), "Azure subscription of a standard export.";
    EXPORT_CONNECTION_STRING = "EXPORT_CONNECTION_STRING", Some(""), "Connection string that App Center gets for a custom export.";
    EXPORT_PENDING_HOURS = "EXPORT_PENDING_HOURS", Some("24"), "Hours that an export may be pending before the search goes on without it.";
    LEDGER_DATABASE = "LEDGER_DATABASE", Some("sqlite:ledger.db"), "Database of the API path's list of reports: `sqlite:PATH` (not in Azure), or an Azure SQL connection string with a password or `Authentication=Active Directory Managed Identity`. In Azure without it, that path cannot be taken.";
    LEDGER_STATEMENT_ROWS = "LEDGER_STATEMENT_ROWS", Some("200"), "Reports that one SQL statement names (at most 1000).";
    APPINSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING", Some(""), "Application Insights, for the host's and our telemetry.";
    APPINSIGHTS_IDENTITY = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", Some(""), "Whose token telemetry is sent with to Application Insights: `ClientId=…;Authorization=AAD`; empty sends without one.";
    OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT", Some(""), "OpenTelemetry collector, by OTLP over HTTP: its address without `/v1/traces`.";
    INDEX_KEY = "INDEX_KEY", Some(""), "Key of HMACs over identifiers; empty means a key that is made once and kept in the work storage, and no index of the archive.";
    WORK_CONTAINER = "WORK_CONTAINER", Some("dsr"), "Container of records, plans, reports and packages in the work storage.";
    PLAN_MAX_INSTALLS = "PLAN_MAX_INSTALLS", Some("50"), "A plan over this many installs needs `confirm_large`.";
    PLAN_MAX_REPORTS = "PLAN_MAX_REPORTS", Some("1000"), "A plan over this many reports needs `confirm_large`.";
    PLAN_MAX_SHARE_PERCENT = "PLAN_MAX_SHARE_PERCENT", Some("5"), "A plan over this share of an app's reports needs `confirm_large`.";
    RETENTION_PACKAGE_DAYS = "RETENTION_PACKAGE_DAYS", Some("30"), "Days that a package is kept after completion.";
    RETENTION_COLLECTED_DAYS = "RETENTION_COLLECTED_DAYS", Some("7"), "Days that `collected/` of an app is kept after its last open request.";
    RETENTION_REPORT_MONTHS = "RETENTION_REPORT_MONTHS", Some("24"), "Months that reports and records are kept.";
    RETRY_FIRST_SECONDS = "RETRY_FIRST_SECONDS", Some("2"), "Delay before the first retry of a slice; it doubles from there.";
    RETRY_LONGEST_SECONDS = "RETRY_LONGEST_SECONDS", Some("900"), "Longest delay between retries.";
    RETRY_TRIES = "RETRY_TRIES", Some("20"), "Tries of a slice before its items fail.";
    RETRY_HOURS = "RETRY_HOURS", Some("24"), "Hours of tries of a slice before its items fail.";
    INVOCATION_SECONDS = "INVOCATION_SECONDS", Some("200"), "Longest time that one invocation works before it saves itself and continues in a new message (at most 240).";
    SLICE_ITEMS = "SLICE_ITEMS", Some("50"), "Items (installs, reports) of one slice.";
    STALLED_SECONDS = "STALLED_SECONDS", Some("900"), "A request that has not moved for this long is woken by `sweep`.";
    LOG = "DSR_LOG", Some("info"), "Log filter of the handler, as of `tracing-subscriber`'s `EnvFilter`.";
}

/// Port that the host gives to the handler.
pub const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// Set by Azure: the instance.
pub const INSTANCE: &str = "WEBSITE_INSTANCE_ID";
/// Set by Azure: the instance's site. Its presence means that we run in Azure.
pub const SITE: &str = "WEBSITE_SITE_NAME";
