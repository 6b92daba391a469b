//! Which days of each app have data, and where it lies.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::folders;
use crate::domain::AppRef;
use crate::stages::setup::AppSetup;
use crate::stages::{Context, StageError};
use crate::storage::{self, Container};
use crate::work::{Error, names};

/// The days of one app, as spans of consecutive days.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AppDays {
    /// The app.
    pub app: Option<AppRef>,
    /// Its ID.
    pub app_id: Option<String>,
    /// Accounts that its exports write to, beside the one that is set.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accounts: BTreeSet<String>,
    /// First and last day of each span, in order.
    pub spans: Vec<(Date, Date)>,
}

/// What a search step remembers: the numbering of its slices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memo {
    /// The days, app by app; slices are numbered through them in order.
    pub apps: Vec<AppDays>,
    /// Only blobs written after this are searched.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl AppDays {
    fn len(&self) -> u32 {
        let days = |(first, last): &(Date, Date)| (*last - *first).get_days() + 1;
        u32::try_from(self.spans.iter().map(days).sum::<i32>()).unwrap_or(0)
    }

    /// Every day, in order.
    pub fn days(&self) -> impl Iterator<Item = Date> + '_ {
        self.spans
            .iter()
            .flat_map(|(first, last)| first.series(1.day()).take_while(move |day| *day <= *last))
    }

    fn position(&self, day: Date) -> Option<u32> {
        let mut before = 0;
        for (first, last) in &self.spans {
            if (*first..=*last).contains(&day) {
                return u32::try_from(before + (day - *first).get_days()).ok();
            }
            before += (*last - *first).get_days() + 1;
        }
        None
    }
}

impl Memo {
    /// How many slices there are.
    #[must_use]
    pub fn slices(&self) -> u32 {
        self.apps.iter().map(AppDays::len).sum()
    }

    /// The number of the slice of an app and day.
    #[must_use]
    pub fn slice(&self, app: &AppRef, day: Date) -> Option<u32> {
        let mut before = 0;
        for days in &self.apps {
            if days.app.as_ref() == Some(app) {
                return days.position(day).map(|position| before + position);
            }
            before += days.len();
        }
        None
    }

    /// The app and day of each slice, in order.
    pub fn keys(&self) -> impl Iterator<Item = (AppRef, Date)> + '_ {
        self.apps.iter().flat_map(|days| {
            days.days()
                .filter_map(|day| days.app.clone().map(|app| (app, day)))
        })
    }
}

/// A place where an app's data of one day may lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Its place in the order in which they are searched.
    pub(super) order: Order,
    /// What its blobs' names begin with.
    pub(super) prefix: String,
    /// The account, unless it is the one that is set (or, for what was collected, the work storage).
    pub(super) account: Option<String>,
}

/// Kinds of places, in the order in which they are searched; stored by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// In the archive with the app's ID.
    Own = 0,
    /// In the archive without: apps may share it.
    Shared = 1,
    /// Fetched by API, in the work storage.
    Collected = 2,
    /// In another account, with the app's ID.
    OwnElsewhere = 3,
    /// In another account, without.
    SharedElsewhere = 4,
}

impl Order {
    /// Whether other apps' data may lie there, too.
    pub(super) fn is_shared(self) -> bool {
        matches!(self, Self::Shared | Self::SharedElsewhere)
    }
}

/// Where an app's data of one day may lie, in the order in which it is searched.
pub(super) fn sources(
    app: &AppRef,
    app_id: &str,
    accounts: &BTreeSet<String>,
    day: Date,
) -> Vec<Source> {
    let folder = format!("{:04}/{:02}/{:02}/", day.year(), day.month(), day.day());
    let own = format!("{app_id}/{folder}");
    let source = |order, prefix: &str, account: Option<&String>| Source {
        order,
        prefix: prefix.to_owned(),
        account: account.cloned(),
    };
    let elsewhere = |order, prefix| {
        accounts
            .iter()
            .map(move |it| source(order, prefix, Some(it)))
    };
    let mut sources = vec![
        source(Order::Own, &own, None),
        source(Order::Shared, &folder, None),
        source(Order::Collected, &names::collected_day(app, day), None),
    ];
    sources.extend(elsewhere(Order::OwnElsewhere, own.as_str()));
    sources.extend(elsewhere(Order::SharedElsewhere, folder.as_str()));
    sources
}

