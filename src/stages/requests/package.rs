//! Handing out the package: whole or by ranges, or as an address that expires.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::{Context, Refusal, record};
use crate::domain::RequestId;
use crate::storage::BlobStream;
use crate::work::names;
use crate::workflow::Record;
use crate::workflow::record::PackageRef;

/// Longest range that is answered at once, in bytes: the host holds an answer whole in memory.
const MAX_RANGE: u64 = 16 * 1024 * 1024;
/// Longest life of an address: that of a user delegation key.
const MAX_LINK: Duration = Duration::from_secs(7 * 24 * 3600);

/// A package, or a part of it.
#[derive(Debug)]
pub struct Package {
    /// SHA-256 of the whole, hex.
    pub sha256: String,
    /// Size of the whole, in bytes.
    pub size: u64,
    /// What was asked for.
    pub part: Part,
}

/// What is handed out.
#[derive(Debug)]
pub enum Part {
    /// All of it.
    Whole(Box<BlobStream>),
    /// The bytes from an offset.
    Range(u64, Bytes),
}

/// An address of the package.
#[derive(Debug, Clone, Serialize)]
pub struct Link {
    /// The address; whoever has it can read the package.
    pub url: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

fn stored(record: &Record) -> Result<&PackageRef, Refusal> {
    match &record.package {
        Some(package) if package.deleted_at.is_none() => Ok(package),
        Some(_) => Err(Refusal::NotFound(
            "the package is no longer kept; POST …/retry makes a new one".to_owned(),
        )),
        None => Err(Refusal::NotFound("the request has no package".to_owned())),
    }
}

/// A request's package; `range` is the value of a `Range` header.
///
/// # Errors
/// When there is none, or no such range.
pub async fn package(
    cx: Context<'_>,
    id: &RequestId,
    range: Option<&str>,
) -> Result<Package, Refusal> {
    let record = record(cx, id).await?;
    let package = stored(&record)?.clone();
    let name = names::package(id, record.run);
    let gone = || Refusal::NotFound("the package is no longer kept".to_owned());
    let part = match range {
        None => {
            let stream = cx.app.store.container().stream(&name).await?;
            Part::Whole(Box::new(stream.ok_or_else(gone)?))
        }
        Some(range) => {
            let (first, last) = parse_range(range, package.size).ok_or_else(|| {
                Refusal::BadRange(format!("the package has {} bytes", package.size))
            })?;
            let length = (last - first + 1).min(MAX_RANGE);
            let read = cx
                .app
                .store
                .container()
                .read_range(&name, first, length)
                .await?;
            Part::Range(first, read.ok_or_else(gone)?)
        }
    };
    Ok(Package {
        sha256: package.sha256,
        size: package.size,
        part,
    })
}

/// An address of the package that anyone who has it can read for a while.
///
/// # Errors
/// When there is no package, or the time cannot be read.
pub async fn link(cx: Context<'_>, id: &RequestId, valid_for: &str) -> Result<Link, Refusal> {
    let record = record(cx, id).await?;
    stored(&record)?;
    let valid_for = parse_duration(valid_for).ok_or_else(|| {
        Refusal::BadQuery("`link` is a time such as 72h, 30m or 7d; at most 7d".to_owned())
    })?;
    let name = names::package(id, record.run);
    let now = cx.now();
    let url = cx
        .app
        .store
        .container()
        .read_link(&name, valid_for, now)
        .await?;
    Ok(Link {
        url: url.to_string(),
        expires_at: cx.after(valid_for),
    })
}

/// First and last byte of a `Range` header with one range.
fn parse_range(range: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1)?;
    match (first.trim(), last.trim()) {
        ("", suffix) => {
            let length: u64 = suffix.parse().ok().filter(|length| *length > 0)?;
            Some((size.saturating_sub(length), end))
        }
        (first, "") => first
            .parse()
            .ok()
            .filter(|it| *it <= end)
            .map(|it| (it, end)),
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last && first <= end).then(|| (first, last.min(end)))
        }
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    let duration = Duration::from_secs(number.checked_mul(seconds)?);
    (!duration.is_zero() && duration <= MAX_LINK).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-9", Some((0, 9))),
            ("bytes=0-", Some((0, 99))),
            ("bytes=90-200", Some((90, 99))),
            ("bytes=-10", Some((90, 99))),
            ("bytes=-1000", Some((0, 99))),
            ("bytes=100-", None),
            ("bytes=9-0", None),
            ("bytes=-0", None),
            ("bytes=a-b", None),
            ("items=0-1", None),
            ("bytes=0-1,5-6", None),
        ] {
            assert_eq!(parse_range(range, 100), expected, "{range}");
        }
        assert_eq!(parse_range("bytes=0-", 0), None);
    }

    #[test]
    fn durations() {
        let hours = |n: u64| Some(Duration::from_secs(n * 3600));
        for (text, expected) in [
            ("72h", hours(72)),
            ("7d", hours(168)),
            ("60m", hours(1)),
            ("8d", None),
            ("0h", None),
            ("h", None),
            ("", None),
            ("1.5h", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
