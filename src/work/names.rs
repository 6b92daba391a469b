//! Blob names in the work container. None holds anything of the person.
//!
//! | prefix | what | kept |
//! |---|---|---|
//! | `records/` | one record a request | 24 months |
//! | `open/` | a mark for each request that has not ended | until it ends |
//! | `searching/` | which pass searches a day of an app | until it ends |
//! | `waiting/` | a mark for each app that a request's search waits for | until the search joins |
//! | `work/{request}/{run}/{step}/` | root, bins, slices, hits | until it ends |
//! | `plans/`, `reports/` | what was planned and what was done | 24 months |
//! | `collected/{owner}/{app}/` | what was fetched of reports | 7 days after the app's last open request |
//! | `index/{owner}/{app}/` | which blobs of a day may hold whom, by keyed hashes | as long as the day has data |
//! | `packages/` | export packages | 30 days |
//! | `refused/` | faults of refused queue messages | 24 months |
//! | `apps/` | the ID of each app that App Center ever told, for when it tells no more | always |
//! | `keys/`, `budget/`, `sweep/` | the HMAC key, the API budget, what `sweep` remembers | always |

use jiff::civil::Date;

use crate::domain::{AppRef, ErrorId, RequestId};
use crate::workflow::Step;

/// Prefix of records.
pub const RECORDS: &str = "records/";
/// Prefix of marks of open requests.
pub const OPEN: &str = "open/";
/// Prefix of refused queue messages.
pub const REFUSED: &str = "refused/";
/// Prefix of what was fetched by API.
pub const COLLECTED: &str = "collected/";
/// The HMAC key.
pub const HMAC_KEY: &str = "keys/hmac";

/// A request's record.
#[must_use]
pub fn record(id: &RequestId) -> String {
    format!("{RECORDS}{id}.json")
}

/// The mark of an open request.
#[must_use]
pub fn open(id: &RequestId) -> String {
    format!("{OPEN}{id}")
}

/// What is remembered of an app.
#[must_use]
pub fn app(app: &AppRef) -> String {
    format!("apps/{}/{}.json", app.owner, app.name)
}

/// Marks of requests that wait for days of an app.
#[must_use]
pub fn waiting_prefix(app: &AppRef) -> String {
    format!("waiting/{}/{}/", app.owner, app.name)
}

/// The claim of the pass that searches a day of an app.
#[must_use]
pub fn searching(app: &AppRef, day: Date) -> String {
    format!("searching/{}/{}/{day}", app.owner, app.name)
}

/// Indexes of an app's days.
#[must_use]
pub fn index_prefix(app: &AppRef) -> String {
    format!("index/{}/{}/", app.owner, app.name)
}

/// The index of a day of an app.
#[must_use]
pub fn index(app: &AppRef, day: Date) -> String {
    format!("{}{day}", index_prefix(app))
}

/// The mark of one request's search step that waits for days of an app. Each run and step has a mark of its own, so
/// that a late worker on one never takes away the mark of the next.
#[must_use]
pub fn waiting(app: &AppRef, id: &RequestId, run: u32, step: Step) -> String {
    format!("{}{id}-{run:03}-{}", waiting_prefix(app), step.name())
}

/// Everything of a request that is needed only while it is open.
#[must_use]
pub fn work_prefix(id: &RequestId) -> String {
    format!("work/{id}/")
}

/// Everything of one run that is needed only while it is open.
#[must_use]
pub fn run_prefix(id: &RequestId, run: u32) -> String {
    format!("work/{id}/{run:03}/")
}

/// Everything of one step of one run.
#[must_use]
pub fn step_prefix(id: &RequestId, run: u32, step: Step) -> String {
    format!("work/{id}/{run:03}/{}/", step.name())
}

/// A blob of a step.
#[must_use]
pub fn of_step(id: &RequestId, run: u32, step: Step, name: &str) -> String {
    format!("{}{name}", step_prefix(id, run, step))
}

/// One part of the hits of one slice of a search, by the name that the slice knows it by.
#[must_use]
pub fn hits(id: &RequestId, run: u32, step: Step, part: &str) -> String {
    of_step(id, run, step, &format!("hits/{part}.jsonl"))
}

