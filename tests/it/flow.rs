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

macro_rules! requests {
    ($($test:ident = $name:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() -> anyhow::Result<()> {
            check($name).await
        })*

        #[test]
        fn every_request_of_the_demo_world_is_run() -> anyhow::Result<()> {
            let world = World::demo()?;
            let named: Vec<&str> = world.requests().iter().map(|it| it.name.as_str()).collect();
            assert_eq!(named, [$($name),*]);
            Ok(())
        }
    };
}

requests! {
    ana_delete = "ana-delete";
    ana_export = "ana-export";
    ana_known_delete = "ana-known-delete";
    ana_ios_delete = "ana-ios-delete";
    jo_delete = "jo-delete";
    kim_delete = "kim-delete";
    kim_export = "kim-export";
    lee_delete = "lee-delete";
    lab_delete = "lab-delete";
    jose_delete = "jose-delete";
    jose_export = "jose-export";
    ann_delete = "ann-delete";
    bo_delete = "bo-delete";
    bo_export = "bo-export";
    dee_delete = "dee-delete";
    pia_delete = "pia-delete";
    pia_export = "pia-export";
    absent_delete = "absent-delete";
    absent_export = "absent-export";
}
