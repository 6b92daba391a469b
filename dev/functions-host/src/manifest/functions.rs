//! function.json: one folder is one function.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::json;
use crate::front::route::Template;
use crate::settings::Settings;
use crate::timer::Schedule;

/// More functions than that are a wrong folder.
const MOST_FUNCTIONS: usize = 200;

/// One function of the app.
#[derive(Debug)]
pub(crate) struct Function {
    /// The folder's name: the function's name and its path on the handler.
    pub(crate) name: String,
    pub(crate) trigger: Trigger,
    pub(crate) outputs: Vec<OutputBinding>,
    /// One httpTrigger in and one http out, nothing else: what forwarding and proxying need.
    pub(crate) is_http_in_and_out: bool,
}

/// What starts a function.
#[derive(Debug)]
pub(crate) enum Trigger {
    Queue(QueueRef),
    Http(HttpTrigger),
    Timer(TimerTrigger),
}

/// A queue that a binding names.
#[derive(Debug, Clone)]
pub(crate) struct QueueRef {
    /// The binding's name.
    pub(crate) binding: String,
    pub(crate) queue: String,
    pub(crate) connection: String,
    /// `"dataType":"binary"`.
    pub(crate) binary: bool,
}

/// An HTTP trigger.
#[derive(Debug)]
pub(crate) struct HttpTrigger {
    pub(crate) binding: String,
    /// Upper case; empty is every method.
    pub(crate) methods: Vec<String>,
    pub(crate) route: Template,
    pub(crate) access: Access,
}

/// `authLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Anonymous,
    Function,
    Admin,
}

/// A timer trigger.
#[derive(Debug)]
pub(crate) struct TimerTrigger {
    pub(crate) binding: String,
    pub(crate) schedule: Schedule,
    pub(crate) run_on_startup: bool,
    pub(crate) use_monitor: bool,
}

/// An output binding.
#[derive(Debug)]
pub(crate) struct OutputBinding {
    pub(crate) name: String,
    pub(crate) target: Target,
}

/// Where an output goes.
#[derive(Debug)]
pub(crate) enum Target {
    Http,
    Queue(QueueRef),
}

/// Reads every direct child folder that holds a function.json, in the order of their names.
pub(super) fn read_all(root: &Path, settings: &Settings) -> anyhow::Result<Vec<Arc<Function>>> {
    let mut functions = Vec::new();
    for entry in std::fs::read_dir(root)
        .with_context(|| format!("the app folder {} cannot be read", root.display()))?
    {
        let folder = entry?.path();
        let file = folder.join("function.json");
        if !file.is_file() {
            continue;
        }
        let name = folder.file_name().and_then(|name| name.to_str());
        let name = name.context("a function's folder name is not UTF-8")?;
        if functions.len() == MOST_FUNCTIONS {
            bail!("the app folder holds more than {MOST_FUNCTIONS} functions");
        }
        let read = json::read(&file).and_then(|value| function(name, &value, settings));
        let read = read.with_context(|| format!("The '{name}' function is in error"))?;
        functions.extend(read.map(Arc::new));
    }
    functions.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(functions)
}

fn is_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// One function; `None` when it is disabled.
fn function(name: &str, file: &Value, settings: &Settings) -> anyhow::Result<Option<Function>> {
    if !is_name(name) {
        bail!("'{name}' is not a valid function name.");
    }
    let by_setting = settings.get(&format!("AzureWebJobs.{name}.Disabled"));
    if json::flag(file, &["disabled"])?
        || by_setting.is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    {
        return Ok(None);
    }
    let bindings = match json::at(file, &["bindings"]) {
        Some(Value::Array(bindings)) if !bindings.is_empty() => bindings,
        _ => bail!("At least one binding must be declared."),
    };
    let (mut triggers, mut outputs) = (Vec::new(), Vec::new());
    let mut names: Vec<String> = Vec::new();
    for binding in bindings {
        let kind = json::text(binding, &["type"]).context("a binding has no type")?;
        let given = json::text(binding, &["name"]).context("a binding has no name")?;
        if names.contains(&given) {
            bail!(
                "Multiple bindings with name '{given}' discovered. Binding names must be unique."
            );
        }
        names.push(given.clone());
        let direction = json::text(binding, &["direction"]).unwrap_or_else(|| "in".to_owned());
        match (kind.to_ascii_lowercase().as_str(), direction.as_str()) {
            ("queuetrigger", "in") => {
                triggers.push(Trigger::Queue(queue_ref(given, binding, settings)?));
            }
            ("httptrigger", "in") => triggers.push(Trigger::Http(http(name, given, binding)?)),
            ("timertrigger", "in") => {
                triggers.push(Trigger::Timer(timer(given, binding, settings)?));
            }
            ("http", "out") => outputs.push(OutputBinding {
                name: given,
                target: Target::Http,
            }),
            ("queue", "out") => outputs.push(OutputBinding {
                target: Target::Queue(queue_ref(given.clone(), binding, settings)?),
                name: given,
            }),
            (_, direction) => bail!(
                "the local host knows no binding of type '{kind}' and direction '{direction}'"
            ),
        }
    }
    let (Some(trigger), None) = (triggers.pop(), triggers.pop()) else {
        bail!("a function needs exactly one trigger");
    };
    let is_http_in_and_out = matches!(trigger, Trigger::Http(_))
        && matches!(outputs.as_slice(), [only] if matches!(only.target, Target::Http));
    Ok(Some(Function {
        name: name.to_owned(),
        trigger,
        outputs,
        is_http_in_and_out,
    }))
}

