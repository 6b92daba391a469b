//! `cargo xtask bench search`: the engine beside ripgrep, jq and a Python script, on the same files and one core.
//!
//! A day of an archive is generated (or reused: the same size and seed give the same bytes) in which 1 % of the records hold
//! one of the identifiers that are looked for, mostly as they are, some in another encoding, and 1 % something that looks like
//! one. For each number of identifiers every tool is run with people who stand nowhere and with those who do. What ours finds
//! must be exactly what was planted. Files are read once before, so that all tools read the page cache.
//!
//! `--memory` measures instead how much memory a blob of one line needs that is larger than the machine, and many small ones.

pub(super) mod archive;
mod memory;
mod people;
mod results;
mod rows;
mod tools;

pub(super) use people::{Group, Identifier, Kind, identifiers, sequence};
pub(super) use rows::{APP, Minute, Planted, row};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cargo::{Profile, given_or_built};
use archive::{Archive, Part, Place};
use people::COUNTS;
use results::Figures;
use tools::{Run, Tool};

/// jq and Python get about this much of the archive, in bytes.
const PART: u64 = 32 << 20;
/// ripgrep without case gets about this much from so many identifiers on; with `--short` an eighth of it.
///
/// It comes to some 100 KB/s then, and would read a GiB for hours.
const PART_OF_RIPGREP: (usize, u64) = (10_000, 8 << 20);

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this release build of `appcenter-dsr` instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Size of the archive, in MiB.
    #[arg(long, default_value_t = 1_024)]
    mib: u64,
    /// Makes another archive and other people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// 64 MiB and one run of each, without jq and Python; nothing is added to the results.
    #[arg(long)]
    short: bool,
    /// How many identifiers; several times for several numbers. Without: 1, 4, 100, 1,000, 10,000.
    #[arg(long)]
    identifiers: Vec<usize>,
    /// Leave out ripgrep, jq and Python.
    #[arg(long)]
    only_ours: bool,
    /// How often each tool is run; the fastest run counts. What takes longer than 8 s is run once.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The core that everything is run on; the last one without.
    #[arg(long)]
    core: Option<usize>,
    /// Measure memory instead of speed.
    #[arg(long)]
    memory: bool,
    /// With `--memory`: the size of the blob of one line, in MiB.
    #[arg(long, default_value_t = 4_096)]
    line_mib: u64,
    /// Write all figures to this file as well.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Add nothing to `dev/bench/results/search.md`.
    #[arg(long)]
    no_results: bool,
}

/// Where everything happens.
struct Bench {
    ours: PathBuf,
    core: usize,
    seed: u64,
    /// For generated archives, kept from run to run.
    root: PathBuf,
    /// For lists of identifiers and outputs.
    scratch: tempfile::TempDir,
}

/// One measurement: a number of identifiers, found or not.
#[derive(Debug, Serialize)]
struct Figure {
    identifiers: usize,
    /// How many records hold one of them.
    hits: usize,
    /// In how many records ours took something for a damaged stream.
    doubts: usize,
    ours: Speed,
    /// With case, and ignoring it; the number of matches that each counts.
    ripgrep: Option<[Compared; 2]>,
    jq: Option<Compared>,
    python: Option<Compared>,
}

