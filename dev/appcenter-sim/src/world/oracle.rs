//! A second opinion on the expected results of worlds: the rules of the product's contract applied, in the plainest way,
//! to the very rows and blobs that the exporter writes. It knows the worlds' few encodings and nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::read::GzDecoder;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use super::{AppInstall, Expected, ExpectedRequest, Held, Spec, World};
use crate::clock::Clock;
use crate::exporter::{payload, rows};
use crate::options::Options;
use crate::state::State;

/// A row, or a blob of a report.
struct Record {
    install: usize,
    report: Option<usize>,
    is_row: bool,
    leaves: Vec<(String, String)>,
}

/// How a record names the person.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Naming {
    Term,
    Token,
    Strong,
}

fn leaves(key: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(key, value, into)),
        Value::Array(list) => list.iter().for_each(|value| leaves(key, value, into)),
        Value::String(text) => text_leaves(key, text, into),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            into.push((key.to_owned(), value.to_string()));
        }
    }
}

fn text_leaves(key: &str, text: &str, into: &mut Vec<(String, String)>) {
    if text.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return leaves(key, &value, into);
    }
    if text.contains('%') {
        let decoded = percent_decode_str(text).decode_utf8_lossy().into_owned();
        if decoded != text {
            text_leaves(key, &decoded, into);
        }
    }
    if text.len() >= 16
        && let Ok(bytes) = STANDARD.decode(text)
        && let Ok(decoded) = String::from_utf8(bytes)
    {
        text_leaves(key, &decoded, into);
    }
    into.push((key.to_owned(), text.to_owned()));
}

fn bytes_leaves(bytes: &[u8], into: &mut Vec<(String, String)>) {
    let mut unzipped = Vec::new();
    let is_gzip = GzDecoder::new(bytes).read_to_end(&mut unzipped).is_ok();
    let bytes = if is_gzip { &unzipped } else { bytes };
    text_leaves("", &String::from_utf8_lossy(bytes), into);
}

fn records(state: &State) -> Vec<Record> {
    let mut records = Vec::new();
    let mut add = |install, report, is_row, value: &Value| {
        let mut found = Vec::new();
        leaves("", value, &mut found);
        records.push(Record {
            install,
            report,
            is_row,
            leaves: found,
        });
    };
    for (index, event) in state.world.events.iter().enumerate() {
        add(event.install, None, true, &rows::event(state, index));
    }
    for (index, report) in state.world.reports.iter().enumerate() {
        let it = Some(index);
        add(
            report.install,
            it,
            true,
            &rows::report(state, index, "None"),
        );
        add(report.install, it, false, &payload::report(state, index));
        for attachment in &report.attachments {
            let row = rows::attachment(state, index, attachment, "None");
            add(report.install, it, true, &row);
        }
    }
    for (index, report) in state.world.reports.iter().enumerate() {
        for attachment in &report.attachments {
            let mut found = Vec::new();
            bytes_leaves(&attachment.bytes, &mut found);
            records.push(Record {
                install: report.install,
                report: Some(index),
                is_row: false,
                leaves: found,
            });
        }
    }
    records
}

/// Whether `needle` stands in `text` with nothing before or behind it that `glues` makes a part of it.
fn stands_in(text: &str, needle: &str, glues: impl Fn(Option<char>, &str) -> bool) -> bool {
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !glues(before, &text[at + needle.len()..])
    })
}

fn naming(record: &Record, subject: &Value) -> Option<Naming> {
    let list = |name: &str| -> Vec<String> {
        let values = subject[name].as_array().cloned().unwrap_or_default();
        values
            .iter()
            .map(|it| it.as_str().unwrap_or("").to_owned())
            .collect()
    };
    let mut best = None;
    for (key, text) in &record.leaves {
        for id in list("user_ids") {
            let is_weak_id = id.len() < 4 || id.chars().all(|it| it.is_ascii_digit());
            let is_user_field = key.to_lowercase() == "userid";
            if *text == id && (is_user_field || !is_weak_id) {
                best = best.max(Some(Naming::Strong));
            }
            let glue = |it: char| it.is_alphanumeric() || "._-".contains(it);
            let glues = |before: Option<char>, behind: &str| {
                before.is_some_and(glue) || behind.chars().next().is_some_and(glue)
            };
            if !is_weak_id && stands_in(text, &id, glues) {
                best = best.max(Some(Naming::Token));
            }
        }
        for email in list("emails") {
            let glues = |before: Option<char>, behind: &str| {
                let mut behind = behind.chars();
                let next = behind.next();
                before.is_some_and(|it| it.is_alphanumeric() || "._%+-".contains(it))
                    || next.is_some_and(|it| it.is_alphanumeric() || "-_".contains(it))
                    || next == Some('.') && behind.next().is_some_and(char::is_alphanumeric)
            };
            if stands_in(&text.to_lowercase(), &email.to_lowercase(), glues) {
                best = best.max(Some(Naming::Strong));
            }
        }
        for term in list("terms") {
            let folded = |it: &str| it.nfc().collect::<String>().to_lowercase();
            let glues = |before: Option<char>, behind: &str| {
                before.is_some_and(char::is_alphanumeric)
                    || behind.chars().next().is_some_and(char::is_alphanumeric)
            };
            if stands_in(&folded(text), &folded(&term), glues) {
                best = best.max(Some(Naming::Term));
            }
        }
    }
    best
}

