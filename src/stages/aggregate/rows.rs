//! The person's log rows: which of them an export hands out, and which archive blobs hold copies after an erasure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::plan::{Action, Plan};
use crate::domain::{AppRef, InstallId, Kind, Window};
use crate::report::LogCopies;
use crate::stages::install_id_resolve::hits::{self, Day, StoredHit};
use crate::stages::install_id_resolve::rows::{Owner, Rows};
use crate::stages::{Context, StageError};
use crate::workflow::{Record, Step};

/// The passes whose hits the plan is made of.
pub(super) const PASSES: [Step; 3] = [Step::Find, Step::Link, Step::Widen];
/// The pass over what arrived after the plan: an erasure's copies and dates are of these rows, too.
const LATER: [Step; 1] = [Step::Recheck];

/// What is known of the person's rows.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Archive blobs that hold some, of an erasure.
    pub(super) copies: Vec<LogCopies>,
    /// The time of the last one.
    pub(super) last: Option<Timestamp>,
}

/// Picks the rows that the plan acts on, each once, by the rule that the plan was made with.
#[derive(Debug)]
pub(super) struct RowFilter {
    installs: BTreeSet<(AppRef, InstallId)>,
    window: Option<Window>,
    apps: BTreeMap<AppRef, Rows>,
}

impl RowFilter {
    /// For a plan, held items that a person released (`also`), and the time that was asked for.
    pub(super) fn new(plan: &Plan, also: &[String], window: Option<Window>) -> Self {
        Self {
            installs: plan
                .installs
                .iter()
                .filter(|it| Plan::acts(it.action, &it.id, also))
                .map(|it| (it.app.clone(), it.install_id))
                .collect(),
            window,
            apps: BTreeMap::new(),
        }
    }

    /// Whether the next hit of an app is a log row that is acted on and was not taken before.
    pub(super) fn takes(&mut self, app: &AppRef, stored: &StoredHit) -> bool {
        if !self.apps.contains_key(app) {
            self.apps.insert(app.clone(), Rows::default());
        }
        let Some(rows) = self.apps.get_mut(app) else {
            return false;
        };
        let Some(row) = rows.take(&stored.hit, stored.app, self.window.as_ref()) else {
            return false;
        };
        let acts_on_install = match row.owner {
            Owner::Install(install) => self.installs.contains(&(app.clone(), install)),
            Owner::Loose | Owner::NoApp => false,
        };
        row.is_new && row.is_acted_on(acts_on_install)
    }
}

/// The days of every pass that the run's plan is made of, in order.
pub(super) async fn days(cx: Context<'_>, record: &Record) -> Result<Vec<(Step, Day)>, StageError> {
    days_of(cx, record, &PASSES).await
}

async fn days_of(
    cx: Context<'_>,
    record: &Record,
    passes: &[Step],
) -> Result<Vec<(Step, Day)>, StageError> {
    let mut all = Vec::new();
    for &step in passes {
        if record.steps.contains_key(&step) {
            let days = hits::days(cx.app, record, step).await?;
            all.extend(days.into_iter().map(|day| (step, day)));
        }
    }
    Ok(all)
}

