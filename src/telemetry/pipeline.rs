//! Providers and exporters of a process that has a destination.

use std::time::Duration;

use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{SpanContext, TracerProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_application_insights::Exporter;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder as LogBatches, BatchLogProcessor, LoggerProviderBuilder, SdkLogger,
    SdkLoggerProvider,
};
use opentelemetry_sdk::metrics::{
    MeterProviderBuilder, PeriodicReader, SdkMeterProvider, Temporality,
};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatches, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
    TracerProviderBuilder,
};
use secrecy::ExposeSecret as _;
use url::Url;

use super::Settings;
use super::event::Event;
use super::instruments::Instruments;
use super::transport::{Transport, Way};
use super::values;

/// What we are called.
const SERVICE: &str = "appcenter-dsr";
/// How long spans and events gather before they leave: the host kills without notice.
const EVERY: Duration = Duration::from_secs(5);
/// How often metrics leave.
const METRICS_EVERY: Duration = Duration::from_secs(60);
/// Spans, and events, that wait for a destination; more are dropped.
const WAITING: usize = 4096;
/// Most that one message to a destination holds.
const BATCH: usize = 512;

/// The providers.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) tracer: SdkTracer,
    pub(super) instruments: Instruments,
    logger: SdkLogger,
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: SdkLoggerProvider,
}

/// Providers that are being put together, destination by destination.
struct Builders {
    traces: TracerProviderBuilder,
    metrics: MeterProviderBuilder,
    logs: LoggerProviderBuilder,
}

impl Pipeline {
    /// Builds them, within the async runtime; none if no destination can be used. Nothing is sent yet.
    pub(super) fn build(settings: &Settings) -> Option<Self> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let mut builders = Some(Builders::new(&resource(settings)));
        let mut destinations = 0;
        if let Some(collector) = &settings.otlp {
            let transport = Transport::new(runtime.clone(), Way::to(collector), None);
            let built = builders.take()?.collector(collector, &transport);
            builders = Some(built.inspect_err(|_error| unusable("the collector")).ok()?);
            destinations += 1;
        }
        if let Some(connection) = &settings.connection_string {
            let text = connection.expose_secret();
            let way = Way::of_connection(text);
            let transport = Transport::new(runtime, way, settings.identity.clone());
            // Its errors could quote the setting.
            let exporter = || Exporter::new_from_connection_string(text, transport.clone()).ok();
            match (exporter(), exporter(), exporter()) {
                (Some(spans), Some(metrics), Some(logs)) => {
                    builders = Some(builders.take()?.add(spans, metrics, logs));
                    destinations += 1;
                }
                _ => unusable("Application Insights"),
            }
        }
        let builders = builders.filter(|_| destinations > 0)?;
        let traces = builders.traces.with_sampler(Sampler::AlwaysOn).build();
        let metrics = builders.metrics.build();
        let logs = builders.logs.build();
        let scope = InstrumentationScope::builder(SERVICE).build();
        Some(Self {
            tracer: traces.tracer_with_scope(scope.clone()),
            instruments: Instruments::new(&metrics.meter_with_scope(scope.clone())),
            logger: logs.logger_with_scope(scope),
            traces,
            metrics,
            logs,
        })
    }

    /// Hands an event to the batches.
    pub(super) fn log(&self, event: &Event<'_>, context: &SpanContext) {
        let mut record = self.logger.create_log_record();
        record.set_timestamp(values::now());
        event.write(&mut record);
        let flags = Some(context.trace_flags());
        record.set_trace_context(context.trace_id(), context.span_id(), flags);
        self.logger.emit(record);
    }

    /// Sends what has gathered. It waits for the destinations, each for some seconds at most.
    pub(super) fn flush(&self) {
        // Events first: alerts count on them. What fails has been told of by the transport.
        drop(self.logs.force_flush());
        drop(self.metrics.force_flush());
        drop(self.traces.force_flush());
    }
}

impl Builders {
    fn new(resource: &Resource) -> Self {
        Self {
            traces: SdkTracerProvider::builder().with_resource(resource.clone()),
            metrics: SdkMeterProvider::builder().with_resource(resource.clone()),
            logs: SdkLoggerProvider::builder().with_resource(resource.clone()),
        }
    }

    fn collector(self, base: &Url, transport: &Transport) -> Result<Self, ExporterBuildError> {
        let base = base.as_str().trim_end_matches('/');
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(transport.clone())
            .with_endpoint(format!("{base}/v1/traces"))
            .build()?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(transport.clone())
            .with_endpoint(format!("{base}/v1/metrics"))
            .with_temporality(Temporality::Delta)
            .build()?;
        let logs = LogExporter::builder()
            .with_http()
            .with_http_client(transport.clone())
            .with_endpoint(format!("{base}/v1/logs"))
            .build()?;
        Ok(self.add(spans, metrics, logs))
    }

    fn add(
        self,
        spans: impl opentelemetry_sdk::trace::SpanExporter + 'static,
        metrics: impl opentelemetry_sdk::metrics::exporter::PushMetricExporter,
        logs: impl opentelemetry_sdk::logs::LogExporter + 'static,
    ) -> Self {
        let span_batches = SpanBatches::default()
            .with_max_queue_size(WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(EVERY);
        let spans = BatchSpanProcessor::builder(spans)
            .with_batch_config(span_batches.build())
            .build();
        let log_batches = LogBatches::default()
            .with_max_queue_size(WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(EVERY);
        let logs = BatchLogProcessor::builder(logs)
            .with_batch_config(log_batches.build())
            .build();
        let metrics = PeriodicReader::builder(metrics)
            .with_interval(METRICS_EVERY)
            .build();
        Self {
            traces: self.traces.with_span_processor(spans),
            metrics: self.metrics.with_reader(metrics),
            logs: self.logs.with_log_processor(logs),
        }
    }
}

fn unusable(what: &str) {
    tracing::error!("telemetry: the setting of {what} cannot be used; nothing is sent there");
}

fn resource(settings: &Settings) -> Resource {
    let instance = settings.instance.clone();
    let instance = instance.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    // Empty: the default one reads the environment.
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", SERVICE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .build()
}
