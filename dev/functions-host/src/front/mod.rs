//! The host's HTTP side: routes, keys, and the three ways to hand a request to the handler.

mod admin;
mod forward;
mod json_mode;
mod keys;
pub(crate) mod route;

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::net::TcpListener;

pub(crate) use keys::Keys;

use crate::invoke::Invoker;
use crate::manifest::{Access, Function, HttpTrigger, Manifest, Trigger};

/// Larger bodies are refused, unless `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT` says otherwise.
pub(crate) const LARGEST_BODY: usize = 104_857_600;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) manifest: Arc<Manifest>,
    /// `None` while keys are not asked for, as in Core Tools.
    pub(crate) keys: Option<Keys>,
    pub(crate) largest_body: usize,
    /// The life of the host that runs now; none between two lives.
    pub(crate) current: RwLock<Option<Arc<Invoker>>>,
}

/// A request that belongs to a function.
#[derive(Debug)]
struct Call {
    function: Arc<Function>,
    parameters: Vec<(String, Option<String>)>,
    invoker: Arc<Invoker>,
    largest_body: usize,
}

impl Front {
    pub(crate) fn set_current(&self, invoker: Option<Arc<Invoker>>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = invoker;
    }

    fn current(&self) -> Option<Arc<Invoker>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if path == "/" && request.method() == Method::GET {
            return empty(StatusCode::OK);
        }
        if let Some(rest) = below(&path, "admin") {
            return admin::answer(self, rest, request).await;
        }
        let Some((function, trigger, parameters)) = self.find(&path, request.method()) else {
            return empty(StatusCode::NOT_FOUND);
        };
        if !self.allows(&function.name, trigger.access, &request) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        if content_length(&request).is_some_and(|length| length > self.largest_body as u64) {
            return empty(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let Some(invoker) = self.current() else {
            return empty(StatusCode::SERVICE_UNAVAILABLE);
        };
        let call = Call {
            function: Arc::clone(function),
            parameters,
            invoker,
            largest_body: self.largest_body,
        };
        let handler = &self.manifest.handler;
        if function.is_http_in_and_out && handler.proxying {
            forward::proxy(call, request).await
        } else if function.is_http_in_and_out && handler.forwarding {
            forward::forward(call, request).await
        } else {
            json_mode::answer(call, request).await
        }
    }

    /// The function for a path and method: of several the one whose template says most about the path.
    #[expect(
        clippy::type_complexity,
        reason = "three parts of one find, taken apart at once"
    )]
    fn find(
        &self,
        path: &str,
        method: &Method,
    ) -> Option<(&Arc<Function>, &HttpTrigger, Vec<(String, Option<String>)>)> {
        let path = below(path, &self.manifest.route_prefix)?;
        let takes = |trigger: &HttpTrigger| {
            let methods = &trigger.methods;
            methods.is_empty() || methods.iter().any(|known| known == method.as_str())
        };
        self.manifest
            .functions
            .iter()
            .filter_map(|function| match &function.trigger {
                Trigger::Http(trigger) if takes(trigger) => {
                    Some((function, trigger, trigger.route.parameters(path)?))
                }
                Trigger::Http(_) | Trigger::Queue(_) | Trigger::Timer(_) => None,
            })
            .min_by_key(|(_, trigger, _)| trigger.route.precedence())
    }

    fn allows(&self, function: &str, access: Access, request: &Request<Body>) -> bool {
        let Some(keys) = &self.keys else {
            return true;
        };
        let key = key_of(request);
        match access {
            Access::Anonymous => true,
            Access::Function => key.is_some_and(|key| keys.opens(function, &key)),
            Access::Admin => key.is_some_and(|key| keys.is_master(&key)),
        }
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, front: Arc<Front>) {
    let router = Router::new().fallback(entry).with_state(front);
    // It ends only with an error of the listener, after which nothing could be served either way.
    let _ = axum::serve(listener, router).await;
}

async fn entry(State(front): State<Arc<Front>>, request: Request<Body>) -> Response<Body> {
    let mut response = front.answer(request).await;
    let headers = response.headers_mut();
    if !headers.contains_key(header::SERVER) {
        headers.insert(header::SERVER, HeaderValue::from_static("Kestrel"));
    }
    response
}

/// The part of a path below its first segments, or `None` when it is not below them.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let path = path.strip_prefix('/')?;
    if prefix.is_empty() {
        return Some(path);
    }
    let (start, rest) = path.split_at_checked(prefix.len())?;
    let ends = rest.is_empty() || rest.starts_with('/');
    (ends && start.eq_ignore_ascii_case(prefix)).then_some(rest)
}

/// The key in `x-functions-key`, else in `?code=`.
fn key_of(request: &Request<Body>) -> Option<String> {
    let header = request.headers().get("x-functions-key");
    if let Some(key) = header.and_then(|key| key.to_str().ok()) {
        return Some(key.to_owned());
    }
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "code")
        .map(|(_, key)| key.into_owned())
}

fn content_length<T>(request: &Request<T>) -> Option<u64> {
    let length = request.headers().get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn prefixes_are_whole_segments() {
        for (path, prefix, expected) in [
            ("/api/requests", "api", Some("/requests")),
            ("/API/requests", "api", Some("/requests")),
            ("/api", "api", Some("")),
            ("/apix", "api", None),
            ("/", "api", None),
            ("/requests", "", Some("requests")),
            ("/a/b/c", "a/b", Some("/c")),
        ] {
            assert_eq!(below(path, prefix), expected, "{path}");
        }
    }
}
