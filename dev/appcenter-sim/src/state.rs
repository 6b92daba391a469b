//! The service's memory: the world, and everything that calls have changed since.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::audit::Audit;
use crate::exporter::Configuration;
use crate::options::{Options, Quirks, Retirement, Token};
use crate::world::World;

/// Everything that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    /// The present, set at the start of every call.
    pub(crate) now: Timestamp,
    pub(crate) tokens: Vec<Token>,
    pub(crate) quirks: Quirks,
    pub(crate) retirement: Option<Retirement>,
    pub(crate) is_test_retired: bool,
    pub(crate) rate_limit: Option<(usize, SignedDuration)>,
    pub(crate) recent_calls: HashMap<String, VecDeque<Timestamp>>,
    pub(crate) downloads_url: String,
    pub(crate) audit: Audit,
    pub(crate) deleted: HashSet<usize>,
    pub(crate) blocked: HashMap<(usize, Uuid), Timestamp>,
    pub(crate) blocked_apps: HashMap<usize, Timestamp>,
    pub(crate) group_states: HashMap<usize, GroupState>,
    pub(crate) retention: Vec<u16>,
    pub(crate) archived_test_runs: HashSet<Uuid>,
    pub(crate) subscriptions: HashMap<String, String>,
    /// Connection strings of the accounts that standard exports of an app write to, where each has one of its own.
    pub(crate) standard_accounts: HashMap<usize, String>,
    pub(crate) configurations: Vec<Configuration>,
    /// Crashes (true) and handled errors that an app sent in a minute.
    pub(crate) ingested: HashMap<(usize, i64, bool), usize>,
    pub(crate) n_made: u64,
}

/// What people did to a group.
#[derive(Debug, Clone)]
pub(crate) struct GroupState {
    /// `open`, `closed` or `ignored`.
    pub(crate) state: String,
    pub(crate) annotation: String,
}

impl Default for GroupState {
    fn default() -> Self {
        Self {
            state: "open".to_owned(),
            annotation: String::new(),
        }
    }
}

impl State {
    /// The memory of a service that nobody has called yet.
    pub(crate) fn new(world: World, options: Options, now: Timestamp, downloads_url: &str) -> Self {
        let retention = world.apps.iter().map(|it| it.retention_days).collect();
        Self {
            now,
            tokens: options.tokens,
            quirks: options.quirks,
            retirement: None,
            is_test_retired: false,
            rate_limit: options.rate_limit.map(|(calls, window)| {
                let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
                (calls, window)
            }),
            recent_calls: HashMap::new(),
            downloads_url: downloads_url.to_owned(),
            audit: Audit::default(),
            deleted: HashSet::new(),
            blocked: HashMap::new(),
            blocked_apps: HashMap::new(),
            group_states: HashMap::new(),
            retention,
            archived_test_runs: HashSet::new(),
            subscriptions: HashMap::new(),
            standard_accounts: HashMap::new(),
            configurations: Vec::new(),
            ingested: HashMap::new(),
            n_made: 0,
            world,
        }
    }

    /// A number that was not given before, for IDs made while the simulator runs.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.n_made += 1;
        self.n_made
    }

    /// Whether the service dropped what this install sent at that time.
    pub(crate) fn is_dropped(&self, app: usize, install: Uuid, ingress: Timestamp) -> bool {
        let before = |blocked: Option<&Timestamp>| blocked.is_some_and(|at| *at <= ingress);
        before(self.blocked.get(&(app, install))) || before(self.blocked_apps.get(&app))
    }

    /// Whether the API shows the report: arrived, kept, not deleted, not dropped.
    pub(crate) fn is_visible(&self, report: usize) -> bool {
        !self.deleted.contains(&report) && self.is_indexed(report)
    }

    /// Whether the search index shows the report: as [`State::is_visible`], but deletions take up to 30 days to
    /// reach it.
    pub(crate) fn is_indexed(&self, report: usize) -> bool {
        let it = &self.world.reports[report];
        let group = &self.world.groups[it.group];
        let kept = i64::from(self.retention[group.app]);
        let days = self
            .quirks
            .reach_days
            .map_or(kept, |reach| kept.min(reach.into()));
        let oldest = self.now - SignedDuration::from_hours(24 * days);
        it.ingress <= self.now
            && it.at >= oldest
            && !self.is_dropped(group.app, self.world.installs[it.install].id, it.ingress)
    }

    /// The visible reports of a group, newest first.
    pub(crate) fn reports_of(&self, group: usize) -> impl Iterator<Item = usize> {
        self.world.groups[group]
            .reports
            .iter()
            .copied()
            .filter(|it| self.is_visible(*it))
    }

    /// Reports that a group's counter has: deletions do not lower it.
    pub(crate) fn counted(&self, group: usize) -> impl Iterator<Item = usize> {
        self.world.groups[group]
            .reports
            .iter()
            .copied()
            .filter(|it| self.is_indexed(*it))
    }

    /// The group's message: that of its first report, whoever sent it, even after that report was deleted.
    pub(crate) fn group_message(&self, group: usize) -> &str {
        let it = &self.world.groups[group];
        it.reports
            .last()
            .and_then(|first| self.world.reports[*first].message.as_deref())
            .unwrap_or(&it.message)
    }

    /// A report's own message.
    pub(crate) fn report_message(&self, report: usize) -> &str {
        let it = &self.world.reports[report];
        it.message
            .as_deref()
            .unwrap_or(&self.world.groups[it.group].message)
    }
}
