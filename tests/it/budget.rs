//! The API's budget belongs to the token: two processes over one storage never exceed it together.

use std::time::Duration;

use appcenter_dsr::stages::{Context, requests};
use appcenter_dsr::workflow::Status;
use appcenter_sim::World;

use crate::pump::{Disturb, Pump};

const SMALL: &str = include_str!("../scenarios/small.toml");

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_budget() -> anyhow::Result<()> {
    let mut pump = Pump::start(World::parse(SMALL)?).await?;
    // So few calls in so long that a slow machine has to wait for them, too.
    pump.set("APPCENTER_RATE_BUDGET", "20/20s");
    // The clock must not be moved on: the budget's windows are real time here.
    let pump = pump.patient();
    let export = pump.sim.world(|world| world.request("export").cloned());
    let document = export.expect("the world has it").document;
    let disturb = Disturb::nothing();
    let id = pump.submit(&document, &disturb).await?;
    // Two drives work on the same queues, each with an application of its own.
    let throttled = async {
        let app = pump.app(Disturb::nothing().probe)?;
        loop {
            if let Ok(status) = requests::status(Context::new(&app), &id).await {
                let status = serde_json::to_value(status)?;
                let text = status.to_string();
                if text.contains("budget of API calls is used up until") {
                    return anyhow::Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (one, two, seen) = tokio::join!(
        pump.drive(&id, &disturb),
        pump.drive(&id, &disturb),
        tokio::time::timeout(Duration::from_secs(90), throttled),
    );
    assert_eq!(one?.status, Status::Completed);
    assert_eq!(two?.status, Status::Completed);
    assert!(
        matches!(seen, Ok(Ok(()))),
        "the wait was never in the status"
    );
    let audit = pump.sim.audit();
    let most = audit.max_calls_in_window(Duration::from_secs(20));
    assert!(most <= 20, "{most} calls in a window");
    assert!(audit.api_calls().count() > 20, "it had to wait");
    Ok(())
}
