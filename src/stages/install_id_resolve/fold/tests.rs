use super::super::rows::tests::{install, row};
use super::*;
use crate::domain::hit::Reason;

#[test]
fn a_row_without_a_link_names_its_report_by_its_own_id() {
    let guid = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";
    let mut findings = Findings::new(&[install(1)]);
    let mut of_report = row(install(1), 0);
    of_report.message_type = Some("ErrorLog".to_owned());
    of_report.message_id = Some(guid.to_owned());
    findings.take(&of_report, true, None);
    // The blob tells the whole ID and no install.
    let mut blob = row(install(1), 0);
    blob.blob = "2026/11/20/09/03/crashes/x.json".to_owned();
    blob.reasons = vec![Reason::Link];
    (blob.install, blob.holds) = (None, Vec::new());
    blob.error_id = format!("2518291138564839999-{guid}").parse().ok();
    blob.group_id = "4107427461u".parse().ok();
    findings.take(&blob, true, None);
    // An event's own ID is nobody's report.
    let mut event = row(install(1), 1);
    event.message_type = Some("EventLog".to_owned());
    event.message_id = Some("0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f1".to_owned());
    findings.take(&event, true, None);
    findings.close();
    assert_eq!(findings.reports.len(), 1);
    let report = findings.reports.values().next().expect("one report");
    assert_eq!(report.install, Some(install(1)));
    assert!(report.group_id.is_some() && report.blobs.len() == 1);
    assert_eq!(report.error_id, blob.error_id, "the whole ID");
}

#[test]
fn a_row_that_names_a_report_is_told_as_such() {
    let told = |by_itself: bool| {
        let mut findings = Findings::new(&[]);
        let name = "2026/11/20/09/03/crashes/x.json";
        let mut blob = row(install(1), 0);
        blob.blob = name.to_owned();
        blob.holds = Vec::new();
        blob.reasons = vec![Reason::UserId];
        blob.install = by_itself.then(|| install(1));
        findings.take(&blob, true, None);
        let mut link = row(install(1), 0);
        link.payload = Some(name.to_owned());
        link.reasons = vec![Reason::Link];
        findings.take(&link, true, None);
        // The report names the person; nothing else of its install does.
        findings.installs.clear();
        findings.close();
        findings.installs[&install(1)].provenance.clone()
    };
    assert!(told(false).contains("a log row that names a report of it"));
    assert!(told(true).contains("a report of it"));
}

#[test]
fn a_bridge_is_of_the_report_that_it_names() {
    let guid = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";
    let mut findings = Findings::new(&[install(1)]);
    let mut blob = row(install(1), 0);
    blob.blob = "2026/11/20/09/03/crashes/x.json".to_owned();
    blob.error_id = guid.parse().ok();
    findings.take(&blob, false, None);
    let bridge = |guid: &str| Bridge {
        error: format!("2518291138564839999-{guid}")
            .parse()
            .expect("an ID"),
        group: "4107427461u".parse().expect("an ID"),
        legacy: LegacyIds {
            group: "7e9f64b97e9f64b97e9f64b97e9f64b97e9f64b9"
                .parse()
                .expect("an ID"),
            crash: "a-crash".parse().expect("an ID"),
        },
        at: None,
    };
    findings.bridge(bridge("0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f1"));
    let report = &findings.reports[guid];
    assert!(report.legacy.is_none() && !report.is_of_app, "another's");
    findings.bridge(bridge(guid));
    assert_eq!(findings.reports.len(), 1, "only what was found");
    let report = &findings.reports[guid];
    let Bridge {
        error,
        group,
        legacy,
        at: _,
    } = bridge(guid);
    assert_eq!(report.legacy, Some(legacy));
    assert_eq!(report.group_id, Some(group));
    assert_eq!(report.error_id, Some(error), "the whole ID");
    assert!(report.is_of_app);
}
