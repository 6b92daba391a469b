//! Large worlds from a few numbers: one person with a given share of the reports, everyone else noise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::ensure;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::expect::{Expected, ExpectedRequest};
use super::fill::{self, Span};
use super::{AppInstall, World, load};
use crate::ids::{self, Sequence};

/// The app of a generated world.
pub const GENERATED_APP: &str = "shop-android";
/// Days that the service keeps reports.
const RETENTION_DAYS: u16 = 28;

/// What a generated world holds. Its requests are named `delete` and `export`, for the same person.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Worlds of one seed and one set of numbers are equal but for their times.
    pub seed: String,
    /// Installs, the person's included.
    pub installs: usize,
    /// Installs of the person.
    pub person_installs: usize,
    /// Reports, the person's included.
    pub reports: usize,
    /// Reports of the person.
    pub person_reports: usize,
    /// Groups that the reports fall into.
    pub groups: usize,
    /// Log rows besides those of reports, spread evenly over the installs.
    pub event_rows: usize,
    /// Days before the start over which everything is spread, at most 26.
    pub days: u16,
    /// Reports that share a minute, and with it a blob.
    pub reports_per_minute: usize,
    /// Every this many reports has a text attachment; 0 for none.
    pub attachment_every: usize,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            seed: "generated".to_owned(),
            installs: 500,
            person_installs: 4,
            reports: 2_000,
            person_reports: 200,
            groups: 12,
            event_rows: 10_000,
            days: 20,
            reports_per_minute: 40,
            attachment_every: 0,
        }
    }
}

pub(super) fn generate(spec: &Spec, epoch: Timestamp) -> anyhow::Result<World> {
    ensure!(
        spec.person_installs >= 1 && spec.installs >= spec.person_installs,
        "a generated world needs an install for its person"
    );
    ensure!(
        spec.reports >= spec.person_reports && spec.groups >= 1,
        "a generated world needs a group, and the person's reports among all"
    );
    ensure!(
        spec.person_reports == spec.reports || spec.installs > spec.person_installs,
        "a generated world needs an install for the reports of others"
    );
    ensure!(
        (1..=RETENTION_DAYS - 2).contains(&spec.days),
        "a generated world has 1 to 26 days"
    );
    let mut world = load::load(&frame(spec), epoch)?;
    let others: Vec<usize> = (spec.person_installs..spec.installs).collect();
    let mut sequence = Sequence::new(&world.seed, "generate");
    let minutes = spec.reports.div_ceil(spec.reports_per_minute.max(1)).max(1);
    let span_millis = i64::from(spec.days) * 86_400_000;
    let mut left_of_person = spec.person_reports;
    for n in 0..spec.reports {
        // The person's reports are drawn evenly from all, so that every minute may hold some.
        let left = (spec.reports - n) as u64;
        let is_person = sequence.below(left) < left_of_person as u64;
        let install = if is_person {
            left_of_person -= 1;
            n % spec.person_installs
        } else {
            sequence.pick(&others).copied().unwrap_or(0)
        };
        let minute = n / spec.reports_per_minute.max(1);
        let start = i64::try_from(minute)? * (span_millis / i64::try_from(minutes)?);
        let offset = i64::try_from(n % spec.reports_per_minute.max(1))? * 60_000
            / i64::try_from(spec.reports_per_minute.max(1))?;
        let at = epoch
            - SignedDuration::from_millis(span_millis - start.div_euclid(60_000) * 60_000)
            + SignedDuration::from_millis(offset);
        let group = n % spec.groups;
        let name = if is_person {
            format!("person-{n}")
        } else {
            format!("other-{n}")
        };
        let mut report =
            fill::blank_report(&world, &name, group, install, at, SignedDuration::ZERO);
        report.properties = vec![("step".to_owned(), (n % 17).to_string())];
        if is_person && n % 10 == 0 {
            report.message = Some(Arc::from("Mail to person@example.com failed"));
        }
        if spec.attachment_every > 0 && n % spec.attachment_every == 0 {
            let text = format!("step {n}\n").into_bytes();
            let attachment = fill::attachment(&world, &name, "console.log", "text/plain", text);
            report.attachments.push(attachment);
        }
        world.reports.push(report);
    }
    world.index();
    let each = spec.event_rows / spec.installs;
    let span = Span {
        from_days_ago: f64::from(spec.days),
        to_days_ago: 0.1,
    };
    for install in 0..spec.installs {
        fill::events(&mut world, install, each, span);
    }
    requests(&mut world, spec);
    Ok(world)
}

/// The world without reports and rows, as a file.
fn frame(spec: &Spec) -> String {
    let mut text = format!(
        "name = {:?}\nowner = \"contoso\"\n[export]\nshape = \"bundle\"\n[[app]]\nname = {GENERATED_APP:?}\nos = \"Android\"\nversions = [\"1.0.0\"]\nretention_days = {RETENTION_DAYS}\n",
        spec.seed
    );
    for n in 0..spec.groups {
        let kind = if n % 2 == 0 { "crash" } else { "error" };
        let _ = write!(
            text,
            "[[group]]\nname = \"group-{n}\"\napp = {GENERATED_APP:?}\nkind = {kind:?}\nversion = \"1.0.0\"\nexception = \"java.lang.IllegalStateException\"\nmessage = \"state {n}\"\nframe = \"com.contoso.shop.Part{n}.run (Part{n}.kt:{})\"\n",
            n + 10
        );
    }
    for n in 0..spec.installs {
        let (name, user) = if n < spec.person_installs {
            (format!("person-{n}"), "u-700700".to_owned())
        } else {
            (format!("other-{n}"), format!("c-{n}"))
        };
        let _ = write!(
            text,
            "[[install]]\nname = {name:?}\napp = {GENERATED_APP:?}\nuser = {user:?}\n"
        );
    }
    text
}

fn requests(world: &mut World, spec: &Spec) {
    let app = world.app_path(0);
    let person = |install: usize| install < spec.person_installs;
    let mut expected = Expected::default();
    for install in world.installs.iter().take(spec.person_installs) {
        expected.installs.insert(AppInstall {
            app: app.clone(),
            install: install.id.to_string(),
        });
    }
    let mut rows = 0;
    let mut attachments = BTreeSet::new();
    for report in world.reports.iter().filter(|it| person(it.install)) {
        expected.reports.insert(world.app_report(report));
        rows += 1 + report.attachments.len();
        for attachment in &report.attachments {
            attachments.insert((report.error_id.clone(), attachment.file_name.clone()));
        }
    }
    rows += world.events.iter().filter(|it| person(it.install)).count();
    expected.attachments = attachments;
    expected.rows = BTreeMap::from([(app, rows)]);
    let install_ids: Vec<String> = world
        .installs
        .iter()
        .take(spec.person_installs)
        .map(|it| it.id.to_string())
        .collect();
    // Installs without a report show no user ID, so they are found only when they are given.
    let subject = json!({
        "install_ids": install_ids,
        "user_ids": ["u-700700"],
        "emails": ["person@example.com"],
    });
    for kind in ["delete", "export"] {
        let reference = format!(
            "GEN-{kind}-{}",
            ids::number(&world.seed, "reference", kind) % 1000
        );
        world.requests.push(ExpectedRequest {
            name: kind.to_owned(),
            person: "The person".to_owned(),
            document: json!({
                "kind": kind,
                "reference": reference,
                "apps": [{ "owner": world.owner, "name": GENERATED_APP }],
                "subject": subject,
            }),
            expected: expected.clone(),
            also: Vec::new(),
        });
    }
}
