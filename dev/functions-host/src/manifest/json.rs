//! Reading settings files: a value by path, as lenient in form as .NET's configuration.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;

use crate::time_span;

/// Larger settings files are a mistake.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Reads a JSON file that holds an object.
pub(crate) fn read(path: &Path) -> anyhow::Result<Value> {
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("{shown} cannot be read"))?;
    if size.len() > LARGEST_FILE {
        bail!("{shown} is larger than 1 MiB");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .with_context(|| format!("{shown} is not JSON"))?;
    if !value.is_object() {
        bail!("{shown} holds no JSON object");
    }
    Ok(value)
}

/// The value at a path of names, in any case; null counts as missing.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter()
        .try_fold(value, |value, name| member(value, name))
        .filter(|value| !value.is_null())
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| {
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// A text; numbers and booleans are taken as .NET's configuration takes them, which knows texts only.
pub(crate) fn text(value: &Value, path: &[&str]) -> Option<String> {
    match at(value, path)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A flag; missing is false.
pub(crate) fn flag(value: &Value, path: &[&str]) -> anyhow::Result<bool> {
    Ok(parsed(value, path, |text| text.to_ascii_lowercase().parse().ok())?.unwrap_or(false))
}

/// A whole number in a range, or the default when it is missing.
pub(crate) fn number(
    value: &Value,
    path: &[&str],
    range: std::ops::RangeInclusive<u32>,
    default: u32,
) -> anyhow::Result<u32> {
    let number = parsed(value, path, |text| text.parse().ok())?.unwrap_or(default);
    if !range.contains(&number) {
        bail!(
            "{} must be between {} and {}, not {number}",
            path.join("."),
            range.start(),
            range.end()
        );
    }
    Ok(number)
}

/// A time span, or the default when it is missing.
pub(crate) fn span(value: &Value, path: &[&str], default: Duration) -> anyhow::Result<Duration> {
    Ok(parsed(value, path, time_span::parse)?.unwrap_or(default))
}

fn parsed<T>(
    value: &Value,
    path: &[&str],
    parse: impl Fn(&str) -> Option<T>,
) -> anyhow::Result<Option<T>> {
    let Some(found) = at(value, path) else {
        return Ok(None);
    };
    let parsed = text(value, path).and_then(|text| parse(text.trim()));
    match parsed {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(anyhow!("{} cannot be {found}", path.join("."))),
    }
}