fn queue_ref(name: String, binding: &Value, settings: &Settings) -> anyhow::Result<QueueRef> {
    let queue = json::text(binding, &["queueName"]).context("a queue binding has no queueName")?;
    // The host lowers the case of queue names.
    let queue = expanded(&queue, settings)?.to_ascii_lowercase();
    let is_valid = (3..=63).contains(&queue.len())
        && !queue.starts_with('-')
        && !queue.ends_with('-')
        && !queue.contains("--")
        && queue
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_valid {
        bail!("'{queue}' is no queue name");
    }
    let data_type = json::text(binding, &["dataType"]).unwrap_or_default();
    Ok(QueueRef {
        binding: name,
        queue,
        connection: json::text(binding, &["connection"]).unwrap_or_default(),
        binary: data_type.eq_ignore_ascii_case("binary"),
    })
}

fn http(function: &str, name: String, binding: &Value) -> anyhow::Result<HttpTrigger> {
    let methods = match json::at(binding, &["methods"]) {
        Some(Value::Array(methods)) => methods
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_ascii_uppercase)
            .collect(),
        _ => Vec::new(),
    };
    let level = json::text(binding, &["authLevel"]).unwrap_or_default();
    let access = match level.to_ascii_lowercase().as_str() {
        "anonymous" => Access::Anonymous,
        "" | "function" => Access::Function,
        "admin" => Access::Admin,
        _ => bail!("authLevel cannot be '{level}'"),
    };
    let route = json::text(binding, &["route"]).filter(|route| !route.is_empty());
    Ok(HttpTrigger {
        binding: name,
        methods,
        route: Template::parse(route.as_deref().unwrap_or(function))?,
        access,
    })
}

fn timer(name: String, binding: &Value, settings: &Settings) -> anyhow::Result<TimerTrigger> {
    let schedule = json::text(binding, &["schedule"]).context("a timer has no schedule")?;
    let schedule = expanded(&schedule, settings)?;
    let use_monitor =
        json::at(binding, &["useMonitor"]).is_none() || json::flag(binding, &["useMonitor"])?;
    Ok(TimerTrigger {
        binding: name,
        schedule: Schedule::parse(&schedule)
            .with_context(|| format!("'{schedule}' is neither NCRONTAB nor a time span"))?,
        run_on_startup: json::flag(binding, &["runOnStartup"])?,
        use_monitor,
    })
}

fn expanded(text: &str, settings: &Settings) -> anyhow::Result<String> {
    match settings.expand(text) {
        Ok(text) => Ok(text),
        Err(name) => bail!("'%{name}%' does not resolve to a value."),
    }
}

#[cfg(test)]
mod tests {
    use super::{Function, Trigger, function};
    use crate::settings::Settings;
    use serde_json::{Value, json};

    fn read(name: &str, bindings: &Value) -> anyhow::Result<Option<Function>> {
        let settings = Settings::new(vec![("Q".to_owned(), "Jobs-1".to_owned())]);
        function(name, &json!({ "bindings": bindings }), &settings)
    }

    #[test]
    fn bindings_become_functions() {
        let queue = json!([{"name": "m", "type": "queueTrigger", "direction": "in",
            "queueName": "%Q%"}]);
        let found = read("jobs", &queue).expect("valid").expect("enabled");
        assert!(matches!(found.trigger, Trigger::Queue(queue) if queue.queue == "jobs-1"));
        let http = json!([
            {"name": "req", "type": "httpTrigger", "direction": "in", "methods": ["get"]},
            {"name": "res", "type": "http", "direction": "out"}]);
        let found = read("show", &http).expect("valid").expect("enabled");
        assert!(found.is_http_in_and_out);
    }

    #[test]
    fn what_the_host_refuses_is_refused() {
        fn check(name: &str, bindings: &Value, said: &str) {
            let error = read(name, bindings).expect_err(said);
            let chain = format!("{error:#}");
            assert!(chain.contains(said), "{chain}");
        }
        let queue = |name: &str| json!([{"name": "m", "type": "queueTrigger", "queueName": name}]);
        check("jobs", &json!([]), "At least one binding");
        check("1jobs", &queue("jobs"), "not a valid function name");
        check("jobs", &queue("%unset-here%"), "does not resolve");
        check("jobs", &queue("a"), "no queue name");
        check(
            "jobs",
            &json!([{"name": "x", "type": "cosmosDB"}]),
            "knows no binding",
        );
        check(
            "jobs",
            &json!([{"name": "x", "type": "http", "direction": "out"}]),
            "one trigger",
        );
        let timer = json!([{"name": "t", "type": "timerTrigger", "schedule": "every day"}]);
        check("jobs", &timer, "neither NCRONTAB");
        let twice = json!([{"name": "x", "type": "http", "direction": "out"},
            {"name": "x", "type": "http", "direction": "out"}]);
        check("jobs", &twice, "must be unique");
    }
}
