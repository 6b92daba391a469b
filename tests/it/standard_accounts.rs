//! Standard exports: App Center makes a storage account for each, and the product finds and searches it.

use std::io::Read as _;
use std::time::Duration;

use appcenter_dsr::domain::plan::Plan;
use appcenter_dsr::stages::{self, Context};
use appcenter_sim::{Options, World};
use serde_json::Value;

use crate::kill_at::KillAt;
use crate::pump::{Disturb, Pump};

const SHARED: &str = include_str!("../scenarios/shared.toml");
const SUBSCRIPTION: &str = "00000000-0000-4000-8000-000000000001";

/// A service whose two apps get an account each for their standard exports, and nothing in the account that is set.
struct Standard {
    pump: Pump,
    accounts: Vec<azurite::Account>,
}

async fn start() -> anyhow::Result<Standard> {
    let pump = Pump::start_with(World::parse(SHARED)?, Options::default()).await?;
    let archive = pump.account.connection_string();
    pump.sim.subscription(SUBSCRIPTION, &archive);
    // Of one emulator: their names differ, as those of all accounts in Azure do.
    let mut accounts = Vec::new();
    for app in ["shop", "desk"] {
        let account = pump.azurite.account();
        pump.sim.standard_account(app, &account.connection_string());
        accounts.push(account);
    }
    let mut standard = Standard { pump, accounts };
    standard.pump.set("EXPORT_TYPE", "standard");
    standard.pump.set("EXPORT_SUBSCRIPTION_ID", SUBSCRIPTION);
    // What the archive tells is the point; the API would find the same reports.
    standard.pump.set("APPCENTER_PATH", "blob");
    Ok(standard)
}

impl Standard {
    /// The setting that names these of the accounts.
    fn name_accounts(&mut self, of: &[usize]) {
        let texts = of.iter().map(|n| self.accounts[*n].connection_string());
        let texts = texts.collect::<Vec<_>>().join(", ");
        self.pump.set("ARCHIVE_ACCOUNTS", &texts);
    }

    /// The first account does not let us in any more.
    fn lose_key(&mut self) {
        let lost = self.accounts[0].connection_string();
        let key = lost.split(';').find(|part| part.starts_with("AccountKey="));
        let wrong = lost.replace(key.unwrap_or_default(), "AccountKey=AAAA");
        self.pump.set("ARCHIVE_ACCOUNTS", &wrong);
    }
}

/// An erasure and an export of both apps, from two accounts of App Center's making: exact, and the package holds what lies
/// there.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_app_center_made_are_searched() -> anyhow::Result<()> {
    let mut standard = start().await?;
    standard.name_accounts(&[0, 1]);
    let pump = &standard.pump;
    let (request, released) = pump.asked("both");
    let disturb = Disturb::nothing();
    let ran = pump.run_ticking(&request.document, &released, &disturb);
    let record = Box::pin(ran).await?;
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    anyhow::ensure!(differences.is_empty(), "{differences:#?}\n{record:#?}");
    let planned = pump.plan(&record.id).await?;
    let differences = stack::audit::plan_differences(&planned, &request.expected);
    anyhow::ensure!(differences.is_empty(), "{differences:#?}\n{planned:#}");
    let plan: Plan = serde_json::from_value(planned)?;
    for account in &standard.accounts {
        let prefix = format!("@{}/", account.name());
        let mut blobs = plan.reports.iter().flat_map(|it| &it.blobs);
        assert!(blobs.any(|it| it.starts_with(&prefix)), "{prefix}");
    }
    let report = pump.report(&record).await?.to_string();
    assert!(report.contains("which is searched as well"), "{report}");

    // The same person's data, in a package: rows that are read anew, and blobs that are copied.
    let mut document = request.document.clone();
    document["reference"] = "EXPORT-1".into();
    document["kind"] = "export".into();
    let ran = pump.run_ticking(&document, &released, &disturb);
    let record = Box::pin(ran).await?;
    let bytes = pump.package(&record).await?.expect("a package");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let (mut rows, mut copied) = (0, 0);
    for index in 0..zip.len() {
        let mut file = zip.by_index(index)?;
        let name = file.name()?.into_owned();
        let mut text = String::new();
        if name.ends_with("log-rows.jsonl") {
            file.read_to_string(&mut text)?;
            rows += text.lines().count();
        }
        copied += usize::from(name.contains("/archive/"));
    }
    assert!(rows > 0 && copied > 0, "{rows} rows, {copied} blobs");
    Ok(())
}

