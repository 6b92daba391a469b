//! The API: one table of all operations, one file a group of endpoints.

mod account;
mod attachments;
mod control;
mod counts;
mod devices;
mod errors;
mod export;
mod groups;
mod ingest;
mod legacy;
mod legacy_crashes;
mod search;
mod session_logs;
mod test;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::state::State;

pub(crate) use control::control;
pub(crate) use errors::download;
pub(crate) use export::destination;
pub(crate) use ingest::ingest;

/// How an operation writes its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorShape {
    /// `{"error":{"code","message"}}`
    Nested,
    /// `{"message"}`, the legacy crash API.
    Message,
    /// `{"message","statusCode","code"}`, the gateway.
    Gateway,
}

/// One operation of the API description.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    template: &'static str,
    pub(crate) shape: ErrorShape,
    pub(crate) run: fn(&mut State, &Call) -> Result<Reply, Failure>,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// One call to an operation.
#[derive(Debug)]
pub(crate) struct Call {
    params: Vec<(&'static str, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) operation_id: &'static str,
    /// The index of the app that the path names; 0 for operations without one.
    pub(crate) app: usize,
    /// Blobs that a deletion shall fail to remove.
    pub(crate) blobs_failed: u32,
}

impl Call {
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|it| it.0 == name);
        found.map_or("", |it| it.1.as_str())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|it| it.0 == name);
        found.map(|it| it.1.as_str()).filter(|it| !it.is_empty())
    }

    /// A time of the query.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = self.query(name) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| Failure::bad_request(&format!("The {name} is not a valid date-time.")))
    }

    /// A time of the query that must be there.
    pub(crate) fn required_time(&self, name: &str) -> Result<Timestamp, Failure> {
        self.time(name)?
            .ok_or_else(|| Failure::bad_request(&format!("The {name} field is required.")))
    }

    /// `$top`, between `min` and `max`.
    pub(crate) fn top(&self, default: usize, min: usize, max: usize) -> Result<usize, Failure> {
        let Some(text) = self.query("$top") else {
            return Ok(default);
        };
        let top = text.parse().ok().filter(|it| (min..=max).contains(it));
        top.ok_or_else(|| {
            Failure::bad_request(&format!("The $top must be between {min} and {max}."))
        })
    }
}

/// A successful reply.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(body: &Value) -> Self {
        Self::with_status(200, body)
    }

    pub(crate) fn with_status(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: "application/json; charset=utf-8".to_owned(),
            body: body.to_string().into_bytes(),
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: String::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn file(content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status: 200,
            content_type: content_type.to_owned(),
            body,
        }
    }
}

/// A call that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    code: &'static str,
    message: String,
}

impl Failure {
    pub(crate) fn bad_request(message: &str) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::new(404, "NotFound", message)
    }

    pub(crate) fn new(status: u16, code: &'static str, message: &str) -> Self {
        Self {
            status,
            code,
            message: message.to_owned(),
        }
    }

    pub(crate) fn reply(&self, shape: ErrorShape) -> Reply {
        let Self {
            status,
            code,
            message,
        } = self;
        let body = match shape {
            ErrorShape::Nested => json!({ "error": { "code": code, "message": message } }),
            ErrorShape::Message => json!({ "message": message }),
            ErrorShape::Gateway => {
                json!({ "message": message, "statusCode": status, "code": code })
            }
        };
        Reply::with_status(*status, &body)
    }
}

/// Finds the operation of a path, and what its braces hold.
///
/// An empty segment never fills braces: a missing install ID makes the call that blocks the whole app, as it does in
/// the real service, which documents that call with a slash at its end.
pub(crate) fn find(
    method: &str,
    path: &str,
) -> Option<(&'static Operation, Vec<(&'static str, String)>)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<String> = path
        .split('/')
        .map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned())
        .collect();
    groups()
        .filter(|it| it.method == method)
        .find_map(|it| Some((it, matches(it.template, &segments)?)))
}

