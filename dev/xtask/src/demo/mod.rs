//! `cargo xtask demo`: the main job from end to end, and whether it came to what it should.

mod package;
mod progress;
mod verify;

pub(crate) use progress::Progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use appcenter_sim::{ExpectedRequest, Mode, World};
use azurite::Azurite;
use clap::Args;
use serde_json::{Value, json};
use stack::{Api, App, Settings, Stack};

use package::Found;

use crate::cargo::{Profile, given_or_built};
use crate::run::interrupted;

/// How long the two requests may take together.
const LIMIT: Duration = Duration::from_secs(480);
/// How often the two requests are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// The requests of the demo world that are submitted, in this order: the erasure waits for the export of the same
/// person before it blocks anything.
const REQUESTS: [(&str, &str); 2] = [("export", "ana-export"), ("erasure", "ana-delete")];
/// Lines of a report that are shown.
const REPORT_LINES: usize = 40;

/// One submitted request.
struct Submitted {
    what: &'static str,
    id: String,
    expected: ExpectedRequest,
    plan: Value,
    status: Value,
}

/// The product's API with the key of each function.
struct Keys {
    intake: Api,
    requests: Api,
    decide: Api,
}

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave everything running until Ctrl-C, and say how to use it.
    #[arg(long)]
    keep: bool,
    /// Use this handler instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Unpack this zip of `cargo xtask package` and run what is in it, as Azure does.
    #[arg(long, conflicts_with = "handler")]
    package: Option<PathBuf>,
}

