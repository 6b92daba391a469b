//! Reading back what a search stored: days, their results, their hits in order.

use bytes::Bytes;
use serde::Deserialize;

use crate::app::App;
use crate::domain::AppRef;
use crate::domain::hit::Hit;
use crate::stages::StageError;
use crate::stages::blob_search::{DayResult, Memo};
use crate::work::{Error, names};
use crate::workflow::{Record, Step};

/// Largest part of hits, in bytes: parts are written at 4 MiB, and one record can add up to 16 MiB.
const MAX_PART: usize = 64 * 1024 * 1024;

/// A hit, and whether its record names the app.
#[derive(Debug, Clone, Deserialize)]
pub struct StoredHit {
    /// Whether the record itself, or its path, says that it is of the app.
    pub app: bool,
    /// The hit.
    #[serde(flatten)]
    pub hit: Hit,
}

/// One day of an app, searched.
#[derive(Debug, Clone)]
pub struct Day {
    /// The app.
    pub app: AppRef,
    /// The UTC day, by the archive's folders.
    pub day: jiff::civil::Date,
    /// The slice's number.
    pub number: u32,
    /// What the search of it came to.
    pub result: DayResult,
}

/// The days of a search step, in the order of its slices.
///
/// # Errors
/// When they cannot be read.
pub async fn days(app: &App, record: &Record, step: Step) -> Result<Vec<Day>, StageError> {
    let Some(root) = app.store.cut_of(record, step).await? else {
        return Ok(Vec::new());
    };
    let memo: Memo = Memo::deserialize(&root.memo).unwrap_or_default();
    let keys: Vec<(AppRef, _)> = memo.keys().collect();
    let mut days = Vec::with_capacity(keys.len());
    let numbered = keys.into_iter().zip(0_u32..).collect::<Vec<_>>();
    for chunk in numbered.chunks(16) {
        let reads = chunk.iter().map(|((of, date), number)| async move {
            let slice = app
                .store
                .slice(&record.id, record.run, step, *number)
                .await?;
            Ok::<Day, StageError>(Day {
                app: of.clone(),
                day: *date,
                number: *number,
                result: slice.body()?,
            })
        });
        for day in futures::future::join_all(reads).await {
            days.push(day?);
        }
    }
    Ok(days)
}

/// Gives every hit of a day to `take`, in order, one part in memory at a time.
///
/// # Errors
/// When they cannot be read, or `take` fails.
pub async fn each<E>(
    app: &App,
    record: &Record,
    step: Step,
    day: &Day,
    take: impl FnMut(StoredHit) -> Result<(), E>,
) -> Result<(), StageError>
where
    StageError: From<E>,
{
    each_part(app, record, step, &day.result.parts, take).await
}

/// The same of hits by the names of their parts.
///
/// # Errors
/// When they cannot be read, or `take` fails.
pub async fn each_part<E>(
    app: &App,
    record: &Record,
    step: Step,
    parts: &[String],
    mut take: impl FnMut(StoredHit) -> Result<(), E>,
) -> Result<(), StageError>
where
    StageError: From<E>,
{
    for name in parts {
        for hit in part(app, record, step, name).await?.hits() {
            take(hit?)?;
        }
    }
    Ok(())
}

/// One part of a day's hits.
pub struct Part(Bytes);

/// Reads one part of a day's hits, by the name that its day knows it by.
///
/// # Errors
/// When it cannot be read.
pub async fn part(app: &App, record: &Record, step: Step, part: &str) -> Result<Part, StageError> {
    let name = names::hits(&record.id, record.run, step, part);
    let read = app.store.container().read(&name, MAX_PART).await;
    let stored = read.map_err(Error::from)?.ok_or(Error::Corrupt {
        what: "a search's hits",
        reason: "a part is missing".to_owned(),
    })?;
    Ok(Part(stored.bytes))
}

impl Part {
    /// Its hits, in order.
    pub fn hits(&self) -> impl Iterator<Item = Result<StoredHit, StageError>> + '_ {
        let lines = self.0.split(|byte| *byte == b'\n');
        lines.filter(|line| !line.is_empty()).map(|line| {
            serde_json::from_slice(line).map_err(|error| {
                StageError::Work(Error::Corrupt {
                    what: "a search's hits",
                    reason: format!("column {}", error.column()),
                })
            })
        })
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("bytes", &self.0.len())
            .finish()
    }
}
