//! One process after another, by the host's rules.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::console::{LastErrors, log_errors, log_output};
use super::restarts::Failures;
use super::{Command, State, Vitals, Worker};
use crate::log::LogSink;
use crate::manifest::Manifest;
use crate::settings::Settings;
use crate::wire::{Client, SendError};

/// Between two readiness pings.
const PING_INTERVAL: Duration = Duration::from_millis(25);

/// How one process ended.
enum End {
    Exited(i32),
    /// It did not start, or did not answer in time.
    Failed(String),
    /// Killed by the host because an invocation ran out of time.
    TimedOut,
}

/// Takes a port without listening: calls to it are refused, and the system gives it to nobody. None when somebody has it.
fn hold(port: u16) -> Option<TcpSocket> {
    let socket = TcpSocket::new_v4().ok()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.bind(address).is_ok().then_some(socket)
}

struct Keeper {
    manifest: Arc<Manifest>,
    settings: Settings,
    port: u16,
    worker_id: Uuid,
    log: LogSink,
    client: Client,
    vitals: Arc<Vitals>,
    state: watch::Sender<State>,
    commands: mpsc::Receiver<Command>,
}

/// Makes the handle and the task that keeps the process; dropping the task kills the process.
///
/// `started_already` is for a handler that somebody else runs on that port: it is pinged, never started or killed.
pub(crate) fn run(
    manifest: &Arc<Manifest>,
    settings: &Settings,
    port: u16,
    log: &LogSink,
    vitals: &Arc<Vitals>,
    started_already: bool,
) -> (Worker, impl Future<Output = ()> + Send + use<>) {
    let (state, watched) = watch::channel(State::Starting);
    let (sender, commands) = mpsc::channel(16);
    let client = Client::new(port);
    let worker = Worker {
        client: client.clone(),
        state: watched,
        commands: sender,
        initialization_timeout: manifest.handler.initialization_timeout,
        vitals: Arc::clone(vitals),
    };
    let mut keeper = Keeper {
        manifest: Arc::clone(manifest),
        settings: settings.clone(),
        port,
        worker_id: Uuid::new_v4(),
        log: log.clone(),
        client,
        vitals: Arc::clone(vitals),
        state,
        commands,
    };
    let task = async move {
        if started_already {
            keeper.watch_foreign().await;
        } else {
            keeper.keep().await;
        }
    };
    (worker, task)
}

impl Keeper {
    async fn keep(&mut self) {
        let mut failures = Failures::default();
        loop {
            self.state.send_replace(State::Starting);
            let end = self.one_process().await;
            // Nobody else must get the port of a handler that is not started again, and answer in its place.
            let held = matches!(end, End::Exited(0)).then(|| hold(self.port));
            self.vitals.pid.store(0, Ordering::Relaxed);
            match end {
                End::Exited(0) => {
                    self.state.send_replace(State::Dead);
                    self.until_killed().await;
                    drop(held);
                }
                End::Exited(200) => self
                    .log
                    .info("Worker process exited with code 200. Restarting"),
                End::TimedOut => self
                    .log
                    .info("Restarting the worker process after a timeout"),
                End::Exited(code) => {
                    if !self.count(
                        &mut failures,
                        &format!("exited with code {code} (0x{code:X})"),
                    ) {
                        return;
                    }
                }
                End::Failed(reason) => {
                    if !self.count(&mut failures, &reason) {
                        return;
                    }
                }
            }
        }
    }

    /// Logs a failure that counts; says whether to go on.
    fn count(&self, failures: &mut Failures, what: &str) -> bool {
        let executable = self.manifest.handler.executable.display();
        self.log.error(format_args!("{executable} {what}"));
        if failures.add(Instant::now()) {
            return true;
        }
        self.log
            .error("Exceeded http worker restart retry count. Shutting down Functions Host");
        self.state.send_replace(State::GaveUp);
        false
    }

    /// After an exit with code 0 the host does nothing until a timeout makes it restart the handler.
    async fn until_killed(&mut self) {
        while let Some(command) = self.commands.recv().await {
            match command {
                Command::Kill(answer) => {
                    let _ = answer.send(None);
                }
                Command::TimedOut(_) => return,
            }
        }
        std::future::pending::<()>().await;
    }