/// Why an install is held: people share it, or it runs on several devices.
fn suspicion(state: &State, install: usize) -> Option<&'static str> {
    let all: Vec<usize> = (0..state.world.reports.len())
        .filter(|it| state.world.reports[*it].install == install)
        .collect();
    let users: BTreeSet<&str> = all
        .iter()
        .filter_map(|it| state.world.reports[*it].user.as_deref())
        .collect();
    let of_reports = all.iter().map(|it| state.world.reports[*it].device);
    let events = state.world.events.iter().filter(|it| it.install == install);
    let devices: BTreeSet<usize> = of_reports.chain(events.map(|it| it.device)).collect();
    match (users.len(), devices.len()) {
        (2.., _) => Some("shared"),
        (_, 2..) => Some("cloned"),
        _ => None,
    }
}

fn work_out(state: &State, records: &[Record], request: &ExpectedRequest) -> Expected {
    let world = &state.world;
    let apps: Vec<usize> = (0..world.apps.len())
        .filter(|app| {
            let list = request.document["apps"].as_array();
            list.is_some_and(|it| it.iter().any(|it| it["name"] == world.apps[*app].name))
        })
        .collect();
    let subject = &request.document["subject"];
    let given: Vec<uuid::Uuid> = subject["install_ids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it.as_str()?.parse().ok())
        .collect();
    let mut of_install: BTreeMap<usize, Naming> = BTreeMap::new();
    let mut of_report: BTreeMap<usize, Naming> = BTreeMap::new();
    let mut named_rows = Vec::new();
    for record in records {
        if !apps.contains(&world.installs[record.install].app) {
            continue;
        }
        let Some(naming) = naming(record, subject) else {
            continue;
        };
        let entry = of_install.entry(record.install).or_insert(naming);
        *entry = naming.max(*entry);
        if let Some(report) = record.report {
            let entry = of_report.entry(report).or_insert(naming);
            *entry = naming.max(*entry);
        }
        if record.is_row && naming == Naming::Strong {
            named_rows.push(record.install);
        }
    }
    let mut expected = Expected::default();
    for id in &given {
        let is_held = (0..world.installs.len())
            .any(|it| world.installs[it].id == *id && suspicion(state, it).is_some());
        for app in apps.iter().filter(|_| !is_held) {
            expected.installs.insert(AppInstall {
                app: world.app_path(*app),
                install: id.to_string(),
            });
        }
    }
    for (index, install) in world.installs.iter().enumerate() {
        let app = world.app_path(install.app);
        let is_given = given.contains(&install.id) && apps.contains(&install.app);
        let found = of_install.get(&index).copied();
        let is_strong = is_given || found == Some(Naming::Strong);
        let (weak, suspicion) = (found, suspicion(state, index));
        let reason = match (is_strong, suspicion, weak) {
            (true, reason, _) => reason,
            (false, _, Some(Naming::Token)) => Some("token"),
            (false, _, Some(_)) => Some("term"),
            (false, _, None) => continue,
        };
        let all = (0..world.reports.len()).filter(|it| world.reports[*it].install == index);
        if let Some(reason) = reason {
            expected.held.insert(Held::Install {
                app: app.clone(),
                install: install.id.to_string(),
                reason: reason.to_owned(),
            });
        } else {
            expected.installs.insert(AppInstall {
                app: app.clone(),
                install: install.id.to_string(),
            });
        }
        for report in all {
            let it = world.app_report(&world.reports[report]);
            let naming = of_report.get(&report).copied();
            match reason {
                None => {
                    expected.reports.insert(it);
                }
                Some(_) if naming == Some(Naming::Strong) => {
                    expected.reports.insert(it);
                }
                Some(reason) if is_strong || naming.is_some() => {
                    expected.held.insert(Held::Report {
                        app: it.app,
                        group: it.group,
                        error: it.error,
                        reason: reason.to_owned(),
                    });
                }
                Some(_) => {}
            }
        }
        let n_rows = if reason.is_none() {
            let of_this = |it: &&Record| it.is_row && it.install == index;
            records.iter().filter(of_this).count()
        } else {
            named_rows.iter().filter(|it| **it == index).count()
        };
        if n_rows > 0 {
            *expected.rows.entry(app).or_default() += n_rows;
        }
    }
    expected.attachments = super::expect::attachments(world, &expected.reports);
    expected
}

fn check(world: World) {
    let state = State::new(world, Options::default(), Clock::real_now(), "");
    let records = records(&state);
    let mut wrong = Vec::new();
    for request in state.world.requests() {
        let worked_out = work_out(&state, &records, request);
        if worked_out.rows != request.expected.rows {
            wrong.push(format!("{}: rows {:?}", request.name, worked_out.rows));
        }
        let rest = Expected {
            rows: request.expected.rows.clone(),
            ..worked_out
        };
        if rest != request.expected {
            wrong.push(format!("{}: {rest:#?}", request.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_demo_world_expects_what_the_rules_say() {
    check(World::demo().expect("it is whole"));
}

#[test]
fn generated_worlds_expect_what_the_rules_say() {
    for (n, (person_reports, attachment_every)) in
        [(0, 0), (37, 0), (120, 3)].into_iter().enumerate()
    {
        let spec = Spec {
            seed: format!("seed-{n}"),
            installs: 20,
            person_installs: 2,
            reports: 120,
            person_reports,
            event_rows: 400,
            attachment_every,
            ..Spec::default()
        };
        check(World::generate(&spec).expect("the numbers fit together"));
    }
}

#[test]
fn the_demo_world_has_the_promised_size() {
    let world = World::demo().expect("it is whole");
    let counts = world.counts();
    assert_eq!(
        (counts.apps, counts.installs, counts.groups, counts.reports),
        (2, 40, 8, 120)
    );
    assert!(counts.rows > 4_000, "{counts:?}");
    for app in &world.apps {
        assert_eq!(app.versions.len(), 3);
    }
}