/// Looks at every row of the person.
pub(super) async fn survey(
    cx: Context<'_>,
    record: &Record,
    plan: &Plan,
) -> Result<Survey, StageError> {
    let mut survey = Survey::default();
    let is_later = LATER.iter().any(|step| record.steps.contains_key(step));
    let is_held = plan.rows.iter().all(|it| it.action == Action::Hold);
    if record.kind == Kind::Export || (is_held && !is_later) {
        return Ok(survey);
    }
    let mut filter = RowFilter::new(plan, record.also(), record.window);
    let mut copies: BTreeMap<(AppRef, String), u64> = BTreeMap::new();
    for (step, day) in days_of(cx, record, &[&PASSES[..], &LATER].concat()).await? {
        hits::each(cx.app, record, step, &day, |stored| {
            if filter.takes(&day.app, &stored) {
                let hit = &stored.hit;
                survey.last = survey.last.max(hit.at);
                *copies
                    .entry((day.app.clone(), hit.blob.clone()))
                    .or_default() += 1;
            }
            Ok::<(), StageError>(())
        })
        .await?;
    }
    survey.copies = copies
        .into_iter()
        .map(|((app, blob), records)| LogCopies { app, blob, records })
        .collect();
    Ok(survey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Subject;
    use crate::domain::hit::{Hit, Reason};
    use crate::domain::plan::{Counts, SCHEMA};
    use crate::domain::{Kind, RequestId};
    use crate::stages::install_id_resolve::decide;
    use crate::stages::install_id_resolve::fold::Findings;
    use crate::stages::install_id_resolve::rows::tests::{install, row};
    use proptest::prelude::*;

    fn plan(app: &AppRef, items: decide::Items) -> Plan {
        Plan {
            schema: SCHEMA,
            request: RequestId::derive("export", "CRM-1042"),
            run: 1,
            kind: Kind::Export,
            created_at: Timestamp::UNIX_EPOCH,
            partial: false,
            counts: Counts::default(),
            large: None,
            installs: items.installs,
            reports: items.reports,
            rows: items.rows,
            test_runs: Vec::new(),
            unattributed: items.unattributed,
            also_seen_here: items.also_seen,
            coverage: BTreeMap::from([(app.to_string(), crate::domain::plan::Coverage::default())]),
        }
    }

    fn hits() -> impl Strategy<Value = Vec<StoredHit>> {
        let reason = prop::sample::select(vec![
            Reason::InstallId,
            Reason::UserId,
            Reason::Email,
            Reason::UserIdToken,
            Reason::Term,
            Reason::Link,
        ]);
        let blob = prop::sample::select(vec![
            "2026/11/20/09/03/logs.v1.data",
            "2026/11/20/09/04/logs.v1.data",
            "2026/11/20/09/04/else",
            "2026/11/20/09/04/errors/1.json",
        ]);
        let at = prop::sample::select(vec![None, Some(10_i64), Some(40 * 86_400)]);
        let one = (
            (any::<bool>(), blob, 0_u64..3, at),
            prop::collection::vec(reason, 1..3),
            prop::collection::vec(0_u128..3, 0..3),
            prop::option::of(0_u128..3),
            prop::option::of(0_u8..4),
            prop::option::of(0_u8..2),
        );
        let one = one.prop_map(
            |((app, blob, record, at), reasons, holds, own, message, user)| StoredHit {
                app,
                hit: Hit {
                    blob: blob.to_owned(),
                    reasons,
                    holds: holds.into_iter().map(install).collect(),
                    install: own.map(install),
                    message_id: message.map(|id| id.to_string()),
                    users: user.map(|user| format!("u-{user}")).into_iter().collect(),
                    at: at.map(|at| Timestamp::from_second(at).expect("in range")),
                    ..row(install(0), record)
                },
            },
        );
        prop::collection::vec(one, 0..30)
    }

    proptest! {
        /// The plan counts rows, the package picks them: of every install the same number.
        #[test]
        fn what_is_picked_is_what_was_planned(hits in hits(), given in any::<bool>(), has_window in any::<bool>()) {
            let app = AppRef::new("contoso", "shop").expect("valid");
            let window = has_window.then(|| Window {
                from: "1970-01-01".parse().expect("a day"),
                to: "1970-01-02".parse().expect("a day"),
            });
            let given: Vec<_> = given.then(|| install(0)).into_iter().collect();
            let mut findings = Findings::new(&given);
            for stored in &hits {
                findings.take(&stored.hit, stored.app, window.as_ref());
            }
            findings.close();
            let subject = Subject { install_ids: given, ..Subject::default() };
            let items = decide::items(&app, &findings, &BTreeMap::new(), &subject, window.as_ref());
            let plan = plan(&app, items);
            let mut planned: BTreeMap<Option<InstallId>, u64> = BTreeMap::new();
            for item in plan.rows.iter().filter(|it| it.action == Action::Act) {
                *planned.entry(item.install_id).or_default() += item.rows;
            }
            let mut filter = RowFilter::new(&plan, &[], window);
            let mut picked: BTreeMap<Option<InstallId>, u64> = BTreeMap::new();
            for stored in hits.iter().filter(|it| filter.takes(&app, it)) {
                *picked.entry(stored.hit.install).or_default() += 1;
            }
            prop_assert_eq!(planned, picked);
        }
    }
}