/// Runs the demo; with `keep` everything goes on until Ctrl-C.
///
/// # Errors
/// When something does not start, or a request does not end.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    println!("appcenter-dsr demo: one export and one erasure, for a person of the demo world.");
    println!();
    let unpacked = tempfile::tempdir()?;
    let app = match &options.package {
        Some(zip) => {
            println!("Unpacking {}", zip.display());
            crate::package::unpack(zip, unpacked.path())?;
            App::Folder(unpacked.path().to_owned())
        }
        None => App::Handler(given_or_built(options.handler.as_deref(), Profile::Dev).await?),
    };
    println!(
        "Installing Azurite, the storage emulator, unless it is there (npm ci in dev/azurite)"
    );
    tokio::task::spawn_blocking(azurite::install).await??;
    println!(
        "Starting Azurite, the App Center simulator, the local Functions host and the handler"
    );
    let stack = start_stack(app).await?;
    let keys = keys(&stack)?;
    println!("  ready after {:.1} s", start.elapsed().as_secs_f64());
    println!();

    let mut submitted = Vec::new();
    for (what, name) in REQUESTS {
        submitted.push(submit(&stack, &keys, what, name).await?);
    }
    println!();
    follow(&keys, &mut submitted).await?;

    for request in &submitted {
        println!();
        show_report(&keys, request).await?;
    }
    println!();
    let package = match submitted.iter().find(|it| !it.expected.is_delete()) {
        Some(export) => show_package(&keys, export).await?,
        None => None,
    };
    let package = package.as_deref().map(Found::read).transpose()?;
    println!();
    let is_exact = verify::show(&stack, &submitted, package.as_ref());
    println!();
    println!(
        "{} in {:.1} s.",
        if is_exact {
            "Exactly what was expected"
        } else {
            "NOT what was expected"
        },
        start.elapsed().as_secs_f64()
    );
    if options.keep {
        show_addresses(&stack, &submitted);
        interrupted().await;
    }
    Ok(if is_exact {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn start_stack(app: App) -> anyhow::Result<Stack> {
    let mut settings = Settings::new(Path::new(""));
    settings.app = app;
    // The product has App Center export, as in a fresh installation; the simulator takes its next step twice a second.
    settings.is_exported = false;
    settings.sim.mode = Mode::Auto {
        every: Duration::from_millis(500),
    };
    settings.enable_auth = true;
    let azurite = Arc::new(Azurite::start().await?);
    Stack::start(azurite, World::demo()?, settings).await
}

fn keys(stack: &Stack) -> anyhow::Result<Keys> {
    let with_key = |function: &str| {
        let key = stack.host().function_key(function);
        anyhow::Ok(stack.api.with_key(key.context("the host gave no key")?))
    };
    Ok(Keys {
        intake: with_key("intake")?,
        requests: with_key("requests")?,
        decide: with_key("decide")?,
    })
}

async fn submit(
    stack: &Stack,
    keys: &Keys,
    what: &'static str,
    name: &str,
) -> anyhow::Result<Submitted> {
    let expected = stack.sim.world(|world| world.request(name).cloned());
    let expected = expected.with_context(|| format!("the demo world has no request `{name}`"))?;
    let id = keys.intake.submit(&expected.document).await?;
    println!(
        "POST /api/requests   {what} {}: {} -> {id}",
        expected.document["reference"].as_str().unwrap_or_default(),
        expected.person
    );
    Ok(Submitted {
        what,
        id,
        expected,
        plan: Value::Null,
        status: Value::Null,
    })
}

/// Shows progress and approves plans until all requests have ended.
async fn follow(keys: &Keys, submitted: &mut [Submitted]) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut progress = Progress::default();
    loop {
        let mut open = 0;
        for request in submitted.iter_mut() {
            request.status = keys.requests.status(&request.id).await?;
            let now = start.elapsed().as_secs_f64();
            for line in progress.lines(&request.id, &request.status, start.elapsed()) {
                println!("{now:6.1} s  {:<8} {line}", request.what);
            }
            match request.status["status"].as_str() {
                Some("received" | "running") => open += 1,
                Some("awaiting_approval") => {
                    open += 1;
                    approve(keys, request).await?;
                }
                _ => {}
            }
        }
        if open == 0 {
            break;
        }
        anyhow::ensure!(
            start.elapsed() < LIMIT,
            "the requests did not end within {LIMIT:?}"
        );
        tokio::time::sleep(LOOK).await;
    }
    for request in submitted.iter_mut().filter(|it| it.plan.is_null()) {
        // A request that failed early has no plan; the table at the end says so.
        if let Ok((plan, _hash)) = keys.requests.plan(&request.id).await {
            request.plan = plan;
        }
    }
    Ok(())
}

/// Looks at the plan and approves it as it stands: nothing that is held is released.
async fn approve(keys: &Keys, request: &mut Submitted) -> anyhow::Result<()> {
    if !request.plan.is_null() {
        return Ok(());
    }
    let (plan, hash) = keys.requests.plan(&request.id).await?;
    let count = |key: &str, action: &str| {
        let items = plan[key].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter(|it| it["action"] == action).count()
    };
    println!(
        "          {:<8} GET  …/plan: act on {} installs and {} reports, hold {} installs and {} reports",
        request.what,
        count("installs", "act"),
        count("reports", "act"),
        count("installs", "hold"),
        count("reports", "hold")
    );
    let mut decision = json!({ "plan_sha256": hash, "approver": "cargo xtask demo" });
    if let Some(reports) = plan["large"]["confirm_large"].as_u64() {
        println!(
            "          {:<8} it is more than 5 % of an app's reports, so the approval names their number: {reports}",
            request.what
        );
        decision["confirm_large"] = json!(reports);
    }
    println!(
        "          {:<8} POST …/approve  plan_sha256 {}…",
        request.what,
        &hash[..12]
    );
    keys.decide
        .decide(&request.id, "approve", &decision)
        .await?;
    request.plan = plan;
    Ok(())
}

async fn show_report(keys: &Keys, request: &Submitted) -> anyhow::Result<()> {
    let path = format!("/api/requests/{}/report?format=md", request.id);
    let response = keys
        .requests
        .send(reqwest::Method::GET, &path, None)
        .await?;
    println!(
        "== {} {}: {} ==",
        request.what,
        request.status["reference"].as_str().unwrap_or_default(),
        request.status["status"].as_str().unwrap_or_default()
    );
    if !response.status().is_success() {
        println!("  (no report: {})", response.status());
        return Ok(());
    }
    let text = response.text().await?;
    for line in text.lines().take(REPORT_LINES) {
        println!("  | {line}");
    }
    let more = text.lines().count().saturating_sub(REPORT_LINES);
    if more > 0 {
        println!("  | … {more} more lines: GET {path}");
    }
    Ok(())
}

/// Downloads the package to `target/demo`, and says where it lies.
async fn show_package(keys: &Keys, export: &Submitted) -> anyhow::Result<Option<PathBuf>> {
    let path = format!("/api/requests/{}/package", export.id);
    let response = keys
        .requests
        .send(reqwest::Method::GET, &path, None)
        .await?;
    println!("== package ==");
    if !response.status().is_success() {
        println!("  (no package: {})", response.status());
        return Ok(None);
    }
    let bytes = response.bytes().await?;
    let folder = stack::project_root().join("target/demo");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("package.zip");
    std::fs::write(&file, &bytes)?;
    let run = export.status["run"].as_u64().unwrap_or(1);
    println!(
        "  stored     container dsr, blob packages/{}/{run:03}.zip",
        export.id
    );
    println!("  download   GET {path}");
    println!("  link       GET {path}?link=72h   (an address that expires)");
    println!("  saved      {} ({} bytes)", file.display(), bytes.len());
    Ok(Some(file))
}

fn show_addresses(stack: &Stack, submitted: &[Submitted]) {
    let host = stack.host();
    let key = |function: &str| host.function_key(function).unwrap_or_default().to_owned();
    let url = host.url();
    println!();
    println!("Everything runs until Ctrl-C.");
    println!("  Functions host   {url}");
    println!("  key to file      {}", key("intake"));
    println!("  key to read      {}", key("requests"));
    println!("  key to decide    {}", key("decide"));
    println!(
        "  App Center       {}   token {}",
        stack.sim.url(),
        stack.sim.token()
    );
    println!("  storage          {}", stack.account.connection_string());
    println!("Try:");
    let read = format!("curl -H 'x-functions-key: {}'", key("requests"));
    println!("  {read} {url}/api/requests");
    for request in submitted {
        println!(
            "  {read} '{url}/api/requests/{}/report?format=md'",
            request.id
        );
    }
}
