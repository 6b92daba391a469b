//! Timer triggers.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{App, until};

fn timer(schedule: &str, on_startup: bool) -> Value {
    json!([{"name": "timer", "type": "timerTrigger", "direction": "in", "schedule": schedule, "runOnStartup": on_startup}])
}

async fn status(app: &App) -> Option<Value> {
    let container = app
        .account
        .container("azure-webjobs-hosts")
        .expect("a client");
    let blob = container.blob_client("timers/local/Host.Functions.sweep/status");
    let downloaded = blob.download(None).await.ok()?;
    let bytes = downloaded.body.collect().await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

async fn write_status(app: &App, last_updated: Timestamp, next: Timestamp) {
    let container = app
        .account
        .container("azure-webjobs-hosts")
        .expect("a client");
    container.create(None).await.expect("made");
    let status = json!({"Last": last_updated.to_string(), "Next": next.to_string(), "LastUpdated": last_updated.to_string()});
    let body = bytes::Bytes::from(status.to_string());
    let blob = container.blob_client("timers/local/Host.Functions.sweep/status");
    blob.upload(body.into(), None).await.expect("written");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the host under test runs by the machine's clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

#[tokio::test]
async fn frequent_timers_run_without_a_status() {
    let app = App::new(&json!({})).function("sweep", &timer("* * * * * *", false));
    let host = app.start().await;
    until("it ran twice", async || host.succeeded() >= 2).await;
    let body = &app.bodies("sweep")[0];
    let expected =
        json!({"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": false});
    assert_eq!(body["Data"]["timer"], expected);
    let names: Vec<&String> = body["Metadata"]
        .as_object()
        .expect("an object")
        .keys()
        .collect();
    assert_eq!(names, ["sys"]);
    assert_eq!(status(&app).await, None);
    assert!(
        host.log()
            .count("Executing 'Functions.sweep' (Reason='Timer fired at 20")
            >= 2
    );
}

#[tokio::test]
async fn time_spans_and_settings_are_schedules() {
    let app = App::new(&json!({}))
        .function("sweep", &timer("%EVERY%", false))
        .setting("EVERY", "00:00:01");
    let host = app.start().await;
    until("it ran", async || host.succeeded() >= 1).await;
}

#[tokio::test]
async fn a_run_on_startup_is_recorded() {
    let app = App::new(&json!({})).function("sweep", &timer("0 0 * * * *", true));
    let host = app.start().await;
    until("it ran", async || host.succeeded() == 1).await;
    let body = &app.bodies("sweep")[0];
    let info = &body["Data"]["timer"];
    assert_eq!(info["IsPastDue"], false);
    assert_eq!(info["ScheduleStatus"]["Last"], "0001-01-01T00:00:00");
    until("it is recorded", async || {
        status(&app)
            .await
            .is_some_and(|status| status["Last"] != "0001-01-01T00:00:00")
    })
    .await;
    assert_eq!(host.stop().await, functions_host::Ended::Stopped);
}

#[tokio::test]
async fn a_missed_run_is_past_due() {
    let app = App::new(&json!({})).function("sweep", &timer("0 0 * * * *", false));
    let long_ago = now() - SignedDuration::from_hours(3);
    let hour = |time: Timestamp| {
        let seconds = time.as_second() / 3600 * 3600 + 3600;
        Timestamp::from_second(seconds).expect("a time")
    };
    write_status(&app, long_ago, hour(long_ago)).await;
    let host = app.start().await;
    until("it ran", async || host.succeeded() == 1).await;
    let info = &app.bodies("sweep")[0]["Data"]["timer"];
    assert_eq!(info["IsPastDue"], true);
    until("the next run is ahead", async || {
        let next = status(&app)
            .await
            .and_then(|status| status["Next"].as_str()?.parse::<Timestamp>().ok());
        next.is_some_and(|next| next > now())
    })
    .await;
}

#[tokio::test]
async fn a_changed_schedule_is_not_past_due() {
    let app = App::new(&json!({})).function("sweep", &timer("0 0 * * * *", false));
    let long_ago = now() - SignedDuration::from_hours(3);
    write_status(&app, long_ago, long_ago + SignedDuration::from_secs(17)).await;
    let host = app.start().await;
    until("the next run is ahead", async || {
        let next = status(&app)
            .await
            .and_then(|status| status["Next"].as_str()?.parse::<Timestamp>().ok());
        next.is_some_and(|next| next > now())
    })
    .await;
    host.wait_ready().await.expect("it comes up");
    assert_eq!(host.log().count("Executing 'Functions.sweep'"), 0);
}

#[tokio::test]
async fn runs_of_one_timer_do_not_overlap_and_failures_do_not_stop_it() {
    let app = App::new(&json!({}))
        .function("sweep", &timer("00:00:01", true))
        .setting("START", "slow:1500");
    let host = app.start().await;
    until("it ran twice", async || host.succeeded() >= 2).await;
    let (mut running, mut most) = (0_i32, 0);
    for line in host.log().lines() {
        running += i32::from(line.contains("Executing 'Functions.sweep'"));
        running -= i32::from(line.contains("Executed 'Functions.sweep'"));
        most = most.max(running);
    }
    assert_eq!(most, 1);
}
