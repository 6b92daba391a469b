//! OTLP's messages, by the field numbers of `opentelemetry-proto` 1.x.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};

use crate::wire::{Value, fields};

/// What a span is to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Within a process.
    Internal,
    /// Answers a call.
    Server,
    /// Calls.
    Client,
    /// Sends a message.
    Producer,
    /// Takes a message.
    Consumer,
}

/// A span.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace, in hex.
    pub trace: String,
    /// Its own ID, in hex.
    pub id: String,
    /// Its parent's ID in hex; empty for a root.
    pub parent: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// Attributes of the span.
    pub attributes: BTreeMap<String, Json>,
    /// Attributes of the resource.
    pub resource: BTreeMap<String, Json>,
    /// Traces that it links to, in hex.
    pub links: Vec<String>,
    /// Whether its status is error.
    pub is_error: bool,
}

/// A data point of a metric.
#[derive(Debug, Clone)]
pub struct Point {
    /// The metric's name.
    pub metric: String,
    /// The metric's unit.
    pub unit: String,
    /// `gauge`, `sum` or `histogram`.
    pub kind: &'static str,
    /// Whether a sum or histogram is of the time since the last one.
    pub is_delta: bool,
    /// Attributes.
    pub attributes: BTreeMap<String, Json>,
    /// The value, or a histogram's sum.
    pub value: f64,
    /// Measurements of a histogram; 1 for others.
    pub count: u64,
}

/// A log record.
#[derive(Debug, Clone)]
pub struct Log {
    /// The trace, in hex.
    pub trace: String,
    /// The span, in hex.
    pub span: String,
    /// OpenTelemetry's number: 13 warns, 17 is an error.
    pub severity: u64,
    /// The text.
    pub body: Json,
    /// Attributes.
    pub attributes: BTreeMap<String, Json>,
}