/// An account that no setting names is said; once the service is gone, what it named before is searched all the same.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_remembered_and_missing_ones_said() -> anyhow::Result<()> {
    let mut standard = start().await?;
    // Of an account that is set in Azure it can be told that another one is not it.
    standard.name_accounts(&[0]);
    let (request, released) = standard.pump.asked("shop-only");
    let disturb = Disturb::nothing();
    let mut document = request.document.clone();
    document["kind"] = "export".into();
    let ran = standard.pump.run_ticking(&document, &released, &disturb);
    let found = |plan: &Value| plan["reports"].as_array().map_or(0, Vec::len);
    let record = Box::pin(ran).await?;
    let before = found(&standard.pump.plan(&record.id).await?);
    assert!(before > 0);
    standard.pump.sim.set_retired(true);
    standard.pump.set("APPCENTER_RETIRED", "true");
    document["reference"] = "EXPORT-2".into();
    let ran = standard.pump.run_ticking(&document, &released, &disturb);
    let record = Box::pin(ran).await?;
    assert_eq!(found(&standard.pump.plan(&record.id).await?), before);
    standard.lose_key();
    standard.pump.set("RETRY_HOURS", "1");
    standard.pump.set("RETRY_LONGEST_SECONDS", "3600");
    document["reference"] = "EXPORT-3".into();
    let ran = standard.pump.run_ticking(&document, &released, &disturb);
    let record = Box::pin(ran).await?;
    let plan = standard.pump.plan(&record.id).await?.to_string();
    assert!(
        !plan.contains(&format!("@{}/", standard.accounts[0].name())),
        "{plan}"
    );
    let report = standard.pump.report(&record).await?.to_string();
    let account = standard.accounts[0].name();
    let says =
        format!("the export wrote to the storage account `{account}`, which may not be read");
    assert!(report.contains(&says), "{report}");
    Ok(())
}

/// A role that arrives late costs nothing but time: a person is waited for, and nothing of the refusal stays.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_lets_us_in_late_is_searched_all_the_same() -> anyhow::Result<()> {
    let mut standard = start().await?;
    standard.lose_key();
    let pump = &mut standard.pump;
    pump.set("APPCENTER_PATH", "auto");
    let (request, _released) = pump.asked("shop-only");
    let mut document = request.document.clone();
    document["kind"] = "export".into();
    let disturb = Disturb::nothing();
    let id = pump.submit(&document, &disturb).await?;
    let observer = pump.app(KillAt::never())?;
    let waits = async {
        loop {
            pump.sim.tick().await;
            let status = stages::requests::status(Context::new(&observer), &id).await?;
            if status.next_action.contains("Storage Blob Data Reader") {
                return anyhow::Ok(status.next_action);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let said = tokio::select! {
        said = waits => said?,
        ended = pump.drive(&id, &disturb) => anyhow::bail!("it went on without: {:#}", pump.report(&ended?).await?),
    };
    assert!(
        said.contains("which may not be read: a person must"),
        "{said}"
    );
    standard.name_accounts(&[0]);
    let pump = &standard.pump;
    let record = pump.drive(&id, &disturb).await?;
    let prefix = format!("@{}/", standard.accounts[0].name());
    let plan = pump.plan(&id).await?;
    assert!(plan["reports"].to_string().contains(&prefix), "{plan}");
    let report = pump.report(&record).await?.to_string();
    assert!(report.contains("which is searched as well"), "{report}");
    for gone in ["may not be read", "was not searched", "are got by API"] {
        assert!(!report.contains(gone), "{gone}: {report}");
    }
    Ok(())
}
