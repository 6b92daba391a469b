//! Log rows, installs and reports that a world file only counts: made from the seed, naming nobody.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Attachment, Device, Event, EventKind, Install, Report, World};
use crate::ids::{self, Sequence};

/// Sessions start on this grid, so that an archive has hundreds of folders rather than thousands.
const SLOT_SECONDS: i64 = 2 * 3600;
/// Log rows of one session, at most.
const SESSION_ROWS: usize = 14;

const ANDROID_DEVICES: [(&str, &str, &str); 5] = [
    ("Pixel 7", "Google", "14"),
    ("Pixel 8a", "Google", "15"),
    ("SM-S911B", "samsung", "14"),
    ("SM-A546B", "samsung", "13"),
    ("XQ-DC54", "Sony", "13"),
];
const IOS_DEVICES: [(&str, &str, &str); 5] = [
    ("iPhone14,2", "Apple", "17.5"),
    ("iPhone15,4", "Apple", "18.1"),
    ("iPhone12,1", "Apple", "16.7"),
    ("iPad13,4", "Apple", "17.5"),
    ("iPad14,1", "Apple", "18.0"),
];
const LOCALES: [(&str, &str); 5] = [
    ("de_DE", "DE"),
    ("en_GB", "GB"),
    ("es_ES", "ES"),
    ("en_US", "US"),
    ("fr_FR", "FR"),
];
const NAMES: [&str; 6] = [
    "Screen shown",
    "Item viewed",
    "Basket changed",
    "Search run",
    "Filter set",
    "Sync finished",
];
const SCREENS: [&str; 5] = ["home", "basket", "product", "settings", "orders"];

/// A span of time, in days before the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from_days_ago: f64,
    pub(super) to_days_ago: f64,
}

/// A time so many days before `epoch`.
pub(super) fn days_before(epoch: Timestamp, days: f64) -> Timestamp {
    let millis = SignedDuration::try_from_secs_f64(days * 86_400.0).unwrap_or_default();
    epoch.checked_sub(millis).unwrap_or(epoch)
}

/// A device of the app's system; `model` when it is given.
pub(super) fn device(
    sequence: &mut Sequence,
    os: &str,
    model: Option<&str>,
    locale: Option<&str>,
) -> Device {
    let devices = if is_apple(os) {
        &IOS_DEVICES
    } else {
        &ANDROID_DEVICES
    };
    let found = devices.iter().find(|it| model == Some(it.0));
    let picked = sequence.pick(devices).copied().unwrap_or(devices[0]);
    let (name, oem, os_version) = found.copied().unwrap_or(picked);
    let (picked_locale, _) = sequence.pick(&LOCALES).copied().unwrap_or(LOCALES[0]);
    let locale = locale.unwrap_or(picked_locale);
    Device {
        model: model.unwrap_or(name).to_owned(),
        oem: oem.to_owned(),
        os_version: os_version.to_owned(),
        locale: locale.to_owned(),
        country: locale.rsplit('_').next().unwrap_or("US").to_owned(),
    }
}

/// Whether the system is one of Apple's.
pub(crate) fn is_apple(os: &str) -> bool {
    matches!(os, "iOS" | "macOS" | "tvOS")
}

/// Adds `count` log rows of one install, in sessions.
pub(super) fn events(world: &mut World, install: usize, count: usize, span: Span) {
    let Install { name, devices, .. } = &world.installs[install];
    let n_devices = devices.len().max(1) as u64;
    let mut sequence = Sequence::new(&world.seed, &format!("events {name}"));
    let from = days_before(world.epoch, span.from_days_ago).as_second();
    let to = days_before(world.epoch, span.to_days_ago).as_second();
    let slots = ((to - from) / SLOT_SECONDS).max(1).unsigned_abs();
    let none: Arc<[(String, String)]> = Arc::from([]);
    let mut left = count;
    let mut n_sessions = 0_u64;
    while left > 0 {
        let slot = i64::try_from(sequence.below(slots)).unwrap_or(0);
        let start = from.div_euclid(SLOT_SECONDS) * SLOT_SECONDS + (slot + 1) * SLOT_SECONDS;
        let start = start.clamp(from, to.max(from));
        let session = ids::uuid(&world.seed, "session", &format!("{name} {n_sessions}"));
        // Each device of a cloned image has sessions of its own.
        let device = usize::try_from(n_sessions % n_devices).unwrap_or(0);
        n_sessions += 1;
        for row in 0..left.min(SESSION_ROWS) {
            let millis = i64::try_from(row).unwrap_or(0) * 3_700 + 13;
            let at = Timestamp::from_millisecond(start * 1000 + millis).unwrap_or(world.epoch);
            let kind = match row {
                0 => EventKind::StartSession,
                1 if n_sessions == 1 => EventKind::StartService,
                _ => EventKind::Event,
            };
            let (event_name, properties) = if kind == EventKind::Event {
                let event_name = sequence.pick(&NAMES).copied().unwrap_or("Screen shown");
                let screen = sequence.pick(&SCREENS).copied().unwrap_or("home");
                let properties = vec![
                    ("screen".to_owned(), screen.to_owned()),
                    ("items".to_owned(), sequence.below(9).to_string()),
                ];
                (event_name, Arc::from(properties))
            } else {
                ("", Arc::clone(&none))
            };
            world.events.push(Event {
                install,
                device,
                at,
                ingress: at + SignedDuration::from_secs(4),
                kind,
                name: Arc::from(event_name),
                properties,
                session,
                id: ids::uuid(&world.seed, "row", &format!("{name} {}", left - row)),
            });
        }
        left -= left.min(SESSION_ROWS);
    }
}

