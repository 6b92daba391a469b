//! A day of an archive, generated: 1,440 minutes of rows and reports, with planted identifiers and the truth about them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::people::{COUNTS, Group, Identifier, identifiers, sequence};
use super::rows::{APP, Minute, Planted, report, row};

/// Changes whenever the same seed gives other bytes.
const VERSION: u32 = 1;
/// Minutes of a day, each with one blob of rows.
pub(in crate::bench) const MINUTES: u32 = 1_440;
/// Of 100 records in turn, the one that holds an identifier of the set, for each set of [`COUNTS`].
const PLANTED_AT: [u64; COUNTS.len()] = [7, 23, 41, 59, 83];
/// Of 100 records in turn, the one that holds a look-alike.
const LOOK_ALIKE_AT: u64 = 90;
/// How many bytes of rows come with one report.
const ROWS_OF_A_REPORT: usize = 180 * 1024;

/// A record that holds an identifier: the path of its blob below the archive, its index.
pub(in crate::bench) type Place = (String, u64);

/// What is known of an archive.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Truth {
    pub(in crate::bench) bytes: u64,
    pub(in crate::bench) records: u64,
    pub(in crate::bench) blobs: u64,
    /// Where identifiers of each set stand, by the number of identifiers.
    pub(in crate::bench) planted: BTreeMap<usize, Vec<Place>>,
}

/// An archive in a folder.
#[derive(Debug)]
pub(in crate::bench) struct Archive {
    pub(in crate::bench) folder: PathBuf,
    pub(in crate::bench) truth: Truth,
}

/// The archive of this size and seed; generated unless it is there.
///
/// # Errors
/// When it cannot be written or read.
pub(in crate::bench) fn ready(root: &Path, size: u64, seed: u64) -> anyhow::Result<Archive> {
    let folder = root.join(format!("archive-{size}-{seed}-v{VERSION}"));
    let truth_file = root.join(format!("archive-{size}-{seed}-v{VERSION}.json"));
    if !truth_file.is_file() {
        println!("Generating an archive of {size} bytes below target/bench");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let truth = generate(&folder, size, seed)?;
        // Last: what was cut off is generated anew.
        std::fs::write(&truth_file, serde_json::to_vec(&truth)?)?;
    }
    let truth = std::fs::read(&truth_file)?;
    let truth = serde_json::from_slice(&truth).context("the truth about the archive is broken")?;
    Ok(Archive { folder, truth })
}

/// The folder of a minute, below the archive.
fn folder_of(minute: u32) -> String {
    format!("{APP}/2026/11/20/{:02}/{:02}", minute / 60, minute % 60)
}

fn generate(folder: &Path, size: u64, seed: u64) -> anyhow::Result<Truth> {
    let sets = COUNTS.map(|count| identifiers(seed, Group::Planted, count));
    let mut truth = Truth {
        bytes: 0,
        records: 0,
        blobs: 0,
        planted: COUNTS.map(|count| (count, Vec::new())).into(),
    };
    for minute in 0..MINUTES {
        let until = size * u64::from(minute + 1) / u64::from(MINUTES);
        let mut random = sequence(seed, &format!("minute {minute}"));
        let name = folder_of(minute);
        let rows_of_minute = usize::try_from(until.saturating_sub(truth.bytes))?;
        let reports = rows_of_minute / ROWS_OF_A_REPORT
            + usize::from(
                rows_of_minute % ROWS_OF_A_REPORT > random.random_range(0..ROWS_OF_A_REPORT),
            );
        for _ in 0..reports {
            let blob = format!("{name}/errors/{:016x}.json", random.random::<u64>());
            let planted = next(&mut truth, &sets, &blob, 0);
            let text = report(Minute(minute), planted, &mut random);
            store(folder, &blob, text.as_bytes(), &mut truth)?;
        }
        let blob = format!("{name}/logs.v1.data");
        let mut text = String::from("[");
        let mut record = 0;
        while record == 0 || truth.bytes + (text.len() as u64) < until {
            if record > 0 {
                text.push(',');
            }
            let planted = next(&mut truth, &sets, &blob, record);
            row(&mut text, Minute(minute), planted, &mut random);
            record += 1;
        }
        text.push(']');
        store(folder, &blob, text.as_bytes(), &mut truth)?;
    }
    Ok(truth)
}