    async fn one_process(&mut self) -> End {
        let errors = LastErrors::default();
        let mut child = match self.spawn(&errors) {
            Ok(child) => child,
            Err(error) => return End::Failed(format!("Failed to start Worker Channel. {error}")),
        };
        self.vitals
            .pid
            .store(child.id().unwrap_or(0), Ordering::Relaxed);
        let generation = self.vitals.starts.fetch_add(1, Ordering::Relaxed) + 1;
        let ready = until_answering(
            self.client.clone(),
            self.manifest.handler.initialization_timeout,
        );
        tokio::pin!(ready);
        let mut is_ready = false;
        loop {
            tokio::select! {
                exit = child.wait() => return ended(exit, &errors),
                answers = &mut ready, if !is_ready => {
                    if !answers {
                        kill(&mut child).await;
                        return End::Failed("did not answer within initializationTimeout".to_owned());
                    }
                    is_ready = true;
                    self.log.info("Worker process started and initialized.");
                    self.state.send_replace(State::Ready);
                }
                command = self.commands.recv() => match command {
                    Some(Command::Kill(answer)) => {
                        let pid = child.id();
                        // Its end is seen by the branch above, as if somebody else had killed it.
                        let _ = child.start_kill();
                        let _ = answer.send(pid);
                    }
                    Some(Command::TimedOut(of)) if of == generation => {
                        kill(&mut child).await;
                        return End::TimedOut;
                    }
                    Some(Command::TimedOut(_)) => {}
                    None => {
                        // Every handle is gone: the host has stopped.
                        kill(&mut child).await;
                        std::future::pending::<()>().await;
                    }
                },
            }
        }
    }

    fn spawn(&self, errors: &LastErrors) -> std::io::Result<Child> {
        let handler = &self.manifest.handler;
        let (port, id) = (self.port.to_string(), self.worker_id.to_string());
        let mut child = tokio::process::Command::new(&handler.executable)
            .args(&handler.arguments)
            .current_dir(&handler.working_directory)
            .envs(
                self.settings
                    .given()
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", &port)
            .env("FUNCTIONS_HTTPWORKER_PORT", &port)
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id)
            .env("FUNCTIONS_HTTPWORKER_ID", &id)
            .env("FUNCTIONS_APP_ROOT_PATH", &self.manifest.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        // These end with the process's streams.
        if let Some(stream) = child.stdout.take() {
            tokio::spawn(log_output(stream, self.log.clone()));
        }
        if let Some(stream) = child.stderr.take() {
            tokio::spawn(log_errors(stream, self.log.clone(), errors.clone()));
        }
        Ok(child)
    }

    async fn watch_foreign(&mut self) {
        self.vitals.starts.fetch_add(1, Ordering::Relaxed);
        let limit = self.manifest.handler.initialization_timeout;
        if until_answering(self.client.clone(), limit).await {
            self.state.send_replace(State::Ready);
        } else {
            self.log.error("nothing answers on the given handler port");
            self.state.send_replace(State::GaveUp);
        }
        loop {
            self.until_killed().await;
        }
    }
}

/// Pings until there is any answer at all; only a refused connection means "not yet".
async fn until_answering(client: Client, limit: Duration) -> bool {
    let start = Instant::now();
    loop {
        match client.ping().await {
            Err(SendError::Refused(_)) => {}
            Ok(()) | Err(SendError::Broken) => return true,
        }
        if start.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(PING_INTERVAL).await;
    }
}

async fn kill(child: &mut Child) {
    // It fails only when the process has ended, which is what was wanted.
    let _ = child.kill().await;
}

fn ended(exit: std::io::Result<ExitStatus>, errors: &LastErrors) -> End {
    let code = exit.ok().and_then(|status| {
        use std::os::unix::process::ExitStatusExt as _;
        // .NET reports a signal as 128 plus its number.
        status.code().or(status.signal().map(|signal| 128 + signal))
    });
    match code {
        Some(code) if code == 0 || code == 200 => End::Exited(code),
        code => {
            let code = code.unwrap_or(-1);
            let said = errors.joined();
            if said.is_empty() {
                End::Exited(code)
            } else {
                End::Failed(format!("exited with code {code} (0x{code:X}) {said}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hold;
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    #[tokio::test]
    async fn a_held_port_refuses_calls_and_is_given_to_nobody() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = free.local_addr().expect("an address").port();
        assert!(hold(port).is_none(), "somebody listens");
        drop(free);
        let held = hold(port);
        assert!(held.is_some());
        let call = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        assert_eq!(
            call.map_err(|error| error.kind()).err(),
            Some(ErrorKind::ConnectionRefused)
        );
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        assert_eq!(
            taken.map_err(|error| error.kind()).err(),
            Some(ErrorKind::AddrInUse)
        );
    }
}
