//! Versions, builds and counters.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::groups::{group, is_wanted};
use super::{Call, Failure, Operation, Reply, operation};
use crate::render::{self, Parts};
use crate::state::State;

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "Errors_AvailableVersions",
        "GET",
        "/errors/available_versions",
        Nested,
        versions
    ),
    operation!(
        "Errors_AppBuildsList",
        "GET",
        "/errors/availableAppBuilds",
        Nested,
        builds
    ),
    operation!(
        "Errors_CountsPerDay",
        "GET",
        "/errors/errorCountsPerDay",
        Nested,
        per_day
    ),
    operation!(
        "Errors_ErrorFreeDevicePercentages",
        "GET",
        "/errors/errorfreeDevicePercentages",
        Nested,
        free_devices
    ),
    operation!(
        "Errors_GroupCountsPerDay",
        "GET",
        "/errors/errorGroups/{errorGroupId}/errorCountsPerDay",
        Nested,
        group_per_day
    ),
    operation!(
        "Errors_GroupErrorFreeDevicePercentages",
        "GET",
        "/errors/errorGroups/{errorGroupId}/errorfreeDevicePercentages",
        Nested,
        group_free_devices
    ),
    operation!(
        "Errors_GroupModelCounts",
        "GET",
        "/errors/errorGroups/{errorGroupId}/models",
        Nested,
        models
    ),
    operation!(
        "Errors_GroupOperatingSystemCounts",
        "GET",
        "/errors/errorGroups/{errorGroupId}/operatingSystems",
        Nested,
        systems
    ),
];

/// Days that one reply counts, at most.
const MAX_DAYS: i64 = 90;

/// The counted reports of the path's app that the query wants; of one group when it is given.
fn counted(state: &State, call: &Call, group: Option<usize>) -> Result<Vec<usize>, Failure> {
    let start = call.required_time("start")?;
    let end = call.time("end")?.unwrap_or(state.now);
    let mut found = Vec::new();
    for (index, it) in state.world.groups.iter().enumerate() {
        let is_other = group.is_some_and(|wanted| wanted != index);
        if it.app != call.app || is_other || !is_wanted(call, it.is_crash)? {
            continue;
        }
        if call
            .query("version")
            .is_some_and(|wanted| wanted != it.version)
        {
            continue;
        }
        let in_window = |report: &usize| (start..=end).contains(&state.world.reports[*report].at);
        found.extend(state.counted(index).filter(in_window));
    }
    Ok(found)
}

fn versions(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let top = call.top(30, 0, 2000)?;
    let skip = call.query("$skip").and_then(|it| it.parse().ok());
    let found: BTreeSet<&str> = counted(state, call, None)?
        .into_iter()
        .map(|it| {
            let group = state.world.reports[it].group;
            state.world.groups[group].version.as_str()
        })
        .collect();
    let page: Vec<&&str> = found
        .iter()
        .rev()
        .skip(skip.unwrap_or(0))
        .take(top)
        .collect();
    Ok(Reply::json(
        &json!({ "versions": page, "total_count": found.len() }),
    ))
}

fn builds(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    if call.query("version").is_none() {
        return Err(Failure::bad_request("The version field is required."));
    }
    let builds = if counted(state, call, None)?.is_empty() {
        json!([])
    } else {
        json!(["1"])
    };
    Ok(Reply::json(&json!({ "appBuilds": builds })))
}

fn days(state: &State, call: &Call) -> Result<Vec<i64>, Failure> {
    let start = call.required_time("start")?;
    let end = call.time("end")?.unwrap_or(state.now);
    let day = |at: Timestamp| at.as_second().div_euclid(86_400);
    let last = day(end);
    Ok((day(start).max(last - MAX_DAYS)..=last).collect())
}

fn midnight(day: i64) -> String {
    let at = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_hours(24 * day));
    at.map_or_else(|_| String::new(), crate::ids::iso)
}

fn per_day_of(state: &State, call: &Call, group: Option<usize>) -> Result<Reply, Failure> {
    let mut counts: BTreeMap<i64, usize> = days(state, call)?.iter().map(|it| (*it, 0)).collect();
    let found = counted(state, call, group)?;
    for report in &found {
        let day = state.world.reports[*report]
            .at
            .as_second()
            .div_euclid(86_400);
        *counts.entry(day).or_default() += 1;
    }
    let errors: Vec<Value> = counts
        .iter()
        .map(|(day, count)| json!({ "datetime": midnight(*day), "count": count }))
        .collect();
    Ok(Reply::json(
        &json!({ "count": found.len(), "errors": errors }),
    ))
}

fn per_day(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    per_day_of(state, call, None)
}

fn group_per_day(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let group = group(state, call)?;
    per_day_of(state, call, Some(group))
}

fn free_devices_of(state: &State, call: &Call, group: Option<usize>) -> Result<Reply, Failure> {
    let found = counted(state, call, group)?;
    let n_installs = state
        .world
        .installs
        .iter()
        .filter(|it| it.app == call.app)
        .count();
    let mut daily = Vec::new();
    let mut sum = 0.0;
    for day in days(state, call)? {
        let hit: HashSet<usize> = found
            .iter()
            .map(|it| &state.world.reports[*it])
            .filter(|it| it.at.as_second().div_euclid(86_400) == day)
            .map(|it| it.install)
            .collect();
        // Without any device the service says -1.
        let percentage = if n_installs == 0 {
            -1.0
        } else {
            let share = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
            100.0 - 100.0 * share(hit.len()) / share(n_installs)
        };
        sum += percentage;
        daily.push(json!({ "datetime": midnight(day), "percentage": percentage }));
    }
    let n_days = f64::from(u32::try_from(daily.len().max(1)).unwrap_or(1));
    Ok(Reply::json(
        &json!({ "averagePercentage": sum / n_days, "dailyPercentages": daily }),
    ))
}

fn free_devices(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    free_devices_of(state, call, None)
}

fn group_free_devices(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let group = group(state, call)?;
    free_devices_of(state, call, Some(group))
}

/// The reports of the path's group counted by a key, most first.
fn by_key(
    state: &State,
    call: &Call,
    key: impl Fn(&Parts<'_>) -> String,
) -> Result<(usize, Vec<(String, usize)>), Failure> {
    let top = call.top(30, 0, 2000)?;
    let group = group(state, call)?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for report in state.counted(group) {
        *counts
            .entry(key(&render::parts(state, report)))
            .or_default() += 1;
    }
    let mut list: Vec<(String, usize)> = counts.into_iter().collect();
    list.sort_by_key(|it| std::cmp::Reverse(it.1));
    list.truncate(top);
    Ok((state.counted(group).count(), list))
}

fn models(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let (count, list) = by_key(state, call, |it| it.device.model.clone())?;
    let models: Vec<Value> = list
        .iter()
        .map(|(model, n)| json!({ "modelName": model, "modelCode": model, "errorCount": n }))
        .collect();
    Ok(Reply::json(
        &json!({ "errorCount": count, "models": models }),
    ))
}

fn systems(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let name = |it: &Parts<'_>| format!("{} {}", it.os, it.device.os_version);
    let (count, list) = by_key(state, call, name)?;
    let systems: Vec<Value> = list
        .iter()
        .map(|(name, n)| json!({ "operatingSystemName": name, "errorCount": n }))
        .collect();
    Ok(Reply::json(
        &json!({ "errorCount": count, "operatingSystems": systems }),
    ))
}