/// How fast a tool was.
#[derive(Debug, Clone, Copy, Serialize)]
struct Speed {
    /// What it read: all of the archive, or a part.
    bytes: u64,
    bytes_per_second: f64,
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

/// How fast another tool was, and what it counted.
#[derive(Debug, Clone, Copy, Serialize)]
struct Compared {
    speed: Speed,
    /// What it counted, where so many should have been.
    counted: usize,
    planted: usize,
}

impl Speed {
    fn of(run: &Run, bytes: u64) -> Self {
        Self {
            bytes,
            bytes_per_second: bytes as f64 / run.seconds,
            seconds: run.seconds,
            cpu_seconds: run.cpu_seconds,
            peak_mib: run.peak_mib,
        }
    }
}

impl Figure {
    /// Every tool's speed.
    fn speeds(&self) -> impl Iterator<Item = Speed> {
        let others = self.ripgrep.iter().flatten();
        let others = others.chain(&self.jq).chain(&self.python);
        std::iter::once(self.ours).chain(others.map(|it| it.speed))
    }
}

/// Measures and prints.
///
/// # Errors
/// When something does not start, or ours finds anything but what was planted.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let ours = given_or_built(options.handler.as_deref(), Profile::Release).await?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let root = stack::project_root().join("target/bench");
    std::fs::create_dir_all(&root)?;
    let bench = Bench {
        ours,
        core: options.core.unwrap_or(cores - 1),
        seed: options.seed,
        scratch: tempfile::tempdir_in(&root)?,
        root,
    };
    if options.memory {
        let found = memory::run(&bench, options.line_mib << 20).await?;
        return results::memory(&options, &found).await;
    }
    let mib = if options.short { 64 } else { options.mib };
    let archive = archive::ready(&bench.root, mib << 20, options.seed)?;
    let truth = &archive.truth;
    println!(
        "Archive: {} bytes, {} records in {} blobs, seed {}; core {}",
        truth.bytes, truth.records, truth.blobs, options.seed, bench.core
    );
    let mut figures = Figures::new(&bench, &options, &archive);
    let rg = if options.only_ours {
        None
    } else {
        Some(tools::ripgrep().await?)
    };
    if let Some((_, version)) = &rg {
        figures.tools.push(version.clone());
    }
    let part = archive.part(PART)?;
    let (_, of_ripgrep) = PART_OF_RIPGREP;
    let of_ripgrep = archive.part(if options.short {
        of_ripgrep / 8
    } else {
        of_ripgrep
    })?;
    let is_with_scripts = !options.short && !options.only_ours;
    if is_with_scripts {
        figures.part = part.bytes;
        for tool in ["jq", "python3"] {
            figures.tools.push(tools::version(Path::new(tool)).await?);
        }
    }
    archive.warm()?;
    let counts = match options.identifiers.as_slice() {
        [] => &COUNTS[..],
        some => some,
    };
    for count in counts {
        anyhow::ensure!(COUNTS.contains(count), "one of {COUNTS:?} identifiers");
        for group in [Group::Absent, Group::Planted] {
            let rg = rg.as_ref().map(|(path, _)| (path.as_path(), &of_ripgrep));
            let part = is_with_scripts.then_some(&part);
            let runs = if options.short { 1 } else { options.runs };
            let figure = bench.measure(&archive, (*count, group), rg, part, runs);
            figures.rows.push(figure.await?);
            if let Some(line) = figures.rows.last() {
                println!("{}", results::line(line));
            }
        }
    }
    results::speed(&options, &figures).await
}

