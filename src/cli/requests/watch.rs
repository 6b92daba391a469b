//! `watch`: a line whenever something moves, until the request ends or waits for a person.

use std::io::Write;
use std::time::Duration;

use tokio::time::Instant;

use super::api::Api;
use super::failure::{Failure, plain};
use super::show::Status;
use crate::domain::RequestId;

/// Looks that may fail one after the other: the service may be restarting.
const MAX_FAILURES: u32 = 10;

/// How to watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) every: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) through_approval: bool,
    pub(super) json: bool,
}

impl Watch {
    /// Watches until there is an exit code.
    pub(super) async fn run(
        &self,
        api: &Api,
        id: &RequestId,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<u8, Failure> {
        let began = Instant::now();
        let mut printed = String::new();
        let mut failures = 0;
        loop {
            match api.get(&["requests", id.as_str()], &[]).await {
                Ok(value) => {
                    failures = 0;
                    let status = Status::read(&value)?;
                    let line = if self.json {
                        value.to_string()
                    } else {
                        line(&status)
                    };
                    if line != printed {
                        writeln!(out, "{line}")?;
                        out.flush()?;
                        printed = line;
                    }
                    if let Some(code) = self.exit_code(&status) {
                        return Ok(code);
                    }
                }
                Err(failure) if failure.is_passing() && failures < MAX_FAILURES => {
                    failures += 1;
                    writeln!(err, "{failure}; looking again")?;
                }
                Err(failure) => return Err(failure),
            }
            if self
                .timeout
                .is_some_and(|timeout| began.elapsed() + self.every > timeout)
            {
                return Err(Failure::usage(
                    "the time to watch is over; the request goes on",
                ));
            }
            tokio::time::sleep(self.every).await;
        }
    }

    fn exit_code(&self, status: &Status) -> Option<u8> {
        match status.status.as_str() {
            "received" | "running" => None,
            "awaiting_approval" if self.through_approval => None,
            "awaiting_approval" => Some(3),
            "completed" => Some(0),
            "completed_with_exceptions" => Some(2),
            _ => Some(4),
        }
    }
}

/// `running  blob-search: 12 of 40 done`, or the status and what a person must do.
fn line(status: &Status) -> String {
    let step = status.step.as_deref();
    let stage = step.and_then(|step| Some((step, status.stages.get(step)?)));
    match stage {
        Some((step, stage)) if status.status == "running" => {
            format!("running  {}: {}", plain(step), stage.line())
        }
        _ => format!("{}  {}", plain(&status.status), plain(&status.next_action)),
    }
}
