//! What the name of a blob in the archive says: `[appId/]yyyy/MM/dd/HH/mm/…`.

use jiff::civil::DateTime;
use uuid::Uuid;

use crate::domain::ErrorId;
use crate::domain::hit::Stream;

/// The IDs and the minute that the name of a blob tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameIds {
    /// The app, when its ID is the first folder.
    pub app_id: Option<Uuid>,
    /// The minute (UTC) of its folder.
    pub minute: Option<DateTime>,
    /// What the blob holds.
    pub stream: Stream,
    /// The report.
    pub error_id: Option<ErrorId>,
    /// The attachment: the last part of the name, below its report.
    pub attachment_id: Option<String>,
}

/// Reads the name of a blob. The names of crashes, errors and attachments are not documented: any part that is an ID of a report counts.
#[must_use]
pub fn ids_in_name(name: &str) -> NameIds {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let minute_at = (0..parts.len()).find(|at| minute(&parts, *at).is_some());
    let app_id = parts
        .iter()
        .take(minute_at.unwrap_or(1))
        .find_map(|part| Uuid::try_parse(part).ok());
    let rest = minute_at.map_or(parts.as_slice(), |at| {
        parts.get(at + 5..).unwrap_or_default()
    });
    let stream = Stream::of(name);
    let report = rest
        .iter()
        .enumerate()
        .find_map(|(at, part)| Some((at, error_id(part)?)));
    let attachment_id = match &report {
        Some((at, _)) if stream == Stream::Attachments => rest
            .last()
            .filter(|_| at + 1 < rest.len())
            .map(|last| (*last).to_owned()),
        _ => None,
    };
    NameIds {
        app_id,
        minute: minute_at.and_then(|at| minute(&parts, at)),
        stream,
        error_id: report.map(|(_, id)| id),
        attachment_id,
    }
}

/// Five parts `yyyy/MM/dd/HH/mm` from a position on.
fn minute(parts: &[&str], at: usize) -> Option<DateTime> {
    let [year, month, day, hour, minute] = parts.get(at..at + 5)? else {
        return None;
    };
    let two = |part: &str| -> Option<i8> {
        let is_number = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    let year: i16 = is_year.then(|| year.parse().ok()).flatten()?;
    DateTime::new(year, two(month)?, two(day)?, two(hour)?, two(minute)?, 0, 0).ok()
}

/// A part that is the ID of a report, with or without an extension: digits and a GUID, or a GUID.
fn error_id(part: &str) -> Option<ErrorId> {
    let stem = part.split_once('.').map_or(part, |(stem, _)| stem);
    let guid_at = stem.len().checked_sub(36)?;
    let (digits, guid) = (stem.get(..guid_at)?, stem.get(guid_at..)?);
    let is_id = match digits.strip_suffix('-') {
        None => digits.is_empty(),
        Some(digits) => digits.len() == 19 && digits.bytes().all(|byte| byte.is_ascii_digit()),
    };
    (is_id && Uuid::try_parse(guid).is_ok())
        .then(|| stem.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "11111111-2222-3333-4444-555555555555";
    const GUID: &str = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";

    fn check(
        name: &str,
        app: bool,
        minute: Option<&str>,
        stream: Stream,
        error: Option<&str>,
        attachment: Option<&str>,
    ) {
        let ids = ids_in_name(name);
        assert_eq!(
            ids.app_id.map(|id| id.to_string()).as_deref(),
            app.then_some(APP),
            "{name}"
        );
        assert_eq!(
            ids.minute.map(|at| at.to_string()).as_deref(),
            minute,
            "{name}"
        );
        assert_eq!(ids.stream, stream, "{name}");
        assert_eq!(ids.error_id.map(String::from).as_deref(), error, "{name}");
        assert_eq!(ids.attachment_id.as_deref(), attachment, "{name}");
    }

    #[test]
    fn names() {
        let minute = Some("2026-11-20T09:05:00");
        let full = format!("2518291138564839999-{GUID}");
        check(
            "2026/11/20/09/05/logs.v1.data",
            false,
            minute,
            Stream::Logs,
            None,
            None,
        );
        check(
            &format!("{APP}/2026/11/20/09/05/logs.v1.data"),
            true,
            minute,
            Stream::Logs,
            None,
            None,
        );
        check(
            &format!("2026/11/20/09/05/crashes/{full}.json"),
            false,
            minute,
            Stream::Crashes,
            Some(&full),
            None,
        );
        check(
            &format!("2026/11/20/09/05/errors/{GUID}"),
            false,
            minute,
            Stream::Errors,
            Some(GUID),
            None,
        );
        check(
            &format!("{APP}/2026/11/20/09/05/attachments/{full}/a1"),
            true,
            minute,
            Stream::Attachments,
            Some(&full),
            Some("a1"),
        );
        check(
            "2026/13/20/09/05/logs.v1.data",
            false,
            None,
            Stream::Logs,
            None,
            None,
        );
        check("", false, None, Stream::Other, None, None);
        check("../../x", false, None, Stream::Other, None, None);
        check("2026/11/20/09/05", false, minute, Stream::Other, None, None);
    }
}