/// One part of what the legacy API calls the reports of an app, by the name that the slice knows it by.
#[must_use]
pub fn bridges(id: &RequestId, run: u32, step: Step, part: &str) -> String {
    of_step(id, run, step, &format!("bridges/{part}.jsonl"))
}

/// Some of the log rows that go into a run's package, sorted out by folder.
#[must_use]
pub fn package_rows(id: &RequestId, run: u32, part: &str) -> String {
    of_step(id, run, Step::Aggregate, &format!("rows/{part}.jsonl"))
}

/// A segment of a run's package: `zip`, or `json` for what is said of its files.
#[must_use]
pub fn package_segment(id: &RequestId, run: u32, segment: &str, extension: &str) -> String {
    let name = format!("segments/{segment}.{extension}");
    of_step(id, run, Step::Aggregate, &name)
}

/// A run's plan.
#[must_use]
pub fn plan(id: &RequestId, run: u32) -> String {
    format!("plans/{id}/{run:03}.json")
}

/// A run's report, `json` or `md`.
#[must_use]
pub fn report(id: &RequestId, run: u32, extension: &str) -> String {
    format!("reports/{id}/{run:03}.{extension}")
}

/// A run's package.
#[must_use]
pub fn package(id: &RequestId, run: u32) -> String {
    format!("packages/{id}/{run:03}.zip")
}

/// What was fetched of an app's reports.
#[must_use]
pub fn collected_prefix(app: &AppRef) -> String {
    format!("{COLLECTED}{}/{}/", app.owner, app.name)
}

/// Whether a blob is one that was fetched by API.
#[must_use]
pub fn is_collected(blob: &str) -> bool {
    blob.starts_with(COLLECTED)
}

/// An exported blob of another account than the one that is set, as it is named wherever a name is kept.
#[must_use]
pub fn in_account(account: &str, blob: &str) -> String {
    format!("@{account}/{blob}")
}

/// The account of an exported blob, unless it is the one that is set, and the blob's name there. App Center's own names
/// begin with an ID or a year.
#[must_use]
pub fn account_of(blob: &str) -> (Option<&str>, &str) {
    match blob.strip_prefix('@').and_then(|it| it.split_once('/')) {
        Some((account, name)) => (Some(account), name),
        None => (None, blob),
    }
}

/// A blob that another one names, which lies in the same account.
#[must_use]
pub fn beside(blob: &str, named: &str) -> String {
    match account_of(blob) {
        (Some(account), _) => in_account(account, named),
        (None, _) => named.to_owned(),
    }
}

/// What was fetched of reports of one day (UTC), laid out like a folder of the archive.
#[must_use]
pub fn collected_day(app: &AppRef, day: Date) -> String {
    format!(
        "{}{:04}/{:02}/{:02}/",
        collected_prefix(app),
        day.year(),
        day.month(),
        day.day()
    )
}

/// The document of one report.
#[must_use]
pub fn collected_report(app: &AppRef, day: Date, is_crash: bool, error: &ErrorId) -> String {
    let folder = if is_crash { "crashes" } else { "errors" };
    format!("{}{folder}/{error}.json", collected_day(app, day))
}

/// The raw log of one report, where it is too long for its document.
#[must_use]
pub fn collected_raw(app: &AppRef, day: Date, is_crash: bool, error: &ErrorId) -> String {
    let folder = if is_crash { "crashes" } else { "errors" };
    format!("{}{folder}/{error}/raw.log", collected_day(app, day))
}

/// The attachments of one report.
#[must_use]
pub fn collected_attachments(app: &AppRef, day: Date, error: &ErrorId) -> String {
    format!("{}attachments/{error}/", collected_day(app, day))
}

/// How often `sweep` sent poison messages of a request again.
#[must_use]
pub fn poison_prefix(id: &RequestId) -> String {
    format!("sweep/poison/{id}/")
}

/// How often it sent those of one slice again, or of the cutting of a step.
#[must_use]
pub fn poison_count(id: &RequestId, run: u32, step: Step, slice: Option<u32>) -> String {
    let slice = slice.map_or_else(|| "cut".to_owned(), |slice| slice.to_string());
    format!("{}{run:03}-{}-{slice}.json", poison_prefix(id), step.name())
}
