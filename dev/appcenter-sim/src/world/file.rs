//! The schema of a world file (TOML). Unknown fields are errors.
//!
//! ```toml
//! name = "small"                  # also the seed unless `seed` is given
//! owner = "contoso"
//!
//! [export]                        # how blobs look; every field has the default of [`ExportStyle`]
//! layout = "WithAppId"            # WithAppId | WithoutAppId: where `export_now` writes
//!
//! [[app]]
//! name = "shop-android"
//! os = "Android"                  # decides the default platform and the form of raw logs
//! versions = ["4.0.0", "4.1.0"]
//! retention_days = 28             # or 90
//! next_link_without_app = false   # true: the links to next pages leave out owner and app
//! described_states = false        # true: group states as the API is described, `open`; else as they were seen, `Open`
//!
//! [[group]]
//! name = "checkout"               # symbolic; IDs derive from seed and name
//! app = "shop-android"
//! kind = "crash"                  # or "error"
//! version = "4.1.0"
//! exception = "java.lang.NullPointerException"
//! message = "cart is null"
//! frame = "com.contoso.shop.Checkout.pay (Checkout.kt:41)"
//! unsymbolicated = false          # true: the search over reports does not show them, lists do
//!
//! [[install]]                     # one install; `id` only when a given UUID is wanted
//! name = "ana-phone"
//! app = "shop-android"
//! models = ["Pixel 7"]            # several: a cloned image
//! user = "u-20417"                # the user ID its reports show
//! events = 40                     # log rows made for it
//! from_days_ago = 26.0            # … between these times before the start
//! to_days_ago = 1.0
//!
//! [[installs]]                    # `count` installs named PREFIX01, PREFIX02, …, users `c-NNNNN`
//! prefix = "android-"
//! app = "shop-android"
//! count = 12
//! events = 120
//!
//! [[event]]                       # one log row
//! install = "ana-phone"
//! days_ago = 3.5
//! name = "Profile saved"
//! properties = { email = "ana@example.com", note = { text = "ana@example.com", as = ["base64"] } }
//!
//! [[report]]
//! name = "ana-1"
//! group = "checkout"
//! install = "ana-phone"
//! days_ago = 3.5
//! delay_minutes = 12.0            # between the crash and its ingress, which decides the folder
//! user = "u-20417"                # default: the install's; "" for none
//! model = "Pixel 7"               # default: the install's first
//! message = "…"                   # default: the group's
//! properties = { … }
//! attachments = [{ name = "log.txt", type = "text/plain", text = "…" }]
//!
//! [[reports]]                     # `count` reports without any person, spread over installs of a prefix
//! group = "checkout"
//! prefix = "android-"
//! count = 20
//!
//! [[gap]]                         # the exporter wrote nothing
//! app = "shop-android"
//! from_days_ago = 9.0
//! to_days_ago = 8.0
//!
//! [[request]]                     # a request document and what it must come to
//! name = "ana-delete"
//! person = "Ana"
//! kind = "delete"
//! reference = "DEMO-1"
//! apps = ["shop-android"]
//! user_ids = ["u-20417"]
//! install_ids = ["@ana-phone", "…"]          # `@NAME` stands for the install's ID
//! [request.expected]
//! installs = ["shop-android:ana-phone"]      # acted on: blocked by a delete
//! reports = ["ana-1"]                        # acted on: deleted, or exported; `"PREFIX*"` for all of a prefix
//! held = [{ install = "shop-android:kiosk", reason = "shared" }, { report = "kim-1", reason = "shared" }]
//! rows = { shop-android = 42 }               # log rows of the person
//! [[request.also]]                           # held items approved as well, and what that adds
//! name = "the kiosk too"
//! include = [{ install = "shop-android:kiosk" }]
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::text::Text;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) seed: Option<String>,
    pub(super) owner: String,
    #[serde(default)]
    pub(super) export: ExportStyle,
    pub(super) app: Vec<AppEntry>,
    #[serde(default)]
    pub(super) group: Vec<GroupEntry>,
    #[serde(default)]
    pub(super) install: Vec<InstallEntry>,
    #[serde(default)]
    pub(super) installs: Vec<InstallsEntry>,
    #[serde(default)]
    pub(super) event: Vec<EventEntry>,
    #[serde(default)]
    pub(super) report: Vec<ReportEntry>,
    #[serde(default)]
    pub(super) reports: Vec<ReportsEntry>,
    #[serde(default)]
    pub(super) gap: Vec<GapEntry>,
    #[serde(default)]
    pub(super) test_run: Vec<TestRunEntry>,
    #[serde(default)]
    pub(super) request: Vec<RequestEntry>,
}

/// Where the exporter puts an app's folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Layout {
    /// `appId/yyyy/MM/dd/HH/mm/`, needed when several apps share an account.
    #[default]
    WithAppId,
    /// `yyyy/MM/dd/HH/mm/`, the service's default.
    WithoutAppId,
}

/// Which of its own IDs a crash or error blob holds (assumption A2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlobIds {
    /// Install, report and group.
    #[default]
    Full,
    /// Report and group, not the install: only the log row tells it.
    NoInstall,
    /// Install, report and group, not the app: only the path or the log row tells it.
    NoApp,
    /// None; only the log row and the name lead to install and report.
    None,
}

