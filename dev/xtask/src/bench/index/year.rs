//! A year of an archive: minutes of few rows, and where people stand in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::ToSpan as _;
use jiff::civil::Date;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::Options;
use crate::bench::search::archive::MINUTES;
use crate::bench::search::{Group, Identifier, Kind, Minute, Planted, identifiers, row, sequence};

/// Changes whenever the same seed gives other bytes.
const VERSION: u32 = 1;
/// The first day.
const FIRST: Date = Date::constant(2025, 1, 1);
/// In how many minutes each planted person stands.
pub(super) const MINUTES_OF_A_PERSON: usize = 40;
/// What people are looked for by.
pub(super) const KINDS: [Kind; 3] = [Kind::Install, Kind::User, Kind::Email];

/// An archive in a folder.
pub(super) struct Year {
    pub(super) folder: PathBuf,
    pub(super) size: Size,
    /// Those who are looked for, and the files in which they stand.
    pub(super) people: Vec<(Identifier, Vec<String>)>,
}

/// How large an archive is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Size {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// The archive that the options ask for; generated unless it is there.
///
/// # Errors
/// When it cannot be written or read.
pub(super) fn ready(root: &Path, options: &Options) -> anyhow::Result<Year> {
    let Options {
        days, rows, seed, ..
    } = options;
    let people = people_of(options);
    let name = format!("year-{days}-{rows}-{}-{seed}-v{VERSION}", people.len());
    let folder = root.join(&name);
    let size_file = root.join(format!("{name}.json"));
    if !size_file.is_file() {
        println!("Generating {days} days below target/bench");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let size = generate(&folder, options, &people)?;
        // Last: what was cut off is generated anew.
        std::fs::write(&size_file, serde_json::to_vec(&size)?)?;
    }
    let size = serde_json::from_slice(&std::fs::read(&size_file)?);
    Ok(Year {
        folder,
        size: size.context("the size of the archive is broken")?,
        people,
    })
}

/// For each kind as many people as are asked for, every other one planted.
fn people_of(options: &Options) -> Vec<(Identifier, Vec<String>)> {
    let mut random = sequence(options.seed, "minutes of people");
    let mut all = Vec::new();
    let [planted, absent] =
        [Group::Planted, Group::Absent].map(|group| identifiers(options.seed, group, 1_000));
    for kind in KINDS {
        let of_kind = |all: &[Identifier]| -> Vec<Identifier> {
            all.iter().filter(|it| it.kind == kind).cloned().collect()
        };
        let (planted, absent) = (of_kind(&planted), of_kind(&absent));
        for number in 0..options.people {
            let (from, minutes) = match number % 2 {
                0 => (&planted, MINUTES_OF_A_PERSON),
                _ => (&absent, 0),
            };
            let mut files: Vec<String> = (0..minutes)
                .map(|_| {
                    let day = random.random_range(0..options.days);
                    file_of(day, random.random_range(0..MINUTES))
                })
                .collect();
            files.sort_unstable();
            files.dedup();
            all.push((from[number].clone(), files));
        }
    }
    all
}

/// The file of a minute, below the archive.
fn file_of(day: u32, minute: u32) -> String {
    let date = FIRST + i64::from(day).days();
    let date = date.strftime("%Y/%m/%d");
    format!("{date}/{:02}/{:02}/logs.v1.data", minute / 60, minute % 60)
}

fn generate(
    folder: &Path,
    options: &Options,
    people: &[(Identifier, Vec<String>)],
) -> anyhow::Result<Size> {
    let mut planted: BTreeMap<&str, Vec<&Identifier>> = BTreeMap::new();
    for (identifier, files) in people {
        for file in files {
            planted.entry(file).or_default().push(identifier);
        }
    }
    let mut size = Size { files: 0, bytes: 0 };
    for day in 0..options.days {
        let mut random = sequence(options.seed, &format!("day {day}"));
        for minute in 0..MINUTES {
            let name = file_of(day, minute);
            let mut text = String::from("[");
            for number in 0..options.rows {
                if number > 0 {
                    text.push(',');
                }
                row(&mut text, Minute(minute), Planted::Nothing, &mut random);
            }
            for identifier in planted.get(name.as_str()).into_iter().flatten() {
                text.push(',');
                let form = random.random_range(0..8);
                let planted = Planted::One(identifier, form);
                row(&mut text, Minute(minute), planted, &mut random);
            }
            text.push(']');
            let path = folder.join(&name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, &text)?;
            size.files += 1;
            size.bytes += text.len() as u64;
        }
    }
    Ok(size)
}
