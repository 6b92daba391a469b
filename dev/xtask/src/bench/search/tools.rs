//! Programs that search: each run alone on one core, timed, with its peak memory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::archive::Part;
use crate::run::{check, program};

/// A tool that takes longer than this is run once.
const SLOW: f64 = 8.0;

/// A program with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// Whether an exit code over 1 is looked at by the caller.
    pub(super) may_be_incomplete: bool,
}

impl Tool {
    pub(super) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            may_be_incomplete: false,
        }
    }

    pub(super) fn with(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Over the files of a part of the archive.
    pub(super) fn over(mut self, part: &Part) -> Self {
        let files = part.files.iter().map(|file| file.as_os_str().to_owned());
        self.arguments.extend(files);
        self
    }

    /// Its exit code and what it says are judged by the caller.
    pub(super) fn judged(mut self) -> Self {
        self.may_be_incomplete = true;
        self
    }

    /// The command that runs it on one core and writes its peak memory (KiB) and its processor time (s) to a file.
    pub(super) fn pinned(&self, core: usize, memory: &Path) -> Command {
        let mut command = program("time");
        command
            .args(["-f", "%M %U %S", "-o"])
            .arg(memory)
            .args(["taskset", "-c", &core.to_string()])
            .arg(&self.program)
            .args(&self.arguments);
        command
    }
}

/// What came of the runs of one tool.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Of the fastest run, from start to end of the process.
    pub(super) seconds: f64,
    /// Processor time of that run: much less than the time it took means that something else had the core.
    pub(super) cpu_seconds: f64,
    /// The largest of all runs, in MiB.
    pub(super) peak_mib: f64,
    /// Its output, the same in every run.
    pub(super) output: String,
    /// What it said beside, in its last run.
    pub(super) said: String,
    /// The exit code, the same in every run.
    pub(super) code: i32,
}

/// Runs tools in turn, each a few times, and keeps the fastest run of each.
///
/// # Errors
/// When one does not start, is killed, or answers twice in different ways.
pub(super) async fn in_turn(
    tools: &[Tool],
    core: usize,
    runs: usize,
    scratch: &Path,
) -> anyhow::Result<Vec<Run>> {
    let mut best: Vec<Option<Run>> = vec![None; tools.len()];
    for _ in 0..runs.max(1) {
        for (tool, best) in tools.iter().zip(&mut best) {
            if best.as_ref().is_some_and(|it| it.seconds > SLOW) {
                continue;
            }
            let run = one(tool, core, scratch).await?;
            *best = Some(match best.take() {
                None => run,
                Some(before) => {
                    anyhow::ensure!(
                        before.output == run.output && before.code == run.code,
                        "{} answered twice in different ways",
                        tool.program.display()
                    );
                    let peak_mib = before.peak_mib.max(run.peak_mib);
                    let is_faster = run.seconds < before.seconds;
                    let fastest = if is_faster { run } else { before };
                    Run {
                        peak_mib,
                        ..fastest
                    }
                }
            });
        }
    }
    Ok(best.into_iter().flatten().collect())
}

async fn one(tool: &Tool, core: usize, scratch: &Path) -> anyhow::Result<Run> {
    let (memory, output) = (scratch.join("memory"), scratch.join("output"));
    let mut command = tool.pinned(core, &memory);
    // A file: ripgrep stops at the first match when its output goes nowhere.
    command
        .stdout(std::fs::File::create(&output)?)
        .stderr(Stdio::piped());
    let start = Instant::now();
    let ended = command
        .spawn()
        .context("`time` did not start: apt-get install time")?
        .wait_with_output()
        .await?;
    let seconds = start.elapsed().as_secs_f64();
    let code = ended.status.code().context("it was killed")?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if code > 1 && !tool.may_be_incomplete {
        bail!("{} ended with {code}: {said}", tool.program.display());
    }
    let used = used(&memory)?;
    Ok(Run {
        seconds,
        cpu_seconds: used.cpu_seconds,
        peak_mib: used.peak_mib,
        output: std::fs::read_to_string(&output)?,
        said: said.into_owned(),
        code,
    })
}

/// What a process used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Used {
    pub(super) peak_mib: f64,
    pub(super) cpu_seconds: f64,
}

/// What `time` wrote.
///
/// # Errors
/// When it wrote nothing of the kind.
pub(super) fn used(file: &Path) -> anyhow::Result<Used> {
    let text = std::fs::read_to_string(file)?;
    // When the program fails, a line about that stands before.
    let line = text.lines().next_back().unwrap_or_default();
    let numbers: Vec<f64> = line.split(' ').filter_map(|it| it.parse().ok()).collect();
    let [kib, user, system] = numbers[..] else {
        bail!("`time` did not say what was used");
    };
    Ok(Used {
        peak_mib: kib / 1024.0,
        cpu_seconds: user + system,
    })
}

/// ripgrep 15 below `target/tools`; it is built where it is missing.
///
/// # Errors
/// When it cannot be had.
pub(super) async fn ripgrep() -> anyhow::Result<(PathBuf, String)> {
    let root = stack::project_root().join("target/tools");
    let executable = root.join("bin/rg");
    if !executable.is_file() {
        println!(
            "Installing ripgrep 15 to target/tools (cargo install ripgrep --locked --version ^15)"
        );
        let arguments = [
            "install",
            "ripgrep",
            "--locked",
            "--quiet",
            "--version",
            "^15",
        ];
        check(
            crate::cargo::cargo()
                .args(arguments)
                .arg("--root")
                .arg(&root),
        )
        .await?;
    }
    let version = version(&executable).await?;
    anyhow::ensure!(version.starts_with("ripgrep 15"), "it is {version}, not 15");
    Ok((executable, version))
}

/// The first line that a program says of its version.
///
/// # Errors
/// When it does not start.
pub(super) async fn version(executable: &Path) -> anyhow::Result<String> {
    let output = program(executable).arg("--version").output().await;
    let output = output.with_context(|| format!("{} did not start", executable.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Used, used};

    #[test]
    fn what_time_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("used");
        let of = |peak_mib, cpu_seconds| {
            Some(Used {
                peak_mib,
                cpu_seconds,
            })
        };
        for (text, expected) in [
            ("10240 1.50 0.25\n", of(10.0, 1.75)),
            (
                "Command exited with non-zero status 1\n2048 0.00 0.00\n",
                of(2.0, 0.0),
            ),
            ("", None),
        ] {
            std::fs::write(&file, text).expect("written");
            assert_eq!(used(&file).ok(), expected);
        }
    }
}