fn groups() -> impl Iterator<Item = &'static Operation> {
    [
        account::OPERATIONS,
        export::OPERATIONS,
        search::OPERATIONS,
        groups::OPERATIONS,
        errors::OPERATIONS,
        attachments::OPERATIONS,
        session_logs::OPERATIONS,
        counts::OPERATIONS,
        devices::OPERATIONS,
        legacy::OPERATIONS,
        legacy_crashes::OPERATIONS,
        test::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

fn matches(template: &'static str, segments: &[String]) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let mut wanted = template.split('/');
    for segment in segments {
        let template = wanted.next()?;
        match template
            .strip_prefix('{')
            .and_then(|it| it.strip_suffix('}'))
        {
            Some(name) if !segment.is_empty() => params.push((name, segment.clone())),
            None if template == segment => {}
            _ => return None,
        }
    }
    wanted.next().is_none().then_some(params)
}

impl Call {
    /// Puts a call together.
    pub(crate) fn new(
        operation: &'static Operation,
        params: Vec<(&'static str, String)>,
        path: &str,
        query: &str,
        body: Value,
    ) -> Self {
        Self {
            params,
            query: url::form_urlencoded::parse(query.as_bytes())
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
            path: path.to_owned(),
            body,
            operation_id: operation.id,
            app: 0,
            blobs_failed: 0,
        }
    }

    /// The owner and the app of the path, for operations that have them.
    pub(crate) fn owner_and_app(&self) -> Option<(&str, &str)> {
        let owner = self.param("owner_name");
        (!owner.is_empty()).then(|| (owner, self.param("app_name")))
    }
}

/// An operation under an app.
macro_rules! operation {
    ($id:literal, $method:literal, $template:literal, $shape:ident, $run:expr) => {
        $crate::routes::Operation {
            id: $id,
            method: $method,
            template: concat!("/v0.1/apps/{owner_name}/{app_name}", $template),
            shape: $crate::routes::ErrorShape::$shape,
            run: $run,
        }
    };
}
use operation;

/// The continuation of a list: what comes behind the item of this key.
fn next_link(state: &State, call: &Call, key: &str) -> String {
    let app = &state.world.apps[call.app];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in call.query.iter().filter(|it| it.0 != "$token") {
        query.append_pair(name, value);
    }
    query.append_pair("$token", key);
    // Seen in practice: the link is a path with an extra `/api`, and for some apps owner and name are missing.
    let path = if app.next_link_without_app {
        let full = format!("/apps/{}/{}/", state.world.owner, app.name);
        call.path.replacen(&full, "/apps//", 1)
    } else {
        call.path.clone()
    };
    format!("/api{path}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn paths_are_matched_by_segment() {
        let app = "/v0.1/apps/o/a";
        for (method, path, expected) in [
            ("GET", "", Some("apps_get")),
            (
                "GET",
                "/errors/errorGroups/search",
                Some("Errors_ErrorGroupsSearch"),
            ),
            ("GET", "/errors/errorGroups/1u", Some("Errors_GroupDetails")),
            (
                "GET",
                "/errors/errorGroups/1u/errors/latest",
                Some("Errors_LatestErrorDetails"),
            ),
            (
                "GET",
                "/errors/errorGroups/1u/errors/2-3",
                Some("Errors_GetErrorDetails"),
            ),
            ("GET", "/errors/2-3/session_logs", None),
            ("PUT", "/devices/block_logs", Some("App_BlockLogs")),
            ("PUT", "/devices/block_logs/", Some("App_BlockLogs")),
            ("PUT", "/devices/block_logs/%20", Some("Devices_BlockLogs")),
            ("DELETE", "/errors/errorGroups//errors/2-3", None),
            ("POST", "/devices/block_logs", None),
        ] {
            let found = find(method, &format!("{app}{path}")).map(|it| it.0.id);
            assert_eq!(found, expected, "{method} {path}");
        }
        assert!(find("GET", "/api/v0.1/user").is_none());
        assert!(find("GET", "/v0.1/apps//a/errors/errorGroups").is_none());
    }
}
