//! Export configurations: made, read, changed and enabled.
//!
//! There is no call to delete or disable one. Microsoft's support warns that deleting one of a linked subscription deletes
//! the storage account with the archive in it, and what arrives while one is disabled is never exported.

use std::fmt;

use jiff::Timestamp;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::body::{Expect, decode};
use super::client::Client;
use super::error::Error;
use super::http::Call;
use super::lenient::{self, open_enum};
use super::page::{Keyed, Listing, Next, Pages};
use super::path::{Path, PathId};
use super::retry::Repeat;
use crate::domain::AppRef;

/// An app has a handful of configurations; more is not a list of them.
const MOST: usize = 1_000;

open_enum! {
    /// Where a configuration exports to.
    ExportType {
        /// Azure Blob Storage.
        BlobStorage = "BlobStorage",
        /// Application Insights, which cannot take crashes and errors.
        AppInsights = "AppInsights",
    }
}

open_enum! {
    /// Whether a configuration exports.
    ExportState {
        /// It does.
        Enabled = "Enabled",
        /// It does not: by hand, or because the target could not be reached. Nobody is told.
        Disabled = "Disabled",
        /// It is being set up; seen to stay so for ever.
        Pending = "Pending",
        /// It is gone.
        Deleted = "Deleted",
        /// Its target is wrong.
        Invalid = "Invalid",
    }
}

/// An export configuration, as the service tells it.
#[derive(Clone, Deserialize)]
pub struct ExportConfiguration {
    /// Its ID, for the calls on it.
    pub id: PathId,
    /// Where it exports to.
    #[serde(default, deserialize_with = "lenient::parsed")]
    pub export_type: Option<ExportType>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub creation_time: Option<Timestamp>,
    /// Whether it exports.
    #[serde(default, deserialize_with = "lenient::parsed")]
    pub state: Option<ExportState>,
    /// When it last exported.
    #[serde(default, deserialize_with = "lenient::time")]
    pub last_run_time: Option<Timestamp>,
    /// What it exports besides analytics: `crashes`, `errors`, `attachments`; or `no_logs`.
    #[serde(default, deserialize_with = "lenient::list")]
    pub export_entities: Vec<String>,
    /// The resource group of its storage account.
    #[serde(default, deserialize_with = "lenient::text")]
    pub resource_group: Option<String>,
    /// Its storage account.
    #[serde(default, deserialize_with = "lenient::text")]
    pub resource_name: Option<String>,
    #[serde(default)]
    export_configuration: Option<Nested>,
}

/// The part that repeats what was asked for; entities were seen here and not above.
#[derive(Clone, Deserialize)]
struct Nested {
    #[serde(default, deserialize_with = "lenient::list")]
    export_entities: Vec<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    blob_path_format_kind: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    subscription_id: Option<String>,
}

impl fmt::Debug for ExportConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportConfiguration")
            .field("id", &self.id)
            .field("export_type", &self.export_type)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl ExportConfiguration {
    /// What of crashes, errors, attachments and logs it does not export. Empty when it exports all that is needed.
    #[must_use]
    pub fn missing_entities(&self) -> Vec<&'static str> {
        let is_listed = |entity: &str| {
            self.entities()
                .any(|listed| listed.eq_ignore_ascii_case(entity))
        };
        let mut missing: Vec<_> = ENTITIES
            .into_iter()
            .filter(|entity| !is_listed(entity))
            .collect();
        if is_listed("no_logs") {
            missing.push("logs");
        }
        missing
    }

    fn entities(&self) -> impl Iterator<Item = &str> {
        let nested = self.export_configuration.as_ref();
        self.export_entities
            .iter()
            .chain(
                nested
                    .into_iter()
                    .flat_map(|nested| &nested.export_entities),
            )
            .map(String::as_str)
    }

    /// Whether its blobs lie below the app's ID, where blobs of two apps cannot collide. None when it does not say.
    #[must_use]
    pub fn is_with_app_id(&self) -> Option<bool> {
        let kind = self
            .export_configuration
            .as_ref()?
            .blob_path_format_kind
            .as_ref()?;
        Some(kind.eq_ignore_ascii_case("WithAppId"))
    }

    /// The `type` that it was made with, such as `blob_storage_linked_subscription`.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.export_configuration.as_ref()?.kind.as_deref()
    }

    /// The Azure subscription of a standard export. None when it does not say.
    #[must_use]
    pub fn subscription_id(&self) -> Option<&str> {
        self.export_configuration
            .as_ref()?
            .subscription_id
            .as_deref()
    }
}

impl Keyed for ExportConfiguration {
    fn key(&self) -> Option<&str> {
        Some(self.id.as_str())
    }
}

/// What is always exported; logs come on top unless `no_logs` is said. Without entities only analytics are.
const ENTITIES: [&str; 3] = ["crashes", "errors", "attachments"];

