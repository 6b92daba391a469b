//! Running other programs, and being told to stop.

use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// A program that is killed when nobody waits for it any more, without standard input.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a program with this process's output.
///
/// # Errors
/// When it does not start, or ends with anything but 0.
pub(crate) async fn check(command: &mut Command) -> anyhow::Result<()> {
    let name = command.as_std().get_program().display().to_string();
    let status = command
        .status()
        .await
        .with_context(|| format!("{name} did not start"))?;
    if !status.success() {
        let arguments: Vec<_> = command
            .as_std()
            .get_args()
            .map(|it| it.to_string_lossy())
            .collect();
        bail!("`{name} {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// Ends when this process is asked to: Ctrl-C, or a signal to terminate.
pub(crate) async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = terminated => {}
        () = interrupted => {}
    }
}
