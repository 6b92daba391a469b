//! How much memory a search needs: for a blob that is one line and larger than the machine, and for many small ones.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::Context as _;
use serde::Serialize;

use super::people::{Group, identifiers, sequence, write_subjects};
use super::rows::{Minute, Planted, row};
use super::tools::{Tool, in_turn, used};
use super::{Bench, archive, is_truth};

/// How many identifiers are looked for.
const COUNTS: [usize; 2] = [4, 1_000];
/// Bytes of the archive of small blobs.
const SMALL: u64 = 144 << 20;
/// About how many bytes are repeated to make up the line.
const UNIT: usize = 1 << 20;

/// How much memory one search needed.
#[derive(Debug, Serialize)]
pub(super) struct Peak {
    pub(super) what: String,
    pub(super) identifiers: usize,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) peak_mib: f64,
}

/// Measures all of it.
///
/// # Errors
/// When something does not start, or something else is found than was planted.
pub(super) async fn run(bench: &Bench, line: u64) -> anyhow::Result<Vec<Peak>> {
    let mut peaks = Vec::new();
    let archive = archive::ready(&bench.root, SMALL, bench.seed)?;
    for count in COUNTS {
        let people = identifiers(bench.seed, Group::Planted, count);
        let subjects = bench.scratch.path().join("subjects.jsonl");
        write_subjects(&subjects, &people)?;
        let search = Tool::new(&bench.ours)
            .with("search")
            .with("--subjects")
            .with(&subjects);
        for blob in lines(bench.seed, count) {
            println!(
                "{}, {count} identifiers: {} MiB through a pipe",
                blob.what,
                line >> 20
            );
            let tool = search.clone().with("/dev/stdin");
            let peak = piped(bench, &tool, blob, line).await?;
            peaks.push(Peak {
                identifiers: count,
                ..peak
            });
        }
        let tool = search.with(&archive.folder).judged();
        let found = in_turn(&[tool], bench.core, 1, bench.scratch.path()).await?;
        let found = found.first().context("nothing was run")?;
        let planted = archive.truth.planted.get(&count);
        is_truth(found, &archive.folder, planted.map_or(&[], Vec::as_slice))?;
        peaks.push(Peak {
            what: format!("{} blobs of one minute", archive.truth.blobs),
            identifiers: count,
            bytes: archive.truth.bytes,
            seconds: found.seconds,
            peak_mib: found.peak_mib,
        });
    }
    Ok(peaks)
}

/// A blob of one line.
struct Line {
    what: &'static str,
    before: Vec<u8>,
    /// What is repeated.
    unit: Vec<u8>,
    after: Vec<u8>,
    /// Whether a record of each unit matches; otherwise it is one in all.
    is_match_a_unit: bool,
}

fn lines(seed: u64, count: usize) -> [Line; 2] {
    let people = identifiers(seed, Group::Planted, count);
    let mut random = sequence(seed, "a long line");
    let mut unit = String::new();
    row(
        &mut unit,
        Minute(1),
        Planted::One(&people[0], 1),
        &mut random,
    );
    unit.push(',');
    while unit.len() < UNIT {
        row(&mut unit, Minute(1), Planted::Nothing, &mut random);
        unit.push(',');
    }
    // One string without an end in sight: it is searched in windows.
    let text = "lorem ipsum dolor sit amet, consectetur ".repeat(UNIT / 40);
    let end = format!("{} and so on\"}}", people[0].text);
    [
        Line {
            what: "one line, an array",
            before: b"[".to_vec(),
            unit: unit.into_bytes(),
            after: b"{}]".to_vec(),
            is_match_a_unit: true,
        },
        Line {
            what: "one line, one record",
            before: br#"{"m":""#.to_vec(),
            unit: text.into_bytes(),
            after: end.into_bytes(),
            is_match_a_unit: false,
        },
    ]
}

/// Searches what is written to its standard input.
async fn piped(bench: &Bench, tool: &Tool, line: Line, size: u64) -> anyhow::Result<Peak> {
    let scratch = bench.scratch.path();
    let (memory, output) = (scratch.join("memory"), scratch.join("output"));
    let mut command = tool.pinned(bench.core, &memory).into_std();
    command
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&output)?);
    let Line {
        what,
        before,
        unit,
        after,
        is_match_a_unit,
    } = line;
    let start = std::time::Instant::now();
    let units = usize::try_from(size)?.div_ceil(unit.len());
    let bytes = (before.len() + units * unit.len() + after.len()) as u64;
    let status = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().context("`time` did not start")?;
        let mut pipe = child.stdin.take().context("it has no standard input")?;
        pipe.write_all(&before)?;
        for _ in 0..units {
            pipe.write_all(&unit)?;
        }
        pipe.write_all(&after)?;
        drop(pipe);
        anyhow::Ok(child.wait()?)
    });
    let status = status.await??;
    anyhow::ensure!(status.success(), "the search ended with {status}");
    let found = std::fs::read_to_string(&output)?.lines().count();
    let expected = if is_match_a_unit { units } else { 1 };
    anyhow::ensure!(found == expected, "{found} records match, not {expected}");
    Ok(Peak {
        what: what.to_owned(),
        identifiers: 0,
        bytes,
        seconds: start.elapsed().as_secs_f64(),
        peak_mib: used(&memory)?.peak_mib,
    })
}