impl Span {
    /// An attribute's text; empty if there is none.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.attributes
            .get(key)
            .and_then(Json::as_str)
            .unwrap_or_default()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What lies in `export request > resource > scope`, with the resource's attributes.
fn each(
    request: &[u8],
    mut take: impl FnMut(&[u8], &BTreeMap<String, Json>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (_, of_resource) in fields(request)? {
        let parts = fields(of_resource.bytes()?)?;
        let mut resource = BTreeMap::new();
        for (_, value) in parts.iter().filter(|(field, _)| *field == 1) {
            resource = attributes(value.bytes()?, 1)?;
        }
        for (_, scope) in parts.iter().filter(|(field, _)| *field == 2) {
            for (field, item) in fields(scope.bytes()?)? {
                if field == 2 {
                    take(item.bytes()?, &resource)?;
                }
            }
        }
    }
    Ok(())
}

/// The attributes that stand in a field of a message.
fn attributes(message: &[u8], of: u64) -> anyhow::Result<BTreeMap<String, Json>> {
    let mut attributes = BTreeMap::new();
    for (field, value) in fields(message)? {
        if field == of {
            let (mut key, mut found) = (String::new(), Json::Null);
            for (field, value) in fields(value.bytes()?)? {
                match field {
                    1 => key = value.text()?,
                    2 => found = any(value.bytes()?)?,
                    _ => {}
                }
            }
            let before = attributes.insert(key.clone(), found);
            if before.is_some() {
                bail!("the attribute {key} twice");
            }
        }
    }
    Ok(attributes)
}

fn any(message: &[u8]) -> anyhow::Result<Json> {
    let Some((field, value)) = fields(message)?.pop() else {
        return Ok(Json::Null);
    };
    Ok(match field {
        1 => json!(value.text()?),
        2 => json!(value.number()? != 0),
        3 => json!(value.number()?.cast_signed()),
        4 => json!(value.double()?),
        other => bail!("a value of kind {other} is not expected"),
    })
}

/// The spans of an export request.
pub(crate) fn spans(request: &[u8]) -> anyhow::Result<Vec<Span>> {
    let mut spans = Vec::new();
    each(request, |message, resource| {
        let mut span = Span {
            trace: String::new(),
            id: String::new(),
            parent: String::new(),
            name: String::new(),
            kind: Kind::Internal,
            start: 0,
            end: 0,
            attributes: attributes(message, 9)?,
            resource: resource.clone(),
            links: Vec::new(),
            is_error: false,
        };
        for (field, value) in fields(message)? {
            match field {
                1 => span.trace = hex(value.bytes()?),
                2 => span.id = hex(value.bytes()?),
                4 => span.parent = hex(value.bytes()?),
                5 => span.name = value.text()?,
                6 => {
                    span.kind = match value.number()? {
                        1 => Kind::Internal,
                        2 => Kind::Server,
                        3 => Kind::Client,
                        4 => Kind::Producer,
                        5 => Kind::Consumer,
                        other => bail!("a span of kind {other}"),
                    }
                }
                7 => span.start = value.number()?,
                8 => span.end = value.number()?,
                13 => {
                    let link = fields(value.bytes()?)?;
                    let trace = link.iter().find(|(field, _)| *field == 1);
                    let (_, trace) = trace.context("a link without a trace")?;
                    span.links.push(hex(trace.bytes()?));
                }
                15 => {
                    let code = fields(value.bytes()?)?;
                    let code = code.iter().find(|(field, _)| *field == 3);
                    span.is_error = matches!(code, Some((_, Value::Varint(2))));
                }
                _ => {}
            }
        }
        spans.push(span);
        Ok(())
    })?;
    Ok(spans)
}

/// The data points of an export request.
pub(crate) fn points(request: &[u8]) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    each(request, |message, _resource| {
        let (mut name, mut unit) = (String::new(), String::new());
        let mut data = None;
        for (field, value) in fields(message)? {
            match field {
                1 => name = value.text()?,
                3 => unit = value.text()?,
                5 => data = Some(("gauge", value.bytes()?)),
                7 => data = Some(("sum", value.bytes()?)),
                9 => data = Some(("histogram", value.bytes()?)),
                _ => {}
            }
        }
        let (kind, data) = data.with_context(|| format!("{name} has no data of a known kind"))?;
        let parts = fields(data)?;
        let is_delta = parts
            .iter()
            .any(|(field, value)| *field == 2 && matches!(value, Value::Varint(1)));
        for (_, point) in parts.iter().filter(|(field, _)| *field == 1) {
            let message = point.bytes()?;
            let is_histogram = kind == "histogram";
            let mut point = Point {
                metric: name.clone(),
                unit: unit.clone(),
                kind,
                is_delta,
                attributes: attributes(message, if is_histogram { 9 } else { 7 })?,
                value: 0.0,
                count: 1,
            };
            for (field, value) in fields(message)? {
                match (is_histogram, field) {
                    (false, 4) | (true, 5) => point.value = value.double()?,
                    (false, 6) => point.value = integer(value.number()?),
                    (true, 4) => point.count = value.number()?,
                    _ => {}
                }
            }
            points.push(point);
        }
        Ok(())
    })?;
    Ok(points)
}

/// Counts of tests are far below what a float holds exactly.
fn integer(bits: u64) -> f64 {
    let number = bits.cast_signed();
    number.to_string().parse().unwrap_or(f64::NAN)
}

/// The log records of an export request.
pub(crate) fn logs(request: &[u8]) -> anyhow::Result<Vec<Log>> {
    let mut logs = Vec::new();
    each(request, |message, _resource| {
        let mut log = Log {
            trace: String::new(),
            span: String::new(),
            severity: 0,
            body: Json::Null,
            attributes: attributes(message, 6)?,
        };
        for (field, value) in fields(message)? {
            match field {
                2 => log.severity = value.number()?,
                5 => log.body = any(value.bytes()?)?,
                9 => log.trace = hex(value.bytes()?),
                10 => log.span = hex(value.bytes()?),
                _ => {}
            }
        }
        logs.push(log);
        Ok(())
    })?;
    Ok(logs)
}
