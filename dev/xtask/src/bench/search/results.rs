//! What came out, for people: on the terminal, in a file of figures, and in the list of results.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::archive::Archive;
use super::memory::Peak;
use super::{Bench, Compared, Figure, Options, Speed};
use crate::bench::machine;
use crate::run::program;
use crate::soak::now;
use crate::table::Table;

/// Where results are kept.
const FILE: &str = "dev/bench/results/search.md";
/// Goals of our speed in bytes a second, by the largest number of identifiers that each holds for.
const SPEED: [(usize, f64); 2] = [(4, 2e9), (10_000, 1e9)];
/// Goals of how many times as fast as `rg -i` ours is.
const TIMES: [(usize, f64); 2] = [(1_000, 3.0), (10_000, 50.0)];
/// Goal of the memory of a search, in MiB.
const MEMORY: f64 = 64.0;
/// A run that took this much longer than its processor time, and [`PAUSE`], shared its core with something else.
const SHARED: f64 = 1.15;
/// What starting a process and reading the clock of processor time may take, in seconds.
const PAUSE: f64 = 0.03;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    machine: String,
    bytes: u64,
    records: u64,
    blobs: u64,
    seed: u64,
    core: usize,
    /// How much of the archive jq and Python got.
    pub(super) part: u64,
    pub(super) tools: Vec<String>,
    pub(super) rows: Vec<Figure>,
}

impl Figures {
    pub(super) fn new(bench: &Bench, options: &Options, archive: &Archive) -> Self {
        Self {
            machine: machine(),
            bytes: archive.truth.bytes,
            records: archive.truth.records,
            blobs: archive.truth.blobs,
            seed: options.seed,
            core: bench.core,
            part: 0,
            tools: Vec::new(),
            rows: Vec::new(),
        }
    }
}

/// Bytes a second, as people read them.
fn rate(bytes_per_second: f64) -> String {
    format!("{:.3}", bytes_per_second / 1e9)
}

/// A table in Markdown.
fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        // Writing to a string cannot fail.
        _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// One measurement as soon as it is there.
pub(super) fn line(figure: &Figure) -> String {
    let Figure {
        identifiers, hits, ..
    } = figure;
    let mut line = format!(
        "{identifiers:>6} identifiers, {hits:>6} hits: ours {} GB/s, {:.0} MiB",
        rate(figure.ours.bytes_per_second),
        figure.ours.peak_mib
    );
    let mut add = |name: &str, it: &Compared| {
        let speed = rate(it.speed.bytes_per_second);
        // Writing to a string cannot fail.
        _ = write!(line, "; {name} {speed} GB/s, counts {}", it.counted);
        if it.planted != figure.hits {
            _ = write!(line, " of {}", it.planted);
        }
    };
    if let Some([plain, ignoring]) = &figure.ripgrep {
        add("rg", plain);
        add("rg -i", ignoring);
    }
    if let Some(jq) = &figure.jq {
        add("jq", jq);
    }
    if let Some(python) = &figure.python {
        add("Python", python);
    }
    line
}

const HEAD: [&str; 10] = [
    "identifiers",
    "records hit",
    "ours GB/s",
    "rg GB/s",
    "rg -i GB/s",
    "ours / rg",
    "ours / rg -i",
    "jq GB/s",
    "Python GB/s",
    "ours MiB",
];

fn row(figure: &Figure) -> Vec<String> {
    let none = || "".to_owned();
    let ours = figure.ours.bytes_per_second;
    let other = |it: Option<&Compared>| it.map(|it| it.speed.bytes_per_second);
    let [plain, ignoring] = [0, 1].map(|at| other(figure.ripgrep.as_ref().map(|it| &it[at])));
    let times = |it: Option<f64>| it.map_or_else(none, |it| format!("{:.2}", ours / it));
    let speed = |it: Option<f64>| it.map_or_else(none, rate);
    vec![
        figure.identifiers.to_string(),
        figure.hits.to_string(),
        rate(ours),
        speed(plain),
        speed(ignoring),
        times(plain),
        times(ignoring),
        speed(other(figure.jq.as_ref())),
        speed(other(figure.python.as_ref())),
        format!("{:.0}", figure.ours.peak_mib),
    ]
}

/// The goals, each with what was found.
fn goals(figures: &Figures) -> Table {
    let mut table = Table::new(&["what", "goal", "found", ""]);
    for figure in &figures.rows {
        let (count, hits) = (figure.identifiers, figure.hits);
        let ours = figure.ours.bytes_per_second;
        if let Some((_, goal)) = SPEED.iter().find(|(most, _)| count <= *most) {
            table.goal(
                &format!("ours, {count} identifiers, {hits} hits"),
                &format!(">= {} GB/s", goal / 1e9),
                &format!("{} GB/s", rate(ours)),
                ours >= *goal,
            );
        }
        let times = TIMES.iter().find(|(at, _)| count == *at);
        if let (Some((_, goal)), Some([_, ignoring])) = (times, &figure.ripgrep) {
            let found = ours / ignoring.speed.bytes_per_second;
            table.goal(
                &format!("ours / rg -i, {count} identifiers, {hits} hits"),
                &format!(">= {goal}"),
                &format!("{found:.1}"),
                found >= *goal,
            );
        }
    }
    table
}