impl Bench {
    async fn measure(
        &self,
        archive: &Archive,
        (count, group): (usize, Group),
        rg: Option<(&Path, &Part)>,
        part: Option<&Part>,
        runs: usize,
    ) -> anyhow::Result<Figure> {
        let scratch = self.scratch.path();
        let people = identifiers(self.seed, group, count);
        let files = ["subjects.jsonl", "patterns.txt", "keys.json"].map(|it| scratch.join(it));
        let [subjects, patterns, keys] = &files;
        people::write_subjects(subjects, &people)?;
        people::write_patterns(patterns, &people)?;
        people::write_keys(keys, &people)?;
        let is_planted = group == Group::Planted;
        let planted = |places: Option<&Vec<Place>>| places.filter(|_| is_planted).cloned();
        let expected = planted(archive.truth.planted.get(&count)).unwrap_or_default();

        let mut all = vec![
            Tool::new(&self.ours)
                .with("search")
                .with("--stats")
                .with("--subjects")
                .with(subjects)
                .with(&archive.folder)
                .judged(),
        ];
        let (many, _) = PART_OF_RIPGREP;
        let part_of_ripgrep = rg.map(|(_, part)| part).filter(|_| count >= many);
        if let Some((rg, _)) = rg {
            // Everything, whatever its name; and every match of a line, for a blob is one line.
            let plain = Tool::new(rg)
                .with("--no-config")
                .with("-uuu")
                .with("-j1")
                .with("--count-matches")
                .with("-F")
                .with("-f")
                .with(patterns);
            all.push(plain.clone().with(&archive.folder));
            let ignoring = plain.with("-i");
            all.push(match part_of_ripgrep {
                Some(part) => ignoring.over(part),
                None => ignoring.with(&archive.folder),
            });
        }
        let found = tools::in_turn(&all, self.core, runs, scratch).await?;
        let bytes = archive.truth.bytes;
        let [ours, others @ ..] = found.as_slice() else {
            anyhow::bail!("nothing was run");
        };
        let doubts = is_truth(ours, &archive.folder, &expected)?;
        // Of a part, or of all.
        let compared = |run: &Run, part: Option<&Part>, counted: usize| {
            let of_part = |part: &Part| part.planted.get(&count).copied().unwrap_or_default();
            let planted = part.filter(|_| is_planted).map(of_part);
            Compared {
                speed: Speed::of(run, part.map_or(bytes, |it| it.bytes)),
                counted,
                planted: planted.unwrap_or(expected.len()),
            }
        };
        let ripgrep = match others {
            [plain, ignoring] => Some([
                compared(plain, None, sum(&plain.output)),
                compared(ignoring, part_of_ripgrep, sum(&ignoring.output)),
            ]),
            _ => None,
        };
        let mut figure = Figure {
            identifiers: count,
            hits: expected.len(),
            doubts,
            ours: Speed::of(ours, bytes),
            ripgrep,
            jq: None,
            python: None,
        };
        if let Some(part) = part {
            let tools = scripts(patterns, keys, part);
            let found = tools::in_turn(&tools, self.core, 1, scratch).await?;
            if let [jq, python] = found.as_slice() {
                let lines = jq.output.lines().count();
                figure.jq = Some(compared(jq, Some(part), lines));
                let counted = python.output.trim().parse();
                let counted = counted.context("the script counts")?;
                figure.python = Some(compared(python, Some(part), counted));
            }
        }
        Ok(figure)
    }
}

/// jq and Python over a part of the archive.
fn scripts(patterns: &Path, keys: &Path, part: &Part) -> [Tool; 2] {
    let folder = stack::project_root().join("dev/bench");
    let jq = Tool::new("jq")
        .with("-r")
        .with("--slurpfile")
        .with("wanted")
        .with(keys)
        .with("-f")
        .with(folder.join("search.jq"));
    let python = Tool::new("python3")
        .with(folder.join("search.py"))
        .with(patterns);
    [jq, python].map(|tool| tool.over(part))
}

/// A line of our output, as far as it says where.
#[derive(Deserialize)]
struct Line {
    blob: String,
    record: u64,
}

/// Random bytes in base64 may begin like a stream of zlib; nothing else that is generated can be left unsearched.
const DOUBT: &str = ": not searched: a damaged zlib stream";

/// Holds what ours found against what was planted, record by record. Gives how many records were said to be in doubt.
fn is_truth(run: &Run, folder: &Path, expected: &[Place]) -> anyhow::Result<usize> {
    let mut found = BTreeSet::new();
    for line in run.output.lines() {
        let Line { blob, record } = serde_json::from_str(line).context("a line is no JSON")?;
        let blob = Path::new(&blob).strip_prefix(folder)?;
        found.insert((blob.to_string_lossy().into_owned(), record));
    }
    let expected: BTreeSet<Place> = expected.iter().cloned().collect();
    anyhow::ensure!(
        found == expected,
        "ours found {} records where {} were planted: {} missed, {} too many; missed {:?}, too many {:?}",
        found.len(),
        expected.len(),
        expected.difference(&found).count(),
        found.difference(&expected).count(),
        expected.difference(&found).next(),
        found.difference(&expected).next(),
    );
    let said = run.said.lines().filter(|line| !line.starts_with("bytes="));
    let (doubts, others): (Vec<&str>, Vec<&str>) = said.partition(|line| line.ends_with(DOUBT));
    let code = match (doubts.len(), expected.len()) {
        (0, 0) => 1,
        (0, _) => 0,
        _ => 2,
    };
    anyhow::ensure!(
        others.is_empty() && run.code == code,
        "ours ended with {} and said {others:?}",
        run.code
    );
    Ok(doubts.len())
}

/// The sum over lines `path:count`.
fn sum(output: &str) -> usize {
    let counts = output.lines().filter_map(|line| line.rsplit(':').next());
    counts.filter_map(|it| it.parse::<usize>().ok()).sum()
}
