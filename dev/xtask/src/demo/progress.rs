//! What changed in a request's status since it was looked at last, as lines to show.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

/// How often a step's growing counts are shown.
const COUNTS: Duration = Duration::from_secs(2);

/// What was shown of each request.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    seen: HashMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    status: String,
    step: String,
    ended: Vec<String>,
    counts: (u64, u64),
    counts_at: Duration,
    waiting_for: String,
}

impl Progress {
    /// The lines for a status that was read at this time: steps that ended, the step that began, its counts, what it
    /// waits for.
    pub(crate) fn lines(&mut self, id: &str, status: &Value, now: Duration) -> Vec<String> {
        let seen = self.seen.entry(id.to_owned()).or_default();
        let mut lines = Vec::new();
        let mut ended: Vec<(&str, &String, &Value)> = stages(status)
            .filter_map(|(name, stage)| Some((stage["ended_at"].as_str()?, name, stage)))
            .filter(|(_, name, _)| !seen.ended.contains(name))
            .collect();
        ended.sort_unstable_by_key(|(at, _, _)| *at);
        for (_, name, stage) in ended {
            seen.ended.push(name.clone());
            // A step that is one piece of work has no counts of its own.
            let is_counted = number(stage, "done") + number(stage, "failed") > 0;
            let counts = if is_counted {
                format!(": {}", counts(stage))
            } else {
                String::new()
            };
            lines.push(format!("{name:<10} done{counts}"));
        }
        let step = status["step"].as_str().unwrap_or_default();
        let stage = &status["stages"][step];
        if step != seen.step && !step.is_empty() {
            let function = stage["function"].as_str();
            let function = function.map(|it| format!(" ({it})")).unwrap_or_default();
            lines.push(format!("{step:<10} begins{function}"));
            step.clone_into(&mut seen.step);
            seen.counts = (0, 0);
            seen.counts_at = now;
            seen.waiting_for.clear();
        }
        let found = (number(stage, "done"), number(stage, "failed"));
        if !step.is_empty() && found != seen.counts && now >= seen.counts_at + COUNTS {
            lines.push(format!("{step:<10} {}", counts(stage)));
            seen.counts = found;
            seen.counts_at = now;
        }
        let waiting_for = stage["waiting_for"].as_str().unwrap_or_default();
        if waiting_for != seen.waiting_for && !waiting_for.is_empty() {
            lines.push(format!("{step:<10} waits: {waiting_for}"));
            waiting_for.clone_into(&mut seen.waiting_for);
        }
        let state = status["status"].as_str().unwrap_or_default();
        if state != seen.status {
            let due = status["due"].as_str().unwrap_or_default();
            lines.push(match seen.status.as_str() {
                "" => format!("is {state}, due {due}"),
                _ => format!("is {state}"),
            });
            state.clone_into(&mut seen.status);
        }
        lines
    }
}

fn stages(status: &Value) -> impl Iterator<Item = (&String, &Value)> {
    status["stages"].as_object().into_iter().flatten()
}

fn number(stage: &Value, key: &str) -> u64 {
    stage[key].as_u64().unwrap_or(0)
}

fn counts(stage: &Value) -> String {
    let (planned, done) = (number(stage, "planned"), number(stage, "done"));
    let mut text = format!("{done} of {planned}");
    for (key, what) in [("failed", "failed"), ("waiting", "waiting")] {
        let count = number(stage, key);
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn status(status: &str, step: &str, stages: &Value) -> Value {
        json!({ "status": status, "step": step, "due": "2026-12-20", "stages": stages })
    }

    #[test]
    fn each_change_is_told_once() {
        let mut progress = Progress::default();
        let ended =
            json!({ "planned": 2, "done": 2, "failed": 1, "ended_at": "2026-11-20T09:00:00Z" });
        let looks = [
            (
                0,
                status(
                    "running",
                    "find",
                    &json!({ "find": { "function": "blob-search" } }),
                ),
                vec![
                    "find       begins (blob-search)",
                    "is running, due 2026-12-20",
                ],
            ),
            (
                1,
                status(
                    "running",
                    "find",
                    &json!({ "find": { "planned": 9, "done": 1 } }),
                ),
                vec![],
            ),
            (
                3,
                status(
                    "running",
                    "find",
                    &json!({ "find": { "planned": 9, "done": 2, "waiting": 1, "waiting_for": "the API" } }),
                ),
                vec!["find       2 of 9, 1 waiting", "find       waits: the API"],
            ),
            (
                4,
                status("running", "resolve", &json!({ "find": ended })),
                vec!["find       done: 2 of 2, 1 failed", "resolve    begins"],
            ),
            (
                5,
                status("completed", "", &json!({ "find": ended })),
                vec!["is completed"],
            ),
            (
                6,
                status("completed", "", &json!({ "find": ended })),
                vec![],
            ),
        ];
        for (second, status, expected) in looks {
            let lines = progress.lines("a", &status, Duration::from_secs(second));
            assert_eq!(lines, expected, "{second}");
        }
    }
}
