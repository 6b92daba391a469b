//! `appcenter-dsr requests …`: a client of the HTTP API, for people and scripts.
//!
//! Results go to standard output, remarks and errors to standard error. Exit codes: 0 done; 1 not possible, or an error;
//! `watch` also has 2 (completed with exceptions), 3 (waits for an approval) and 4 (failed, rejected or cancelled).

mod api;
mod download;
mod failure;
mod show;
#[cfg(test)]
mod tests;
mod watch;

use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::Lookup;
use crate::domain::RequestId;
use api::{Api, Function};
use failure::Failure;

/// Largest request document that the service takes, in bytes.
const MAX_DOCUMENT: u64 = 256 * 1024;

/// The arguments of `requests`.
#[derive(Debug, Args)]
pub(super) struct Requests {
    /// Address of the service; also `DSR_URL`. [default: `http://localhost:7071`]
    #[arg(long, global = true)]
    url: Option<String>,
    /// Key of the function that the command calls.
    ///
    /// Other users of the machine can see it here; better set `DSR_INTAKE_KEY` (submit), `DSR_REQUESTS_KEY` (list, show,
    /// watch, download), `DSR_DECIDE_KEY` (the decisions) or `DSR_KEY` (all).
    #[arg(long, global = true)]
    key: Option<String>,
    /// Print the service's JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// File a request: a JSON document from a file, or `-` for standard input.
    Submit {
        /// The document.
        file: PathBuf,
    },
    /// List requests.
    List {
        /// Only those of this status; `refused` lists refused queue messages.
        #[arg(long)]
        status: Option<String>,
    },
    /// Show a request's status, plan or report.
    Show {
        /// The request.
        id: RequestId,
        /// What to show of it: `status`, `plan` (exactly its bytes), `report` or `report.md`.
        #[arg(default_value = "status")]
        part: Part,
    },
    /// Print a line for each step until the request ends or waits for an approval.
    Watch {
        /// The request.
        id: RequestId,
        /// Seconds between two looks.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
        every: u64,
        /// Give up after so many seconds.
        #[arg(long)]
        timeout: Option<u64>,
        /// Go on through the wait for an approval.
        #[arg(long)]
        through_approval: bool,
    },
    /// Approve the plan: from here on it is carried out and cannot be taken back.
    Approve {
        /// The request.
        id: RequestId,
        /// The SHA-256 of the plan that was looked at (`show ID`).
        #[arg(long)]
        plan_sha256: String,
        /// Who approves.
        #[arg(long)]
        by: String,
        /// A held item to act on as well; may be given more than once.
        #[arg(long)]
        also: Vec<String>,
        /// The plan's number of reports, where the plan is large.
        #[arg(long)]
        confirm_large: Option<u64>,
    },
    /// Reject the plan.
    Reject(Reasoned),
    /// Stop the request before its next irreversible call.
    Cancel(Reasoned),
    /// Move the due date, once, before it is over.
    Extend(Reasoned),
    /// Run everything again, with a new plan.
    Retry {
        /// The request.
        id: RequestId,
        /// Who does it.
        #[arg(long)]
        by: String,
    },
    /// Download the package, whole and checked; goes on where an earlier download stopped.
    Download {
        /// The request.
        id: RequestId,
        /// Where to put it. [default: `ID.zip`]
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// Replace the file if it is there.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
struct Reasoned {
    /// The request.
    id: RequestId,
    /// Who decides.
    #[arg(long)]
    by: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Status,
    Plan,
    Report,
    ReportText,
}

impl std::str::FromStr for Part {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "status" => Self::Status,
            "plan" => Self::Plan,
            "report" => Self::Report,
            "report.md" => Self::ReportText,
            _ => return Err("one of status, plan, report, report.md"),
        })
    }
}

/// Runs a command of `requests`, with settings from `lookup`.
#[must_use]
pub(super) fn run(requests: &Requests, lookup: Lookup<'_>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    let result = match runtime {
        Ok(runtime) => runtime.block_on(execute(requests, lookup, &mut out, &mut err)),
        Err(error) => Err(Failure::file("start", error)),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // There is nobody to tell when standard error is closed.
            let _told = failure.print(&mut err);
            ExitCode::FAILURE
        }
    }
}

/// Runs a command and gives its exit code.
async fn execute(
    requests: &Requests,
    lookup: Lookup<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8, Failure> {
    let api = |function| Api::new(requests, lookup, function);
    let decide = async |id: &RequestId, action: &str, body: Value, out: &mut dyn Write| {
        let api = api(Function::Decide)?;
        let status = api.post(&["requests", id.as_str(), action], &body).await?;
        show::status(&status, requests.json, out)?;
        Ok(0)
    };
    let reasoned = |it: &Reasoned| json!({ "by": it.by, "reason": it.reason });
    match &requests.command {
        Command::Submit { file } => {
            let document = read_document(file)?;
            let api = api(Function::Intake)?;
            let (status, is_new) = api.submit(document).await?;
            if !is_new {
                writeln!(err, "this request was filed before")?;
            }
            show::status(&status, requests.json, out)?;
            Ok(0)
        }
        Command::List { status } => {
            show::list(
                &api(Function::Requests)?,
                status.as_deref(),
                requests.json,
                out,
            )
            .await
        }
        Command::Show { id, part } => {
            show::part(
                &api(Function::Requests)?,
                id,
                *part,
                requests.json,
                out,
                err,
            )
            .await
        }
        Command::Watch {
            id,
            every,
            timeout,
            through_approval,
        } => {
            let watch = watch::Watch {
                every: Duration::from_secs(*every),
                timeout: timeout.map(Duration::from_secs),
                through_approval: *through_approval,
                json: requests.json,
            };
            watch.run(&api(Function::Requests)?, id, out, err).await
        }
        Command::Approve {
            id,
            plan_sha256,
            by,
            also,
            confirm_large,
        } => {
            let mut body = json!({ "plan_sha256": plan_sha256, "approver": by });
            if !also.is_empty() {
                body["also"] = json!(also);
            }
            if let Some(reports) = confirm_large {
                body["confirm_large"] = json!(reports);
            }
            decide(id, "approve", body, out).await
        }
        Command::Reject(it) => decide(&it.id, "reject", reasoned(it), out).await,
        Command::Cancel(it) => decide(&it.id, "cancel", reasoned(it), out).await,
        Command::Extend(it) => decide(&it.id, "extend", reasoned(it), out).await,
        Command::Retry { id, by } => decide(id, "retry", json!({ "by": by }), out).await,
        Command::Download { id, output, force } => {
            let output = output
                .clone()
                .unwrap_or_else(|| PathBuf::from(format!("{id}.zip")));
            let api = api(Function::Requests)?;
            download::Download::new(&api, id, output, *force)
                .run(out, err)
                .await?;
            Ok(0)
        }
    }
}

/// Reads a document, but no more of it than the service would take.
fn read_document(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    let mut document = Vec::new();
    let mut source: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(
            std::fs::File::open(file).map_err(|error| Failure::file("open the document", error))?,
        )
    };
    source
        .by_ref()
        .take(MAX_DOCUMENT + 1)
        .read_to_end(&mut document)
        .map_err(|error| Failure::file("read the document", error))?;
    if document.len() as u64 > MAX_DOCUMENT {
        return Err(Failure::usage("a request document has at most 256 KiB"));
    }
    Ok(document)
}
