//! host.json: the custom handler, the queue options, the route prefix, the timeout.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::functions::{Function, Trigger};
use super::json;
use crate::settings::Settings;

/// How the handler is started and spoken to.
#[derive(Debug, Clone)]
pub(crate) struct CustomHandler {
    pub(crate) executable: PathBuf,
    pub(crate) working_directory: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// `enableForwardingHttpRequest`.
    pub(crate) forwarding: bool,
    /// `enableProxyingHttpRequest`; wins over forwarding.
    pub(crate) proxying: bool,
    /// A fixed port; otherwise a free one is chosen once.
    pub(crate) port: Option<u16>,
    pub(crate) initialization_timeout: Duration,
}

/// `messageEncoding`: app-wide, for reading and for output bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageEncoding {
    Base64,
    None,
}

/// `extensions.queues`.
#[derive(Debug, Clone)]
pub(crate) struct QueueOptions {
    pub(crate) batch_size: u32,
    pub(crate) new_batch_threshold: u32,
    pub(crate) max_polling_interval: Duration,
    pub(crate) max_dequeue_count: u32,
    /// The delay before a failed message is tried again; not the lease.
    pub(crate) visibility_timeout: Duration,
    pub(crate) encoding: MessageEncoding,
}

/// Applies the app settings named `AzureFunctionsJobHost__a__b` over host.json, as the host does.
pub(super) fn with_overrides(mut host: Value, settings: &Settings) -> Value {
    for (name, value) in settings.given() {
        let mut parts = name.split("__");
        if parts.next() != Some("AzureFunctionsJobHost") {
            continue;
        }
        let path: Vec<&str> = parts.collect();
        let Some((last, parents)) = path.split_last() else {
            continue;
        };
        let mut place = &mut host;
        for parent in parents {
            place = child(place, parent);
        }
        *child(place, last) = Value::String(value.clone());
    }
    host
}

/// The member of that name, in any case, made when it is missing.
fn child<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let key = value
        .as_object()
        .and_then(|object| object.keys().find(|key| key.eq_ignore_ascii_case(name)))
        .cloned()
        .unwrap_or_else(|| name.to_owned());
    &mut value[key]
}

/// What the host refuses before it looks at any function.
pub(super) fn check(host: &Value, functions: &[Arc<Function>]) -> anyhow::Result<()> {
    match json::text(host, &["version"]) {
        Some(version) if version == "2.0" => {}
        _ => bail!("host.json: 'version' must be \"2.0\""),
    }
    // Queue and timer triggers live in an extension: without a bundle the real host knows HTTP only.
    let is_bundled = json::at(host, &["extensionBundle", "id"]).is_some();
    let needs_bundle = functions
        .iter()
        .find(|function| !matches!(function.trigger, Trigger::Http(_)));
    if let (false, Some(function)) = (is_bundled, needs_bundle) {
        bail!(
            "The '{}' function is in error: its trigger is not registered. host.json needs an extensionBundle",
            function.name
        );
    }
    if let (Some(_), Some(function)) = (
        json::at(host, &["customHandler", "http", "routes"]),
        functions.first(),
    ) {
        bail!(
            "Detected both function.json files and custom handler HTTP route configuration (function '{}')",
            function.name
        );
    }
    Ok(())
}

