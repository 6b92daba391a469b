//! The year as a folder, searched by the command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::year::{MINUTES_OF_A_PERSON, Year, ready};
use super::{Options, SIZE_GOAL, at_most, percent, show};
use crate::bench::machine;
use crate::bench::search::{Identifier, Kind};
use crate::cargo::{Profile, given_or_built};
use crate::run::program;
use crate::table::Table;

/// What one search read.
#[derive(Debug, Clone, Copy, Serialize)]
struct Read {
    files: u64,
    bytes: u64,
    index_bytes: u64,
    index_bytes_written: u64,
    seconds: f64,
}

/// One search, and where it found something.
struct Ran {
    read: Read,
    blobs: Vec<String>,
}

/// Measures and prints.
///
/// # Errors
/// When something does not start, or somebody is not found where they stand.
pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let handler = given_or_built(options.handler.as_deref(), Profile::Release).await?;
    let root = stack::project_root().join("target/bench");
    std::fs::create_dir_all(&root)?;
    let year = ready(&root, options)?;
    let machine = machine();
    println!("{machine}\n");
    let size = year.size;
    println!("A year of {} files, {} bytes", size.files, size.bytes);
    let index = tempfile::tempdir_in(&root)?;
    let bench = Bench {
        handler,
        year,
        index: index.path().to_owned(),
    };

    // A file that was changed a moment ago is not taken in.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let absent = bench.year.people.iter().find(|(_, at)| at.is_empty());
    let (absent, _) = absent.context("nobody is absent")?;
    let plain = bench.search(absent, false).await?;
    ensure!(
        plain.read.bytes == size.bytes,
        "not everything was read: {plain:?}",
        plain = plain.read
    );
    let first = bench.search(absent, true).await?;
    ensure!(
        first.read.index_bytes_written > 0,
        "no index was written, into {}",
        bench.index.display()
    );
    println!(
        "  without an index {:.1} s; the first search with one {:.1} s, {} bytes written",
        plain.read.seconds, first.read.seconds, first.read.index_bytes_written
    );
    let mut reads = Vec::new();
    for (identifier, files) in &bench.year.people {
        let ran = bench.search(identifier, true).await?;
        ensure!(
            ran.blobs == *files,
            "{:?} stands in {} files and was found in {}",
            identifier.kind,
            files.len(),
            ran.blobs.len()
        );
        println!(
            "  {:?}, in {} files: {} files and {} bytes read, {} bytes of the index, {:.1} s",
            identifier.kind,
            files.len(),
            ran.read.files,
            ran.read.bytes,
            ran.read.index_bytes,
            ran.read.seconds
        );
        reads.push((identifier.kind, ran.read));
    }
    report(options, &machine, &bench, (plain.read, first.read), &reads)
}

fn report(
    options: &Options,
    machine: &str,
    bench: &Bench,
    (plain, first): (Read, Read),
    reads: &[(Kind, Read)],
) -> anyhow::Result<()> {
    let size = bench.year.size;
    let mut table = Table::new(&["what", "goal", "found", ""]);
    let of_data = first.index_bytes_written as f64 / size.bytes as f64;
    let is_met = of_data <= SIZE_GOAL;
    table.goal(
        "index, of the data",
        &at_most(SIZE_GOAL),
        &percent(of_data),
        is_met,
    );
    let parts = reads.iter().map(|(kind, it)| {
        let files = (it.files + bench.days()) as f64 / size.files as f64;
        let bytes = (it.bytes + it.index_bytes) as f64 / size.bytes as f64;
        (*kind, [files, bytes])
    });
    show(&mut table, "files", &parts.collect::<Vec<_>>());
    let seconds = reads.iter().map(|(_, it)| it.seconds).fold(0.0, f64::max);
    let rate = |read: Read| format!("{:.1} MB/s", read.bytes as f64 / read.seconds / 1e6);
    table.row(&[&"search without an index", &"", &rate(plain)]);
    table.row(&[&"first search, which makes it", &"", &rate(first)]);
    table.row(&[
        &"slowest search with it",
        &"",
        &format!("{seconds:.1} s, of {:.1} s", plain.seconds),
    ]);
    println!("\n{table}");
    println!(
        "  The worst of {} people of each kind; those who are there stand in {MINUTES_OF_A_PERSON} files. Indexes count as read.",
        options.people
    );
    if let Some(path) = &options.json {
        let reads: Vec<Value> = reads
            .iter()
            .map(|(kind, read)| json!({ "kind": format!("{kind:?}"), "read": read }))
            .collect();
        let figures = json!({
            "machine": machine, "size": size, "plain": plain, "first": first, "reads": reads,
        });
        std::fs::write(path, format!("{figures:#}\n"))?;
        println!("  Figures written to {}", path.display());
    }
    Ok(())
}

struct Bench {
    handler: PathBuf,
    year: Year,
    /// Where the index lies.
    index: PathBuf,
}

impl Bench {
    fn days(&self) -> u64 {
        let entries = std::fs::read_dir(&self.index);
        entries.map_or(0, |entries| entries.count() as u64)
    }

    /// Looks for one identifier.
    async fn search(&self, identifier: &Identifier, is_indexed: bool) -> anyhow::Result<Ran> {
        let flag = match identifier.kind {
            Kind::Install => "--install-id",
            Kind::User => "--user-id",
            Kind::Email => "--email",
            Kind::Term => "--term",
        };
        let mut command = program(&self.handler);
        command.arg("search").args([flag, &identifier.text]);
        if is_indexed {
            command.arg("--index").arg(&self.index);
        }
        command.arg("--stats").arg(&self.year.folder);
        command.env("INDEX_KEY", "the key of the bench");
        let begin = Instant::now();
        let output = command.output().await?;
        let seconds = begin.elapsed().as_secs_f64();
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.code().is_some_and(|it| it < 2), "{said}");
        let stats = said.lines().find(|line| line.starts_with("bytes="));
        let stats: BTreeMap<&str, u64> = stats
            .context("the search gave no figures")?
            .split(' ')
            .filter_map(|pair| pair.split_once('='))
            .filter_map(|(name, number)| Some((name, number.parse().ok()?)))
            .collect();
        let stat = |name: &str| stats.get(name).copied().unwrap_or_default();
        let blobs = String::from_utf8(output.stdout)?;
        let blobs = blobs.lines().map(|line| self.blob(line));
        let mut blobs: Vec<String> = blobs.collect::<anyhow::Result<_>>()?;
        blobs.dedup();
        Ok(Ran {
            read: Read {
                files: stat("blobs"),
                bytes: stat("bytes"),
                index_bytes: stat("index_bytes"),
                index_bytes_written: stat("index_bytes_written"),
                seconds,
            },
            blobs,
        })
    }

    /// The file that a line of output names, below the archive.
    fn blob(&self, line: &str) -> anyhow::Result<String> {
        let line: Value = serde_json::from_str(line)?;
        let blob = Path::new(line["blob"].as_str().context("a line has no blob")?);
        let blob = blob.strip_prefix(&self.year.folder)?;
        Ok(blob.to_str().context("a name")?.to_owned())
    }
}
