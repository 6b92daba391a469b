//! Search over groups and reports: at most 100 hits a page, the last 28 days, deletions late. Of reports only those that
//! are symbolicated.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::errors::item;
use super::groups::group_json;
use super::{Call, Failure, Operation, Reply, operation};
use crate::render::{self, Parts};
use crate::state::State;

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "Errors_ErrorGroupsSearch",
        "GET",
        "/errors/errorGroups/search",
        Nested,
        search_groups
    ),
    operation!(
        "Errors_ErrorSearch",
        "GET",
        "/errors/search",
        Nested,
        search_errors
    ),
];

/// Search reaches this far back whatever the retention setting.
const REACH: SignedDuration = SignedDuration::from_hours(24 * 28);
/// Hits that a search has in all.
const MAX_HITS: usize = 100;

struct Page {
    top: usize,
    skip: usize,
    oldest: Timestamp,
}

fn page(state: &State, call: &Call) -> Result<Page, Failure> {
    if let Some(filter) = call.query("filter") {
        let field = filter.split_whitespace().next().unwrap_or("");
        let known = ["appVersion", "errorType", "timestamp", "appBuild"];
        if !known.contains(&field) {
            return Err(Failure::bad_request(&format!(
                "Cannot filter on the {field} field"
            )));
        }
    }
    let skip = call.query("$skip").unwrap_or("0");
    Ok(Page {
        top: call.top(100, 1, 100)?,
        skip: skip
            .parse()
            .map_err(|_| Failure::bad_request("The $skip is not valid."))?,
        oldest: state.now - REACH,
    })
}

fn search_groups(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let page = page(state, call)?;
    let wanted = call.query("q").unwrap_or("*").to_lowercase();
    let hits: Vec<usize> = (0..state.world.groups.len())
        .filter(|it| {
            let group = &state.world.groups[*it];
            let text = format!(
                "{} {} {} {}",
                group.exception,
                state.group_message(*it),
                group.class,
                group.method
            );
            group.app == call.app
                && !group.is_legacy_only
                && state.counted(*it).next().is_some()
                && (wanted == "*" || text.to_lowercase().contains(&wanted))
        })
        .collect();
    let groups: Vec<Value> = hits
        .iter()
        .skip(page.skip)
        .take(page.top)
        .map(|it| group_json(state, *it))
        .collect();
    Ok(Reply::json(&json!({
        "hasMoreResults": hits.len() > page.skip + groups.len(),
        "errorGroups": groups,
    })))
}

fn search_errors(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let page = page(state, call)?;
    let wanted = call.query("q").unwrap_or("*").to_lowercase();
    // A report's GUID is what most searches look for; the index saves the walk over all reports.
    let by_guid = wanted.parse().ok().map(|guid: uuid::Uuid| {
        let found = state.world.by_guid.get(&guid).copied();
        found.into_iter().collect::<Vec<usize>>()
    });
    let candidates = by_guid.unwrap_or_else(|| (0..state.world.reports.len()).collect());
    let mut hits: Vec<usize> = candidates
        .into_iter()
        .filter(|it| {
            let Parts {
                report,
                group,
                device,
                message,
                ..
            } = render::parts(state, *it);
            if group.app != call.app
                || group.is_legacy_only
                || !group.is_symbolicated
                || report.at < page.oldest
                || !state.is_indexed(*it)
            {
                return false;
            }
            let has = |text: &str| text.to_lowercase().contains(&wanted);
            wanted == "*"
                || report.error_id.ends_with(&wanted)
                || report.error_id == wanted
                || report.user.as_deref().is_some_and(has)
                || has(message)
                || has(&device.model)
                || has(&group.exception)
        })
        .collect();
    hits.sort_by(|a, b| {
        let reports = &state.world.reports;
        reports[*a].error_id.cmp(&reports[*b].error_id)
    });
    hits.truncate(MAX_HITS);
    let errors: Vec<Value> = hits
        .iter()
        .skip(page.skip)
        .take(page.top)
        .map(|it| {
            // Seen in practice, against the API description: a hit names its group.
            let mut hit = item(state, *it);
            let group = state.world.reports[*it].group;
            hit["errorGroupId"] = json!(state.world.groups[group].id);
            hit
        })
        .collect();
    Ok(Reply::json(&json!({
        "hasMoreResults": hits.len() > page.skip + errors.len(),
        "errors": errors,
    })))
}