/// Where an app is to be exported to.
#[derive(Debug, Clone)]
pub struct ExportTarget {
    /// The storage.
    pub storage: ExportStorage,
    /// Put blobs below the app's ID: needed when several apps share a storage account. None says nothing of it, so that
    /// a change leaves it as it is.
    pub with_app_id: Option<bool>,
    /// Export what is there already (about 28 days) and not only what arrives. None says nothing of it.
    pub backfill: Option<bool>,
}

/// The storage of an [`ExportTarget`].
#[derive(Debug, Clone)]
pub enum ExportStorage {
    /// An account of our own (`EXPORT_TYPE=custom`).
    ConnectionString(SecretString),
    /// An account that App Center makes in a linked subscription (`EXPORT_TYPE=standard`).
    LinkedSubscription {
        /// The Azure subscription.
        subscription_id: Uuid,
    },
}

impl ExportStorage {
    /// The `type` of a configuration that exports to it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ConnectionString(_) => "blob_storage_connection_string",
            Self::LinkedSubscription { .. } => "blob_storage_linked_subscription",
        }
    }
}

impl ExportTarget {
    /// The body of create and update. `type` is needed even to change something else, and so is its storage.
    fn body(&self) -> Vec<u8> {
        let mut body = json!({ "type": self.storage.kind(), "export_entities": ENTITIES });
        match &self.storage {
            ExportStorage::ConnectionString(secret) => {
                body["connection_string"] = json!(secret.expose_secret());
            }
            ExportStorage::LinkedSubscription { subscription_id } => {
                body["subscription_id"] = json!(subscription_id);
            }
        }
        if let Some(with_app_id) = self.with_app_id {
            let kind = if with_app_id {
                "WithAppId"
            } else {
                "WithoutAppId"
            };
            body["blob_path_format_kind"] = json!(kind);
        }
        if let Some(backfill) = self.backfill {
            body["backfill"] = json!(backfill);
        }
        body.to_string().into_bytes()
    }
}

impl Client {
    /// `ExportConfigurations_List`
    ///
    /// # Errors
    /// Those of a call.
    pub async fn export_configurations(
        &self,
        app: &AppRef,
    ) -> Result<Vec<ExportConfiguration>, Error> {
        #[derive(Deserialize)]
        struct List {
            #[serde(deserialize_with = "lenient::list")]
            values: Vec<ExportConfiguration>,
            #[serde(default, rename = "nextLink", deserialize_with = "lenient::text")]
            next_link: Option<String>,
        }
        let path = Path::app(self, app, &["export_configurations"])?;
        let pages = Pages::new(self, "ExportConfigurations_List", path, |body| {
            let list: List = decode(body)?;
            let next = Next::link(list.next_link);
            Ok(Listing::new(list.values, next, false))
        });
        pages.all(MOST).await
    }

    /// `ExportConfigurations_Get`
    ///
    /// # Errors
    /// Those of a call.
    pub async fn export_configuration(
        &self,
        app: &AppRef,
        id: &PathId,
    ) -> Result<ExportConfiguration, Error> {
        let path = Path::app(self, app, &["export_configurations", id.as_str()])?;
        self.json(&Call::get("ExportConfigurations_Get", path))
            .await
    }

    /// `ExportConfigurations_Create`, answered with 202: it is not exporting yet.
    ///
    /// # Errors
    /// Those of a call. It is not sent twice: after [`Error::Transient`] or [`Error::Protocol`] look whether it is there before making another.
    pub async fn create_export_configuration(
        &self,
        app: &AppRef,
        target: &ExportTarget,
    ) -> Result<ExportConfiguration, Error> {
        let path = Path::app(self, app, &["export_configurations"])?;
        let body = Some(target.body());
        let operation = "ExportConfigurations_Create";
        let call = Call::change(operation, Method::POST, path, body, Repeat::Unsafe);
        self.json(&call).await
    }

    /// `ExportConfigurations_PartialUpdate`: makes one export everything that is needed. What it names is replaced, so it may be sent twice.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn update_export_configuration(
        &self,
        app: &AppRef,
        id: &PathId,
        target: &ExportTarget,
    ) -> Result<ExportConfiguration, Error> {
        let path = Path::app(self, app, &["export_configurations", id.as_str()])?;
        let body = Some(target.body());
        let operation = "ExportConfigurations_PartialUpdate";
        let call = Call::change(operation, Method::PATCH, path, body, Repeat::Safe);
        self.json(&call).await
    }

    /// `ExportConfigurations_Enable`. What arrived while it was disabled is not exported afterwards.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn enable_export_configuration(
        &self,
        app: &AppRef,
        id: &PathId,
    ) -> Result<(), Error> {
        let segments = ["export_configurations", id.as_str(), "enable"];
        let path = Path::app(self, app, &segments)?;
        let operation = "ExportConfigurations_Enable";
        let call = Call::change(operation, Method::POST, path, None, Repeat::Safe);
        self.send(&call.expecting(Expect::Acknowledgement)).await?;
        Ok(())
    }
}