/// Finds the days with data of every app whose ID is known.
pub(super) async fn discover(cx: Context<'_>, setups: &[AppSetup]) -> Result<Memo, StageError> {
    let archive = cx.app.archives.own();
    let of_archive = |error| StageError::archive(&error);
    let without_id = days_under(cx, archive, "").await.map_err(of_archive)?;
    let mut apps = Vec::with_capacity(setups.len());
    for setup in setups {
        let mut days = AppDays {
            app: setup.app.clone(),
            app_id: setup.app_id.clone(),
            accounts: setup.accounts.clone(),
            spans: Vec::new(),
        };
        if let (Some(app), Some(app_id)) = (&setup.app, &setup.app_id) {
            let found = days_under(cx, archive, &format!("{app_id}/")).await;
            let mut found = found.map_err(of_archive)?;
            found.extend(&without_id);
            for account in &setup.accounts {
                let account = cx.app.archives.of_account(account).map_err(of_archive)?;
                for under in [format!("{app_id}/"), String::new()] {
                    let days = days_under(cx, &account, &under).await;
                    found.extend(days.map_err(of_archive)?);
                }
            }
            let (ours, collected) = (cx.app.store.container(), names::collected_prefix(app));
            let collected = days_under(cx, ours, &collected).await;
            found.extend(collected.map_err(Error::from)?);
            found.sort_unstable();
            found.dedup();
            days.spans = spans(&found);
        }
        apps.push(days);
    }
    Ok(Memo { apps, since: None })
}

fn spans(days: &[Date]) -> Vec<(Date, Date)> {
    let mut spans: Vec<(Date, Date)> = Vec::new();
    for day in days {
        match spans.last_mut() {
            Some((_, last)) if last.tomorrow().ok() == Some(*day) => *last = *day,
            _ => spans.push((*day, *day)),
        }
    }
    spans
}

/// The days that have a folder with data under a prefix of a container.
async fn days_under(
    cx: Context<'_>,
    container: &Container,
    under: &str,
) -> Result<Vec<Date>, storage::Error> {
    let this_year = cx.now().to_zoned(jiff::tz::TimeZone::UTC).year();
    let first_under = |prefix: String| async move { container.first_under(&prefix).await };
    folders::folders(first_under, under, this_year + 1).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    #[test]
    fn slices_are_numbered_through_apps_and_days() {
        let app = |name: &str| AppRef::new("contoso", name).expect("valid");
        let days = |name: &str, spans: &[(&str, &str)]| AppDays {
            app: Some(app(name)),
            app_id: None,
            accounts: BTreeSet::new(),
            spans: spans.iter().map(|(a, b)| (day(a), day(b))).collect(),
        };
        let memo = Memo {
            apps: vec![
                days(
                    "one",
                    &[("2024-02-28", "2024-03-01"), ("2026-01-01", "2026-01-01")],
                ),
                days("two", &[]),
                days("three", &[("2024-02-29", "2024-02-29")]),
            ],
            since: None,
        };
        let keys: Vec<(AppRef, Date)> = memo.keys().collect();
        assert_eq!(memo.slices(), 5);
        assert_eq!(keys.len(), 5);
        for ((app, day), number) in keys.iter().zip(0..) {
            assert_eq!(memo.slice(app, *day), Some(number));
        }
        assert_eq!(memo.slice(&app("one"), day("2024-03-02")), None);
        assert_eq!(memo.slice(&app("two"), day("2024-02-29")), None);
    }

    #[test]
    fn consecutive_days_are_one_span() {
        let days = ["2025-12-30", "2025-12-31", "2026-01-01", "2026-01-03"].map(day);
        assert_eq!(
            spans(&days),
            [
                (day("2025-12-30"), day("2026-01-01")),
                (day("2026-01-03"), day("2026-01-03"))
            ]
        );
    }
}
