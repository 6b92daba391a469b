//! The handler's process: started, pinged until it answers, restarted by the host's rules, killed.

mod console;
mod process;
mod restarts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use process::run;

use crate::wire::Client;

/// Where the handler is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Started, or about to be, but it has not answered yet.
    Starting,
    Ready,
    /// It ended with code 0, after which the host neither starts it again nor notices.
    Dead,
    /// It failed too often: the host ends.
    GaveUp,
}

/// What is asked of the process.
#[derive(Debug)]
pub(super) enum Command {
    /// SIGKILL, as from outside: counts as a failure.
    Kill(oneshot::Sender<Option<u32>>),
    /// SIGKILL because an invocation of this process number ran out of time: not counted.
    TimedOut(u64),
}

/// Figures about the handler that outlive a restart of the whole host.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    /// 0 while there is no process.
    pid: AtomicU32,
    starts: AtomicU64,
}

impl Vitals {
    pub(crate) fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    pub(crate) fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }
}

/// A handle to the handler's process and the connection to it.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) client: Client,
    state: watch::Receiver<State>,
    commands: mpsc::Sender<Command>,
    initialization_timeout: Duration,
    vitals: Arc<Vitals>,
}

/// The handler did not come up: the host ends.
#[derive(Debug, thiserror::Error)]
#[error("Initialization timed out and host is shutting down")]
pub(crate) struct NotReady;

impl Worker {
    /// Waits until invocations can be sent: at most four times the initialization timeout, as the host does.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        let mut state = self.state.clone();
        let limit = self.initialization_timeout.saturating_mul(4);
        let ready = state.wait_for(|state| *state != State::Starting);
        match tokio::time::timeout(limit, ready).await {
            Ok(Ok(state)) if *state != State::GaveUp => Ok(()),
            Ok(_) | Err(_) => Err(NotReady),
        }
    }

    /// The state as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Which process runs now, counted from the first one.
    pub(crate) fn generation(&self) -> u64 {
        self.vitals.starts()
    }

    /// Kills the process as from outside; `None` when there is none.
    pub(crate) async fn kill(&self) -> Option<u32> {
        let (answer, killed) = oneshot::channel();
        self.commands.send(Command::Kill(answer)).await.ok()?;
        killed.await.ok().flatten()
    }

    /// Kills and restarts the process in which an invocation ran out of time, unless it has gone already.
    pub(crate) async fn timed_out(&self, generation: u64) {
        // When nobody listens the process has ended with the host.
        let _ = self.commands.send(Command::TimedOut(generation)).await;
    }
}
