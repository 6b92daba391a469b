//! Whole requests over the demo world.

use appcenter_sim::World;

use crate::harness::{LIMIT, settings, start};

/// Runs one request of the demo world and holds plan and audit against what the world expects.
async fn check(name: &str) -> anyhow::Result<()> {
    let world = World::demo()?;
    let request = world.request(name).expect("the demo world has it").clone();
    let stack = start(world, settings()).await?;
    let id = stack.api.submit(&request.document).await?;
    let planned = stack.api.wait_planned(&id, LIMIT).await?;
    println!("{planned:#}");
    let (plan, _hash) = stack.api.plan(&id).await?;
    let differences = stack::audit::plan_differences(&plan, &request.expected);
    assert!(differences.is_empty(), "{differences:#?}\n{plan:#}");
    if planned["status"] == "awaiting_approval" {
        stack.api.approve(&id, &[]).await?;
    }
    let ended = stack.api.wait_ended(&id, LIMIT).await?;
    println!("{ended:#}");
    let differences = stack::audit::differences(&stack.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn known_installs() -> anyhow::Result<()> {
    check("ana-known-delete").await
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_installs() -> anyhow::Result<()> {
    check("ana-delete").await
}
