//! From a world file to a world.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use jiff::{SignedDuration, Timestamp};

use super::file::{AppEntry, File, GroupEntry, GroupKind, InstallEntry, InstallsEntry};
use super::file::{EventEntry, ExportStyle, ReportEntry};
use super::fill::{self, Span};
use super::{App, Event, EventKind, Gap, Group, Install, TestRun, World, expect};
use crate::ids::{self, Sequence};
use crate::text::Text;

/// The span of what a world file gives no times for.
const USUAL: Span = Span {
    from_days_ago: 26.0,
    to_days_ago: 0.2,
};

pub(super) fn load(text: &str, epoch: Timestamp) -> anyhow::Result<World> {
    let file: File = toml::from_str(text).context("the world file does not follow its schema")?;
    let seed = file.seed.unwrap_or_else(|| file.name.clone());
    let mut world = World {
        name: file.name,
        seed,
        epoch,
        owner: file.owner,
        apps: Vec::new(),
        installs: Vec::new(),
        groups: Vec::new(),
        reports: Vec::new(),
        events: Vec::new(),
        gaps: Vec::new(),
        test_runs: Vec::new(),
        requests: Vec::new(),
        by_error_id: HashMap::new(),
        by_guid: HashMap::new(),
    };
    for entry in file.app {
        let app = app(&world.seed, entry, &file.export);
        world.apps.push(app);
    }
    for entry in file.group {
        let group = group(&world, entry)?;
        world.groups.push(group);
    }
    for entry in file.install {
        install(&mut world, entry)?;
    }
    for entry in file.installs {
        installs(&mut world, &entry)?;
    }
    for entry in file.event {
        let event = event(&world, &entry)?;
        world.events.push(event);
    }
    for entry in file.report {
        let name = entry.name.clone();
        report(&mut world, entry).with_context(|| format!("the report `{name}`"))?;
    }
    for entry in file.reports {
        let group = find(&world.groups, "group", &entry.group, |it| &it.name)?;
        let span = span(entry.from_days_ago, entry.to_days_ago);
        fill::reports(&mut world, group, &entry.prefix, entry.count, span);
    }
    for entry in file.gap {
        let app = find(&world.apps, "app", &entry.app, |it| &it.name)?;
        world.gaps.push(Gap {
            app,
            from: fill::days_before(epoch, entry.from_days_ago),
            to: fill::days_before(epoch, entry.to_days_ago),
        });
    }
    for entry in file.test_run {
        let app = find(&world.apps, "app", &entry.app, |it| &it.name)?;
        let id = ids::uuid(&world.seed, "test run", &entry.name);
        world.test_runs.push(TestRun {
            id,
            app,
            at: fill::days_before(epoch, entry.days_ago),
            series: entry.series,
            description: entry.description,
        });
    }
    world.index();
    ensure!(
        world.by_error_id.len() == world.reports.len(),
        "two reports have the same name"
    );
    for entry in file.request {
        let request = expect::request(&world, entry)?;
        world.requests.push(request);
    }
    Ok(world)
}

fn span(from: Option<f64>, to: Option<f64>) -> Span {
    Span {
        from_days_ago: from.unwrap_or(USUAL.from_days_ago),
        to_days_ago: to.unwrap_or(USUAL.to_days_ago),
    }
}

/// The index of the item of this name.
fn find<T>(
    items: &[T],
    kind: &str,
    name: &str,
    key: impl Fn(&T) -> &String,
) -> anyhow::Result<usize> {
    items
        .iter()
        .position(|item| key(item) == name)
        .with_context(|| format!("there is no {kind} `{name}`"))
}

fn app(seed: &str, entry: AppEntry, export: &ExportStyle) -> App {
    let platform = entry.platform.unwrap_or_else(|| {
        match entry.os.as_str() {
            "iOS" | "macOS" | "tvOS" => "Objective-C-Swift",
            "Android" => "Java",
            _ => "Custom",
        }
        .to_owned()
    });
    let mut style = entry.export.unwrap_or_else(|| export.clone());
    style.upper_install_ids = style
        .upper_install_ids
        .or_else(|| Some(fill::is_apple(&entry.os)));
    App {
        id: ids::uuid(seed, "app", &entry.name),
        secret: ids::uuid(seed, "app secret", &entry.name),
        name: entry.name,
        os: entry.os,
        platform,
        retention_days: entry.retention_days.unwrap_or(28),
        versions: entry.versions,
        next_link_without_app: entry.next_link_without_app,
        has_described_states: entry.described_states,
        style,
    }
}

fn group(world: &World, entry: GroupEntry) -> anyhow::Result<Group> {
    let (method, place) = entry
        .frame
        .split_once(" (")
        .context("a frame is `CLASS.METHOD (FILE:LINE)`")?;
    let (class, method) = method
        .rsplit_once('.')
        .context("a frame is `CLASS.METHOD (FILE:LINE)`")?;
    let (file, line) = place
        .trim_end_matches(')')
        .split_once(':')
        .context("a frame is `CLASS.METHOD (FILE:LINE)`")?;
    let is_crash = entry.kind == GroupKind::Crash;
    Ok(Group {
        app: find(&world.apps, "app", &entry.app, |it| &it.name)?,
        id: ids::group_id(&world.seed, &entry.name, is_crash),
        legacy_id: ids::legacy_group_id(&world.seed, &entry.name),
        name: entry.name,
        is_crash,
        version: entry.version,
        exception: entry.exception,
        message: entry.message,
        class: class.to_owned(),
        method: method.to_owned(),
        file: file.to_owned(),
        line: line.parse().context("a line is a number")?,
        is_symbolicated: !entry.unsymbolicated,
        is_legacy_only: entry.legacy_only,
        reports: Vec::new(),
    })
}