/// Prints the speeds and keeps them.
///
/// # Errors
/// When a file cannot be written.
pub(super) async fn speed(options: &Options, figures: &Figures) -> anyhow::Result<()> {
    let mut table = Table::new(&HEAD);
    let rows: Vec<Vec<String>> = figures.rows.iter().map(row).collect();
    for row in &rows {
        let cells: Vec<&dyn std::fmt::Display> = row.iter().map(|it| it as _).collect();
        table.row(&cells);
    }
    println!("\n{}\n\n{table}\n{}", figures.machine, goals(figures));
    let Figures {
        bytes,
        records,
        blobs,
        seed,
        core,
        part,
        ..
    } = figures;
    let mut notes = format!(
        "{bytes} bytes, {records} records in {blobs} blobs, seed {seed}, core {core}, from the page cache.\n"
    );
    if *part > 0 {
        notes.push_str(&format!(
            "jq and Python got {part} bytes of it: their speeds are of that part.\n"
        ));
    }
    let mut ignoring = figures.rows.iter().filter_map(|it| it.ripgrep.as_ref());
    if let Some([_, it]) = ignoring.find(|[_, it]| it.speed.bytes < *bytes) {
        notes.push_str(&format!(
            "With most identifiers rg -i got {} bytes of it.\n",
            it.speed.bytes
        ));
    }
    notes.push_str("Ours found exactly the records that were planted.\n");
    if let Some(doubts) = figures
        .rows
        .iter()
        .map(|it| it.doubts)
        .max()
        .filter(|it| *it > 0)
    {
        notes.push_str(&format!(
            "It took random bytes for a damaged zlib stream in {doubts} records.\n"
        ));
    }
    if !figures.tools.is_empty() {
        let tools = figures.tools.join(", ");
        notes.push_str(&format!(
            "The others ({tools}) count, in matches (rg) and records:\n\n"
        ));
        for figure in figures.rows.iter().filter(|it| it.hits > 0) {
            notes.push_str(&format!("- {}\n", counts(figure)));
        }
    }
    let all: Vec<Speed> = figures.rows.iter().flat_map(Figure::speeds).collect();
    let is_shared = |it: &&Speed| it.seconds > SHARED * it.cpu_seconds + PAUSE;
    let (shared, all) = (all.iter().filter(is_shared).count(), all.len());
    if shared > 0 {
        notes.push_str(&format!(
            "\n{shared} of {all} runs shared the core with something else: their speeds are too low.\n"
        ));
    }
    println!("{notes}");
    if let Some(path) = &options.json {
        write(path, &json!(figures))?;
    }
    let text = format!("{}\n{notes}", markdown(&HEAD, &rows));
    keep(options, &figures.machine, &text).await
}

/// What others count where ours found what was planted.
fn counts(figure: &Figure) -> String {
    let mut parts = Vec::new();
    let mut add = |name: &str, it: &Compared| {
        parts.push(format!("{name} {} of {}", it.counted, it.planted));
    };
    if let Some([plain, ignoring]) = &figure.ripgrep {
        add("rg", plain);
        add("rg -i", ignoring);
    }
    if let Some(jq) = &figure.jq {
        add("jq", jq);
    }
    if let Some(python) = &figure.python {
        add("Python", python);
    }
    format!("{} identifiers: {}", figure.identifiers, parts.join(", "))
}

/// Prints the peaks of memory and keeps them.
///
/// # Errors
/// When a file cannot be written.
pub(super) async fn memory(options: &Options, peaks: &[Peak]) -> anyhow::Result<()> {
    let machine = machine();
    let mut table = Table::new(&["what", "goal", "found", ""]);
    let mut rows = Vec::new();
    for peak in peaks {
        table.goal(
            &format!("{}, {} identifiers", peak.what, peak.identifiers),
            &format!("< {MEMORY} MiB"),
            &format!("{:.1} MiB", peak.peak_mib),
            peak.peak_mib < MEMORY,
        );
        rows.push(vec![
            peak.what.clone(),
            peak.identifiers.to_string(),
            peak.bytes.to_string(),
            format!("{:.1}", peak.seconds),
            format!("{:.1}", peak.peak_mib),
        ]);
    }
    println!("\n{machine}\n\n{table}");
    if let Some(path) = &options.json {
        write(path, &json!({ "machine": machine, "peaks": peaks }))?;
    }
    let head = ["memory", "identifiers", "bytes", "seconds", "peak MiB"];
    keep(options, &machine, &markdown(&head, &rows)).await
}

fn write(path: &Path, figures: &serde_json::Value) -> anyhow::Result<()> {
    std::fs::write(path, format!("{figures:#}\n"))?;
    println!("Figures written to {}", path.display());
    Ok(())
}

/// Adds a section to the list of results.
async fn keep(options: &Options, machine: &str, text: &str) -> anyhow::Result<()> {
    if options.short || options.no_results {
        return Ok(());
    }
    let path = stack::project_root().join(FILE);
    let mut all = std::fs::read_to_string(&path)?;
    let date = now().strftime("%Y-%m-%d %H:%M UTC");
    // Writing to a string cannot fail.
    _ = write!(
        all,
        "\n## {date}, commit {}\n\n{machine}.\n\n{text}",
        commit().await
    );
    std::fs::write(&path, all)?;
    println!("Added to {FILE}");
    Ok(())
}

/// The commit that was measured, and whether it was changed.
async fn commit() -> String {
    let git = |arguments: &'static [&'static str]| async move {
        let mut git = program("git");
        git.args(arguments).current_dir(stack::project_root());
        let output = git.output().await.ok().filter(|it| it.status.success());
        output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).await;
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    // A list of results that has grown is no change of what was measured.
    let changes = git(&["status", "--porcelain", "--", ".", ":!dev/bench/results"]).await;
    match changes.is_some_and(|it| !it.is_empty()) {
        true => format!("{commit} with changes"),
        false => commit,
    }
}