/// The section that makes the app a custom handler.
pub(super) fn custom_handler(
    host: &Value,
    root: &Path,
    settings: &Settings,
) -> anyhow::Result<CustomHandler> {
    let handler =
        json::at(host, &["customHandler"]).context("host.json has no customHandler section")?;
    let description = json::at(handler, &["description"])
        .context("customHandler: Missing worker Description.")?;
    let expanded = |name: &str| {
        json::text(description, &[name])
            .map(|text| settings.expand_or_remove(&text))
            .filter(|text| !text.is_empty())
    };
    let executable = expanded("defaultExecutablePath")
        .context("customHandler: WorkerDescription DefaultExecutablePath cannot be empty")?;
    // Joining an absolute path gives that path, an empty one the root itself.
    let worker_directory = root.join(expanded("workerDirectory").unwrap_or_default());
    let beside = worker_directory.join(&executable);
    let executable = if beside.is_file() {
        beside
    } else {
        PathBuf::from(executable)
    };
    let mut line = Vec::new();
    for list in ["arguments", "workerArguments"] {
        if let Some(Value::Array(items)) = json::at(description, &[list]) {
            line.extend(items.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let line = settings.expand_or_remove(&line.join(" "));
    let port =
        match json::text(handler, &["port"]) {
            None => None,
            Some(text) if text.is_empty() => None,
            Some(text) => Some(text.parse().with_context(|| {
                format!("customHandler: port must be a port number, not {text}")
            })?),
        };
    Ok(CustomHandler {
        executable,
        working_directory: root.join(expanded("workingDirectory").unwrap_or_default()),
        arguments: split_command_line(&line),
        forwarding: json::flag(handler, &["enableForwardingHttpRequest"])?,
        proxying: json::flag(handler, &["enableProxyingHttpRequest"])?,
        port,
        initialization_timeout: json::span(
            handler,
            &["initializationTimeout"],
            Duration::from_secs(30),
        )?,
    })
}

/// The host joins the arguments with spaces into one command line, which .NET then splits again: quotes group, and a
/// backslash before a quote makes it a plain one.
fn split_command_line(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current = String::new();
    let (mut started, mut quoted) = (false, false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'"') => {
                letters.next();
                current.push('"');
                started = true;
            }
            '"' => {
                quoted = !quoted;
                started = true;
            }
            ' ' | '\t' if !quoted => {
                if started {
                    arguments.push(std::mem::take(&mut current));
                }
                started = false;
            }
            letter => {
                current.push(letter);
                started = true;
            }
        }
    }
    if started {
        arguments.push(current);
    }
    arguments
}

/// `extensions.queues`, with the host's defaults and limits.
pub(super) fn queues(host: &Value) -> anyhow::Result<QueueOptions> {
    let empty = Value::Object(Map::new());
    let queues = json::at(host, &["extensions", "queues"]).unwrap_or(&empty);
    let batch_size = json::number(queues, &["batchSize"], 1..=32, 16)?;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threshold = (batch_size / 2).saturating_mul(u32::try_from(processors).unwrap_or(1));
    let max_polling_interval =
        json::span(queues, &["maxPollingInterval"], Duration::from_secs(60))?;
    if max_polling_interval < Duration::from_millis(100) {
        bail!("maxPollingInterval must be at least 100 ms");
    }
    let encoding = match json::text(queues, &["messageEncoding"]) {
        None => MessageEncoding::Base64,
        Some(text) if text.eq_ignore_ascii_case("base64") => MessageEncoding::Base64,
        Some(text) if text.eq_ignore_ascii_case("none") => MessageEncoding::None,
        Some(text) => bail!("messageEncoding must be base64 or none, not {text}"),
    };
    let week = Duration::from_secs(7 * 86_400);
    Ok(QueueOptions {
        batch_size,
        new_batch_threshold: json::number(queues, &["newBatchThreshold"], 0..=u32::MAX, threshold)?,
        max_polling_interval,
        max_dequeue_count: json::number(queues, &["maxDequeueCount"], 1..=u32::MAX, 5)?,
        visibility_timeout: json::span(queues, &["visibilityTimeout"], Duration::ZERO)?.min(week),
        encoding,
    })
}

/// `extensions.http.routePrefix`, "api" by default, without slashes at its ends.
pub(super) fn route_prefix(host: &Value) -> String {
    let prefix = json::text(host, &["extensions", "http", "routePrefix"]);
    let prefix = prefix.unwrap_or_else(|| "api".to_owned());
    prefix.trim_matches('/').to_owned()
}

/// `functionTimeout`: 30 minutes by default, `-1` is unbounded, at least a second.
pub(super) fn function_timeout(host: &Value) -> anyhow::Result<Option<Duration>> {
    if json::text(host, &["functionTimeout"]).is_some_and(|text| text.trim() == "-1") {
        return Ok(None);
    }
    let timeout = json::span(host, &["functionTimeout"], Duration::from_secs(1800))?;
    if timeout < Duration::from_secs(1) {
        bail!("functionTimeout must be at least a second");
    }
    Ok(Some(timeout))
}

#[cfg(test)]
mod tests {
    use super::{custom_handler, function_timeout, queues, split_command_line, with_overrides};
    use crate::settings::Settings;
    use serde_json::json;
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn arguments_are_one_line() {
        fn check(line: &str, expected: &[&str]) {
            assert_eq!(split_command_line(line), expected, "{line}");
        }
        check("", &[]);
        check("serve", &["serve"]);
        check("serve  --x  1 ", &["serve", "--x", "1"]);
        check(r#"a "b c" d"#, &["a", "b c", "d"]);
        check(r#"a "" \"q\" c:\d"#, &["a", "", "\"q\"", r"c:\d"]);
    }

    #[test]
    fn queue_options_have_the_hosts_defaults_and_limits() {
        let options = queues(&json!({"version": "2.0"})).expect("defaults");
        assert_eq!((options.batch_size, options.max_dequeue_count), (16, 5));
        assert_eq!(options.max_polling_interval, Duration::from_secs(60));
        let options = queues(&json!({"extensions": {"queues": {"batchSize": "1",
            "newBatchThreshold": 0, "visibilityTimeout": "00:00:05", "messageEncoding": "none"}}}));
        let options = options.expect("texts count as numbers");
        assert_eq!((options.batch_size, options.new_batch_threshold), (1, 0));
        assert_eq!(options.visibility_timeout, Duration::from_secs(5));
        for wrong in [
            json!({"batchSize": 33}),
            json!({"batchSize": 0}),
            json!({"maxDequeueCount": 0}),
            json!({"maxPollingInterval": "00:00:00.05"}),
            json!({"messageEncoding": "utf8"}),
            json!({"visibilityTimeout": []}),
        ] {
            let host = json!({"extensions": {"queues": wrong}});
            assert!(queues(&host).is_err(), "{host}");
        }
    }

    #[test]
    fn timeouts() {
        let read = |text: &str| function_timeout(&json!({"functionTimeout": text}));
        assert_eq!(read("-1").expect("unbounded"), None);
        assert_eq!(
            read("00:05:00").expect("five"),
            Some(Duration::from_secs(300))
        );
        assert!(read("00:00:00").is_err());
        let default = function_timeout(&json!({})).expect("default");
        assert_eq!(default, Some(Duration::from_secs(1800)));
    }

    #[test]
    fn settings_override_host_json_and_fill_the_command_line() {
        let settings = Settings::new(vec![
            (
                "AzureFunctionsJobHost__extensions__queues__batchSize".to_owned(),
                "3".to_owned(),
            ),
            ("MODE".to_owned(), "fast".to_owned()),
        ]);
        let host = json!({"customHandler": {"description": {"defaultExecutablePath": "nowhere",
            "arguments": ["serve", "--%MODE%", "%not-set-here%"]}, "port": "8081"}});
        let host = with_overrides(host, &settings);
        assert_eq!(queues(&host).expect("overridden").batch_size, 3);
        let handler = custom_handler(&host, Path::new("/app"), &settings).expect("whole");
        assert_eq!(handler.arguments, ["serve", "--fast"]);
        assert_eq!(handler.executable, Path::new("nowhere"));
        assert_eq!(handler.working_directory, Path::new("/app/"));
        assert_eq!(handler.port, Some(8081));
    }
}