/// How a crash or error blob is named in its folder (assumption A1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlobNames {
    /// `<errorId>.json`, attachments in a folder `<errorId>`.
    #[default]
    ErrorId,
    /// `<guid>.json`, the SDK's log ID.
    Guid,
    /// A name that says nothing: only the log row leads to the report.
    Opaque,
}

/// How the keys of a crash or error blob are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyCase {
    /// `InstallId`.
    #[default]
    Pascal,
    /// `installId`.
    Camel,
    /// `installid`.
    Lower,
    /// `INSTALLID`.
    Upper,
}

/// How reports stand in their blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One object a blob.
    #[default]
    Object,
    /// An array of one object a blob.
    Array,
    /// All reports of a minute in one blob, a JSON line each.
    Lines,
    /// All reports of a minute in one blob, as an array.
    Bundle,
}

/// What a log row's `Properties` holds for a report or an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowLink {
    /// The blob's name in the container.
    #[default]
    Plain,
    /// JSON text that holds the name.
    Json,
    /// Nothing.
    None,
}

/// How exported blobs look: the parts of the format that no public source settles.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportStyle {
    /// Where `export_now` writes (a configuration made over the API says it itself).
    pub layout: Layout,
    /// Which own IDs a report's blob holds.
    pub blob_ids: BlobIds,
    /// How a report's blob is named.
    pub blob_names: BlobNames,
    /// How the keys of a report's blob are written.
    pub key_case: KeyCase,
    /// How reports stand in blobs.
    pub shape: Shape,
    /// What log rows tell of blobs.
    pub row_link: RowLink,
    /// A byte order mark before the JSON of logs and reports.
    pub bom: bool,
    /// Every log row stands twice, as after a re-created configuration (assumption A4).
    pub duplicates: bool,
    /// Install IDs in capitals, as iOS writes them; default: on for apps of Apple's systems.
    pub upper_install_ids: Option<bool>,
    /// Log rows of reports do not show the user ID.
    pub rows_without_user: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppEntry {
    pub(super) name: String,
    pub(super) os: String,
    pub(super) platform: Option<String>,
    pub(super) versions: Vec<String>,
    pub(super) retention_days: Option<u16>,
    #[serde(default)]
    pub(super) next_link_without_app: bool,
    #[serde(default)]
    pub(super) described_states: bool,
    pub(super) export: Option<ExportStyle>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupEntry {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) kind: GroupKind,
    pub(super) version: String,
    pub(super) exception: String,
    pub(super) message: String,
    pub(super) frame: String,
    #[serde(default)]
    pub(super) unsymbolicated: bool,
    #[serde(default)]
    pub(super) legacy_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum GroupKind {
    Crash,
    Error,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallEntry {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) id: Option<uuid::Uuid>,
    #[serde(default)]
    pub(super) models: Vec<String>,
    pub(super) version: Option<String>,
    pub(super) locale: Option<String>,
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) events: usize,
    pub(super) from_days_ago: Option<f64>,
    pub(super) to_days_ago: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallsEntry {
    pub(super) prefix: String,
    pub(super) app: String,
    pub(super) count: usize,
    pub(super) events: usize,
    pub(super) from_days_ago: Option<f64>,
    pub(super) to_days_ago: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventEntry {
    pub(super) install: String,
    pub(super) days_ago: f64,
    pub(super) name: String,
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportEntry {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) install: String,
    pub(super) days_ago: f64,
    pub(super) delay_minutes: Option<f64>,
    pub(super) user: Option<String>,
    pub(super) model: Option<String>,
    pub(super) message: Option<Text>,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) attachments: Vec<AttachmentEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttachmentEntry {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) content_type: String,
    pub(super) text: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportsEntry {
    pub(super) group: String,
    pub(super) prefix: String,
    pub(super) count: usize,
    pub(super) from_days_ago: Option<f64>,
    pub(super) to_days_ago: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GapEntry {
    pub(super) app: String,
    pub(super) from_days_ago: f64,
    pub(super) to_days_ago: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestRunEntry {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) days_ago: f64,
    pub(super) series: String,
    pub(super) description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestEntry {
    pub(super) name: String,
    pub(super) person: String,
    pub(super) kind: String,
    pub(super) reference: String,
    pub(super) apps: Vec<String>,
    #[serde(default)]
    pub(super) install_ids: Vec<String>,
    #[serde(default)]
    pub(super) user_ids: Vec<String>,
    #[serde(default)]
    pub(super) emails: Vec<String>,
    #[serde(default)]
    pub(super) terms: Vec<String>,
    pub(super) include: Option<Vec<String>>,
    #[serde(default)]
    pub(super) expected: ExpectedEntry,
    #[serde(default)]
    pub(super) also: Vec<AlsoEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExpectedEntry {
    pub(super) installs: Vec<String>,
    pub(super) reports: Vec<String>,
    pub(super) held: Vec<ItemEntry>,
    pub(super) rows: BTreeMap<String, usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlsoEntry {
    pub(super) name: String,
    pub(super) include: Vec<ItemEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemEntry {
    pub(super) install: Option<String>,
    pub(super) report: Option<String>,
    pub(super) test_run: Option<String>,
    #[serde(default)]
    pub(super) reason: String,
}