fn store(folder: &Path, blob: &str, bytes: &[u8], truth: &mut Truth) -> anyhow::Result<()> {
    let path = folder.join(blob);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::File::create(path)?.write_all(bytes)?;
    truth.bytes += bytes.len() as u64;
    truth.blobs += 1;
    Ok(())
}

/// What the next record holds, which is noted.
fn next<'a>(
    truth: &mut Truth,
    sets: &'a [Vec<Identifier>; COUNTS.len()],
    blob: &str,
    record: u64,
) -> Planted<'a> {
    let number = truth.records;
    truth.records += 1;
    let turn = usize::try_from(number / 100).unwrap_or(usize::MAX);
    if number % 100 == LOOK_ALIKE_AT {
        let set = &sets[turn % sets.len()];
        return Planted::LookAlike(&set[turn % set.len()]);
    }
    let Some(which) = PLANTED_AT.iter().position(|at| number % 100 == *at) else {
        return Planted::Nothing;
    };
    let set = &sets[which];
    if let Some(places) = truth.planted.get_mut(&COUNTS[which]) {
        places.push((blob.to_owned(), record));
    }
    Planted::One(&set[turn % set.len()], turn / set.len() + turn)
}

impl Archive {
    /// The first minutes, about this many bytes of them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::bench) fn part(&self, about: u64) -> anyhow::Result<Part> {
        let a_minute = (self.truth.bytes / u64::from(MINUTES)).max(1);
        let minutes = u32::try_from(about.div_ceil(a_minute))?.clamp(1, MINUTES);
        let names: Vec<String> = (0..minutes).map(folder_of).collect();
        let mut files = Vec::new();
        for name in &names {
            list(&self.folder.join(name), &mut files)?;
        }
        let mut bytes = 0;
        for file in &files {
            bytes += std::fs::metadata(file)?.len();
        }
        let is_in = |(blob, _): &&Place| names.iter().any(|name| blob.starts_with(name.as_str()));
        let planted = self
            .truth
            .planted
            .iter()
            .map(|(count, places)| (*count, places.iter().filter(is_in).count()))
            .collect();
        Ok(Part {
            files,
            bytes,
            planted,
        })
    }

    /// Reads every blob once, so that all of it is in the page cache.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::bench) fn warm(&self) -> anyhow::Result<()> {
        let mut files = Vec::new();
        list(&self.folder, &mut files)?;
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        for file in files {
            let mut file = std::fs::File::open(file)?;
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    read => bytes += read as u64,
                }
            }
        }
        anyhow::ensure!(
            bytes == self.truth.bytes,
            "the archive has {bytes} bytes, not {}: remove target/bench",
            self.truth.bytes
        );
        Ok(())
    }
}

/// A part of an archive, for what is too slow for all of it.
#[derive(Debug)]
pub(in crate::bench) struct Part {
    pub(in crate::bench) files: Vec<PathBuf>,
    pub(in crate::bench) bytes: u64,
    /// How many records hold an identifier of each set.
    pub(in crate::bench) planted: BTreeMap<usize, usize>,
}

/// All files below a folder, in the order of names.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        entries.push(entry?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{COUNTS, MINUTES, ready};

    #[test]
    fn the_same_seed_gives_the_same_archive() {
        let root = tempfile::tempdir().expect("a folder");
        let one = ready(root.path(), 3 << 20, 1).expect("an archive");
        one.warm().expect("it is there");
        assert!(one.truth.bytes >= 3 << 20 && one.truth.bytes < 5 << 20);
        assert!(one.truth.blobs >= u64::from(MINUTES));
        for count in COUNTS {
            let share = one.truth.planted[&count].len() as f64 / one.truth.records as f64;
            assert!((share - 0.01).abs() < 0.001, "{count}: {share}");
        }
        let part = one.part(1).expect("a part");
        assert!(part.bytes < one.truth.bytes / 100 && !part.files.is_empty());
        let all = one.part(u64::MAX >> 33).expect("all of it");
        assert_eq!(all.bytes, one.truth.bytes);
        let planted = one.truth.planted.values().map(Vec::len);
        assert!(all.planted.into_values().eq(planted));
        let again = ready(root.path(), 3 << 20, 1).expect("the same archive");
        assert_eq!(again.truth.planted, one.truth.planted);
    }
}