fn install(world: &mut World, entry: InstallEntry) -> anyhow::Result<()> {
    let app = find(&world.apps, "app", &entry.app, |it| &it.name)?;
    let mut sequence = Sequence::new(&world.seed, &format!("install {}", entry.name));
    let os = world.apps[app].os.clone();
    let locale = entry.locale.as_deref();
    let mut devices: Vec<_> = entry
        .models
        .iter()
        .map(|model| fill::device(&mut sequence, &os, Some(model), locale))
        .collect();
    if devices.is_empty() {
        devices.push(fill::device(&mut sequence, &os, None, locale));
    }
    let version = entry
        .version
        .or_else(|| world.apps[app].versions.last().cloned());
    if world.installs.iter().any(|it| it.name == entry.name) {
        bail!("two installs are named `{}`", entry.name);
    }
    world.installs.push(Install {
        app,
        id: entry
            .id
            .unwrap_or_else(|| ids::uuid(&world.seed, "install", &entry.name)),
        name: entry.name,
        version: version.context("an app has versions")?,
        devices,
        user: entry.user.map(Arc::from),
    });
    let span = span(entry.from_days_ago, entry.to_days_ago);
    fill::events(world, world.installs.len() - 1, entry.events, span);
    Ok(())
}

fn installs(world: &mut World, entry: &InstallsEntry) -> anyhow::Result<()> {
    for n in 1..=entry.count {
        let name = format!("{}{n:02}", entry.prefix);
        let app = find(&world.apps, "app", &entry.app, |it| &it.name)?;
        let mut sequence = Sequence::new(&world.seed, &format!("version {name}"));
        let version = sequence.pick(&world.apps[app].versions).cloned();
        let user = format!("c-{}", 10_000 + sequence.below(80_000));
        install(
            world,
            InstallEntry {
                name,
                app: entry.app.clone(),
                id: None,
                models: Vec::new(),
                version,
                locale: None,
                user: Some(user),
                events: entry.events,
                from_days_ago: entry.from_days_ago,
                to_days_ago: entry.to_days_ago,
            },
        )?;
    }
    Ok(())
}

fn strings(texts: &BTreeMap<String, Text>) -> anyhow::Result<Vec<(String, String)>> {
    texts
        .iter()
        .map(|(key, text)| Ok((key.clone(), text.string()?)))
        .collect()
}

fn device(world: &World, install: usize, model: Option<&str>) -> anyhow::Result<usize> {
    let Some(model) = model else { return Ok(0) };
    find(&world.installs[install].devices, "model", model, |it| {
        &it.model
    })
}

fn event(world: &World, entry: &EventEntry) -> anyhow::Result<Event> {
    let install = find(&world.installs, "install", &entry.install, |it| &it.name)?;
    let at = fill::days_before(world.epoch, entry.days_ago);
    let key = format!("{} {} {}", entry.install, entry.name, entry.days_ago);
    Ok(Event {
        install,
        device: device(world, install, entry.model.as_deref())?,
        at,
        ingress: at + SignedDuration::from_secs(3),
        kind: EventKind::Event,
        name: Arc::from(entry.name.as_str()),
        properties: Arc::from(strings(&entry.properties)?),
        session: ids::uuid(&world.seed, "own session", &key),
        id: ids::uuid(&world.seed, "own row", &key),
    })
}

fn report(world: &mut World, entry: ReportEntry) -> anyhow::Result<()> {
    let group = find(&world.groups, "group", &entry.group, |it| &it.name)?;
    let install = find(&world.installs, "install", &entry.install, |it| &it.name)?;
    ensure!(
        world.groups[group].app == world.installs[install].app,
        "its group and its install belong to different apps"
    );
    let os = &world.apps[world.groups[group].app].os;
    let at = fill::with_fraction(
        fill::days_before(world.epoch, entry.days_ago),
        ids::number(&world.seed, "fraction", &entry.name),
        os,
        world.groups[group].is_crash,
    );
    let delay = SignedDuration::try_from_secs_f64(entry.delay_minutes.unwrap_or(0.5) * 60.0)?;
    let mut report = fill::blank_report(world, &entry.name, group, install, at, delay);
    report.device = device(world, install, entry.model.as_deref())?;
    if let Some(user) = entry.user {
        report.user = Some(user).filter(|it| !it.is_empty()).map(Arc::from);
    }
    if let Some(message) = &entry.message {
        report.message = Some(Arc::from(message.string()?));
    }
    report.properties = strings(&entry.properties)?;
    for it in entry.attachments {
        let attachment = fill::attachment(
            world,
            &entry.name,
            &it.name,
            &it.content_type,
            it.text.bytes()?,
        );
        report.attachments.push(attachment);
    }
    world.reports.push(report);
    Ok(())
}
