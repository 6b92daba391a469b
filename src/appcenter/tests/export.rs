//! Export configurations.

use serde_json::Value;

use super::{Answer, Exchange, app, json, status};
use crate::appcenter::{
    Error, ExportState, ExportStorage, ExportTarget, ExportType, PathId, Reason,
};

/// As a support engineer recorded it.
const REAL: &str = r#"{"id":"11c1a6f1","export_type":"BlobStorage","creation_time":"2022-09-23T16:41:00Z","state":"Enabled","last_run_time":"2022-09-23T17:06:14.5901576Z","export_entities":[],"resource_group":"appcenter-export-Shop","resource_name":"ex005f0a5ce8e08f7fb33898","export_configuration":{"type":"blob_storage_linked_subscription","subscription_id":"2a3b","blob_path_format_kind":"WithoutAppId","export_entities":["attachments","crashes"]}}"#;

fn id() -> PathId {
    "11c1a6f1".parse().expect("an ID")
}

fn own_account() -> ExportTarget {
    ExportTarget {
        storage: ExportStorage::ConnectionString("canary-key".into()),
        with_app_id: Some(true),
        backfill: Some(true),
    }
}

#[tokio::test]
async fn configurations_as_they_were_seen() {
    let list = format!(
        r#"{{"values":[{REAL}],"total":2,"nextLink":"/api/v0.1/apps//export_configurations?$token=2"}}"#
    );
    let odd = r#"{"values":[{"id":"2","export_type":"New","state":"pending","export_entities":["crashes","errors","attachments","no_logs"]},{"id":"3","state":"Paused","export_entities":["Crashes","errors","attachments"]}]}"#;
    let exchange = Exchange::start([json(200, &list), json(200, odd), json(200, REAL)]).await;
    let client = exchange.client();
    let all = client.export_configurations(&app()).await.expect("a list");
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].state, Some(ExportState::Enabled));
    assert_eq!(all[0].export_type, Some(ExportType::BlobStorage));
    assert_eq!(all[0].missing_entities(), ["errors"]);
    assert_eq!(all[0].is_with_app_id(), Some(false));
    assert_eq!(all[0].kind(), Some("blob_storage_linked_subscription"));
    assert_eq!(all[0].subscription_id(), Some("2a3b"));
    assert_eq!(
        all[0].resource_name.as_deref(),
        Some("ex005f0a5ce8e08f7fb33898")
    );
    assert_eq!(all[1].state, Some(ExportState::Pending));
    assert_eq!(all[1].missing_entities(), ["logs"]);
    assert_eq!(all[2].state, Some(ExportState::Other("Paused".to_owned())));
    assert!(all[2].missing_entities().is_empty());
    let one = client
        .export_configuration(&app(), &id())
        .await
        .expect("one");
    assert_eq!(one.id, id());
}

#[tokio::test]
async fn bodies_say_type_entities_and_format() {
    let exchange = Exchange::start([json(202, REAL), json(200, REAL), status(200)]).await;
    let client = exchange.client();
    let created = client
        .create_export_configuration(&app(), &own_account())
        .await;
    assert_eq!(created.expect("created").id, id());
    let linked = ExportTarget {
        storage: ExportStorage::LinkedSubscription {
            subscription_id: uuid::Uuid::from_u128(7),
        },
        with_app_id: None,
        backfill: None,
    };
    let updated = client
        .update_export_configuration(&app(), &id(), &linked)
        .await;
    updated.expect("updated");
    let enabled = client.enable_export_configuration(&app(), &id()).await;
    enabled.expect("enabled");
    let asked = exchange.asked();
    let body = |index: usize| serde_json::from_str::<Value>(&asked[index].body).expect("JSON");
    assert_eq!(
        body(0),
        serde_json::json!({
            "type": "blob_storage_connection_string",
            "connection_string": "canary-key",
            "export_entities": ["crashes", "errors", "attachments"],
            "blob_path_format_kind": "WithAppId",
            "backfill": true,
        })
    );
    assert_eq!(body(1)["type"], "blob_storage_linked_subscription");
    assert_eq!(
        body(1)["subscription_id"],
        "00000000-0000-0000-0000-000000000007"
    );
    let untold = ["blob_path_format_kind", "backfill"];
    assert!(untold.iter().all(|field| body(1).get(field).is_none()));
    assert_eq!(asked[2].body, "{}");
    let base = "/v0.1/apps/contoso/shop-android/export_configurations";
    assert_eq!(
        exchange.lines(),
        [
            format!("POST {base}"),
            format!("PATCH {base}/11c1a6f1"),
            format!("POST {base}/11c1a6f1/enable"),
        ]
    );
    assert!(!format!("{:?}", own_account()).contains("canary"));
}

#[tokio::test]
async fn a_create_is_never_sent_twice_unless_it_surely_did_nothing() {
    for lost in [
        Answer::Reset,
        Answer::Stall,
        status(500),
        status(503),
        json(202, "{"),
    ] {
        let exchange = Exchange::start([lost.clone(), json(202, REAL)]).await;
        let created = exchange
            .client()
            .create_export_configuration(&app(), &own_account())
            .await;
        assert!(created.is_err(), "{lost:?}");
        assert_eq!(exchange.asked().len(), 1, "{lost:?}");
    }
    let limited = status(429).header("retry-after", "1");
    let exchange = Exchange::start([limited, json(202, REAL)]).await;
    let created = exchange
        .client()
        .create_export_configuration(&app(), &own_account())
        .await;
    assert!(created.is_ok());
}

#[tokio::test]
async fn a_refused_account_says_why_without_its_words() {
    let message = r#"{"error":{"code":"BadRequest","message":"Secret validation failed. Either the format is incorrect or couldn't connect to storage account (hierarchical namespace should be disabled) canary"}}"#;
    let exchange = Exchange::start([json(400, message)]).await;
    let created = exchange
        .client()
        .create_export_configuration(&app(), &own_account())
        .await;
    let error = created.expect_err("refused");
    assert!(error.to_string().contains("hierarchical namespace"));
    assert!(!format!("{error} {error:?}").contains("canary"));
    let Error::Rejected {
        status: 400,
        refusal,
    } = error
    else {
        panic!("rejected");
    };
    assert_eq!(refusal.reason, Some(Reason::HierarchicalNamespace));
}
