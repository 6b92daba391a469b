//! The token's user, the app, and how long the app's reports are kept.

use serde::Deserialize;
use uuid::Uuid;

use super::client::Client;
use super::error::Error;
use super::http::Call;
use super::lenient::{self, open_enum};
use super::path::Path;
use super::personal::Personal;
use crate::domain::AppRef;

/// The user that the token belongs to.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    /// The user's ID.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub id: Option<Personal<String>>,
    /// The user's name in addresses.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub name: Option<Personal<String>>,
}

open_enum! {
    /// The operating system of an app.
    Os {
        /// Android.
        Android = "Android",
        /// iOS.
        Ios = "iOS",
        /// macOS.
        Mac = "macOS",
        /// Tizen.
        Tizen = "Tizen",
        /// tvOS.
        AppleTv = "tvOS",
        /// Windows.
        Windows = "Windows",
        /// Linux.
        Linux = "Linux",
        /// Anything that sends its own logs.
        Custom = "Custom",
    }
}

/// An app, without its secret, which nothing here needs.
#[derive(Debug, Clone, Deserialize)]
pub struct App {
    /// The `AppId` of exported records.
    pub id: Uuid,
    /// The name that people see.
    #[serde(default, deserialize_with = "lenient::text")]
    pub display_name: Option<String>,
    /// The operating system.
    #[serde(default, deserialize_with = "lenient::parsed")]
    pub os: Option<Os>,
    /// The platform, such as `Java` or `Objective-C-Swift`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub platform: Option<String>,
    /// Where it was made: `appcenter`, `hockeyapp` or `codepush`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub origin: Option<String>,
    /// What the token may do with it: `manager`, `developer`, `viewer`.
    #[serde(default, deserialize_with = "lenient::list")]
    pub member_permissions: Vec<String>,
}

impl Client {
    /// `users_get`: who the token belongs to. It fails for every app at once when the token or the service is gone.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn user(&self) -> Result<User, Error> {
        let path = Path::root(self, &["user"])?;
        self.json(&Call::get("users_get", path)).await
    }

    /// `apps_get`
    ///
    /// # Errors
    /// Those of a call. A wrong token may give [`Error::NotFound`].
    pub async fn app(&self, app: &AppRef) -> Result<App, Error> {
        let path = Path::app(self, app, &[])?;
        self.json(&Call::get("apps_get", path)).await
    }

    /// `errors_getRetentionSettings`: for how many days the app's reports are kept: 28 or, for some, 90.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn retention(&self, app: &AppRef) -> Result<u32, Error> {
        #[derive(Deserialize)]
        struct Settings {
            #[serde(alias = "retentionInDays", deserialize_with = "lenient::count")]
            retention_in_days: Option<u64>,
        }
        let path = Path::app(self, app, &["errors", "retention_settings"])?;
        let call = Call::get("errors_getRetentionSettings", path);
        let settings: Settings = self.json(&call).await?;
        settings
            .retention_in_days
            .and_then(|days| u32::try_from(days).ok())
            .ok_or(Error::protocol("the retention is no number of days"))
    }
}
