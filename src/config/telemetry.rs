//! Settings of telemetry.

use secrecy::SecretString;
use url::Url;

use super::env;
use super::{ConfigError, Lookup, error, text};

/// Where telemetry goes; without a destination there is none.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    /// An OpenTelemetry collector.
    pub otlp: Option<Url>,
    /// Application Insights.
    pub connection_string: Option<SecretString>,
    /// Whether Application Insights wants a token of the app's identity.
    pub wants_token: bool,
    /// Which identity; none means the system's.
    pub client_id: Option<String>,
    /// The instance, as Azure names it.
    pub instance: Option<String>,
}

/// Reads them.
///
/// # Errors
/// When the collector's address is none.
pub(super) fn read(lookup: Lookup<'_>) -> Result<Telemetry, ConfigError> {
    let endpoint = text(lookup, env::OTLP);
    let otlp = match Url::parse(&endpoint) {
        _ if endpoint.is_empty() => None,
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        _ => return Err(error(env::OTLP.name, "an http or https address")),
    };
    let connection = text(lookup, env::APPINSIGHTS);
    let identity = text(lookup, env::APPINSIGHTS_IDENTITY);
    let part = |name: &str| {
        identity.split(';').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            let is_it = key.trim().eq_ignore_ascii_case(name);
            is_it.then(|| value.trim().to_owned())
        })
    };
    let instance = lookup(env::INSTANCE).filter(|id| !id.is_empty());
    Ok(Telemetry {
        otlp,
        connection_string: (!connection.is_empty()).then(|| connection.into()),
        wants_token: part("Authorization").is_some_and(|it| it.eq_ignore_ascii_case("AAD")),
        client_id: part("ClientId").filter(|id| !id.is_empty()),
        instance,
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn destinations_and_whose_token() {
        let with = |settings: &[(&str, &str)]| {
            read(&|name| {
                let found = settings.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let off = with(&[]).expect("nothing is set");
        assert!(off.otlp.is_none() && off.connection_string.is_none() && !off.wants_token);
        let on = with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            (
                "APPLICATIONINSIGHTS_CONNECTION_STRING",
                "InstrumentationKey=1",
            ),
            (
                "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
                "ClientId=11;Authorization=AAD",
            ),
            ("WEBSITE_INSTANCE_ID", "abc"),
        ])
        .expect("valid");
        assert_eq!(on.otlp.as_ref().map(url::Url::port), Some(Some(4318)));
        assert!(on.connection_string.is_some() && on.wants_token);
        assert_eq!(on.client_id.as_deref(), Some("11"));
        assert_eq!(on.instance.as_deref(), Some("abc"));
        for bad in ["collector:4318", "grpc://collector:4317", "4318"] {
            let error = with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", bad)]).expect_err(bad);
            assert_eq!(error.name, "OTEL_EXPORTER_OTLP_ENDPOINT");
        }
    }
}
