//! Two apps that share an archive whose paths and reports name no app: each keeps what is its own.

use appcenter_sim::{BlobNames, World};
use serde_json::Value;

use crate::pump::{Disturb, Pump};

const SHARED: &str = include_str!("../scenarios/shared.toml");

/// Runs an erasure up to its plan.
async fn planned(world: World, name: &str) -> anyhow::Result<(Pump, Value)> {
    let pump = Pump::start(world).await?;
    let request = pump.sim.world(|world| world.request(name).cloned());
    let document = request.expect("the world has it").document;
    let disturb = Disturb::nothing();
    let id = pump.submit(&document, &disturb).await?;
    pump.drive(&id, &disturb).await?;
    let plan = pump.plan(&id).await?;
    Ok((pump, plan))
}

fn reports_of<'a>(plan: &'a Value, app: &'a str) -> impl Iterator<Item = &'a Value> {
    let reports = plan["reports"].as_array().into_iter().flatten();
    reports.filter(move |it| it["app"]["name"] == app)
}

/// Runs an erasure and holds its plan and what it did against what the world expects.
async fn check(world: World, name: &str) -> anyhow::Result<()> {
    let pump = Pump::start(world).await?;
    let request = pump.sim.world(|world| world.request(name).cloned());
    let request = request.expect("the world has it");
    let disturb = Disturb::nothing();
    let id = pump.submit(&request.document, &disturb).await?;
    pump.drive(&id, &disturb).await?;
    let plan = pump.plan(&id).await?;
    let differences = stack::audit::plan_differences(&plan, &request.expected);
    anyhow::ensure!(differences.is_empty(), "{differences:#?}\n{plan:#}");
    pump.approve(&id, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    anyhow::ensure!(differences.is_empty(), "{differences:#?}\n{record:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_other_app_is_touched() -> anyhow::Result<()> {
    for name in ["both", "shop-only", "desk-only"] {
        let ended = check(World::parse(SHARED)?, name).await;
        ended.map_err(|error| error.context(name))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_alone_tell_the_app_of_a_nameless_blob() -> anyhow::Result<()> {
    // Names that say nothing, contents that hold no ID but the report's own: the link of a row is all there is.
    let style = appcenter_sim::ExportStyle {
        layout: appcenter_sim::Layout::WithoutAppId,
        blob_ids: appcenter_sim::BlobIds::NoApp,
        blob_names: BlobNames::Opaque,
        ..appcenter_sim::ExportStyle::default()
    };
    for name in ["both", "shop-only", "desk-only"] {
        let world = World::parse(SHARED)?.with_export(&style);
        let ended = check(world, name).await;
        ended.map_err(|error| error.context(name))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_of_the_apps_own_reports() -> anyhow::Result<()> {
    let (_pump, plan) = planned(World::parse(SHARED)?, "both").await?;
    for (app, all) in [("shop", 10), ("desk", 30)] {
        assert_eq!(reports_of(&plan, app).count(), 1, "{plan:#}");
        let coverage = &plan["coverage"][format!("contoso/{app}")];
        assert_eq!(coverage["reports"], all, "{app}: {coverage:#}");
    }
    // One of 40 would be less than 5 %, one of 10 is not.
    let reasons = plan["large"]["reasons"].to_string();
    assert!(
        reasons.contains("1 of the 10 reports of contoso/shop"),
        "{reasons}"
    );
    assert!(!reasons.contains("desk"), "{reasons}");
    Ok(())
}
