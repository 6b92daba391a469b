//! Values that are not names of ours: each is taken only in the form that it must have.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry::{KeyValue, StringValue};

/// Longest `reason`, in characters.
const MAX_REASON: usize = 300;

/// The ID of a request: 32 hex digits.
pub(super) fn request(id: &str) -> Option<StringValue> {
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned().into())
}

/// An ID that the host made: letters, digits and hyphens.
pub(super) fn host_id(id: &str) -> Option<StringValue> {
    let is_id = (1..=100).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_id.then(|| id.to_owned().into())
}

/// An app: `owner/name`, in App Center's alphabet.
pub(super) fn app(name: &str) -> Option<StringValue> {
    let is_part = |part: &str| {
        (1..=100).contains(&part.len())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    let (owner, of) = name.split_once('/')?;
    (is_part(owner) && is_part(of)).then(|| name.to_owned().into())
}

/// A day: `YYYY-MM-DD`.
pub(super) fn day(day: &str) -> Option<StringValue> {
    let is_day = day.len() == 10
        && day.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_day.then(|| day.to_owned().into())
}

/// Why, for people: one line of bounded length.
pub(super) fn reason(text: &str) -> StringValue {
    let line = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_REASON);
    line.collect::<String>().into()
}

/// When something is told of: the real time, which is what others tell their times by, whatever the clock of a test says.
#[expect(
    clippy::disallowed_methods,
    reason = "spans begin and end in real time"
)]
pub(super) fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// A number, as OpenTelemetry has them.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// An attribute, if its value has the form that it must have.
pub(super) fn checked(key: &'static str, value: Option<StringValue>) -> Option<KeyValue> {
    value.map(|value| KeyValue::new(key, value))
}

/// The place in a trace that a `traceparent` names.
pub(super) fn context(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    // A later version may have more parts; this much of it stays the same.
    let is_whole = is_hex(version, 2)
        && !version.eq_ignore_ascii_case("ff")
        && is_hex(trace, 32)
        && is_hex(span, 16)
        && is_hex(flags, 2)
        && (version != "00" || parts.next().is_none());
    if !is_whole {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

/// How a place in a trace is named.
pub(super) fn traceparent(context: &SpanContext) -> String {
    format!("00-{}-{}-01", context.trace_id(), context.span_id())
}