/// A report's place and time, before its content is known.
pub(super) fn blank_report(
    world: &World,
    name: &str,
    group: usize,
    install: usize,
    at: Timestamp,
    delay: SignedDuration,
) -> Report {
    let guid = ids::uuid(&world.seed, "report", name);
    Report {
        name: name.to_owned(),
        group,
        install,
        device: 0,
        at,
        ingress: at + delay,
        guid,
        legacy_id: ids::uuid(&world.seed, "legacy report", name),
        error_id: ids::error_id(at, guid),
        user: world.installs[install].user.clone(),
        message: None,
        properties: Vec::new(),
        attachments: Vec::new(),
    }
}

/// Gives times their usual spread of fraction digits; Apple's crash reporter knows whole seconds only.
pub(super) fn with_fraction(at: Timestamp, key: u64, os: &str, is_crash: bool) -> Timestamp {
    let whole = at.as_nanosecond().div_euclid(1_000_000_000) * 1_000_000_000;
    let fraction = if is_apple(os) && is_crash {
        999_000_000
    } else {
        match key % 4 {
            0 => 0,
            1 => 516_000_000,
            2 => 931_282_000,
            _ => 590_157_600,
        }
    };
    Timestamp::from_nanosecond(whole + fraction).unwrap_or(at)
}

/// Adds `count` reports of a group, spread over the installs whose name begins with `prefix`.
pub(super) fn reports(world: &mut World, group: usize, prefix: &str, count: usize, span: Span) {
    let installs: Vec<usize> = (0..world.installs.len())
        .filter(|it| {
            world.installs[*it].name.starts_with(prefix)
                && world.installs[*it].app == world.groups[group].app
        })
        .collect();
    let group_name = world.groups[group].name.clone();
    let is_crash = world.groups[group].is_crash;
    let os = world.apps[world.groups[group].app].os.clone();
    let mut sequence = Sequence::new(&world.seed, &format!("reports {group_name} {prefix}"));
    for n in 1..=count {
        let Some(install) = sequence.pick(&installs).copied() else {
            return;
        };
        let name = format!("{group_name}-fill-{n:03}");
        #[expect(
            clippy::cast_precision_loss,
            reason = "a number below 10,000 is exact as f64"
        )]
        let share = sequence.below(10_000) as f64 / 10_000.0;
        let days = span.to_days_ago + (span.from_days_ago - span.to_days_ago) * share;
        let at = with_fraction(
            days_before(world.epoch, days),
            sequence.next(),
            &os,
            is_crash,
        );
        let delay = i64::try_from(5 + sequence.below(300)).unwrap_or(5);
        let mut report = blank_report(
            world,
            &name,
            group,
            install,
            at,
            SignedDuration::from_secs(delay),
        );
        if n % 4 == 0 {
            report.user = None;
        }
        if !is_crash || n % 2 == 0 {
            let screen = sequence.pick(&SCREENS).copied().unwrap_or("home");
            report
                .properties
                .push(("screen".to_owned(), screen.to_owned()));
        }
        if n % 3 == 0 {
            let text = format!(
                "10:0{} I/Sync: started\n10:0{} W/Sync: slow\n",
                n % 10,
                n % 10
            );
            report.attachments.push(attachment(
                world,
                &name,
                "console.log",
                "text/plain",
                text.into_bytes(),
            ));
        }
        if n % 5 == 0 {
            let mut bytes = vec![0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
            bytes.extend((0..512).map(|_| sequence.next().to_le_bytes()[3]));
            report
                .attachments
                .push(attachment(world, &name, "screen.png", "image/png", bytes));
        }
        world.reports.push(report);
    }
}

/// An attachment whose ID derives from its report and file name.
pub(super) fn attachment(
    world: &World,
    report: &str,
    file_name: &str,
    content_type: &str,
    bytes: Vec<u8>,
) -> Attachment {
    Attachment {
        id: ids::uuid(&world.seed, "attachment", &format!("{report} {file_name}")),
        file_name: file_name.to_owned(),
        content_type: content_type.to_owned(),
        bytes: Arc::from(bytes),
    }
}
