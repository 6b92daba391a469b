//! The loop of one timer: past due first, then on start-up, then by its schedule; never two runs at once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::status::{Status, Store};
use crate::clock;
use crate::invoke::Invoker;
use crate::manifest::{Function, TimerTrigger, Trigger};
use crate::wire::{Envelope, sys};

/// Longer waits are taken in pieces, so that a clock that was set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Runs a timer function.
pub(crate) struct Listener {
    invoker: Arc<Invoker>,
    function: Arc<Function>,
    /// `None` for timers that are not monitored.
    store: Option<Store>,
}

impl Listener {
    /// # Errors
    /// When the host's storage cannot be opened.
    pub(crate) fn new(
        invoker: &Arc<Invoker>,
        function: &Arc<Function>,
        host_id: &str,
    ) -> anyhow::Result<Self> {
        let store = match &function.trigger {
            Trigger::Timer(trigger)
                if trigger.use_monitor && !trigger.schedule.is_frequent(clock::now()) =>
            {
                Some(Store::open(&invoker.storage, host_id, &function.name)?)
            }
            _ => None,
        };
        Ok(Self {
            invoker: Arc::clone(invoker),
            function: Arc::clone(function),
            store,
        })
    }

    /// Runs until `stop` turns true; a run under way is waited for.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let Trigger::Timer(trigger) = &self.function.trigger else {
            return;
        };
        let now = clock::now();
        let mut status = self.recorded(trigger, now).await;
        let is_past_due = status.is_some_and(|status| status.next < now);
        if is_past_due || trigger.run_on_startup {
            status = self.fire(trigger, now, status, is_past_due).await;
        }
        while let Some(next) = trigger.schedule.next(clock::now()) {
            if wait_until(next, &mut stop).await {
                return;
            }
            status = self.fire(trigger, next, status, false).await;
        }
    }

    /// The recorded status, corrected when the schedule has changed since, and written when there was none.
    async fn recorded(&self, trigger: &TimerTrigger, now: Timestamp) -> Option<Status> {
        let store = self.store.as_ref()?;
        let recorded = match store.read().await {
            Ok(recorded) => recorded,
            Err(error) => {
                self.invoker.log.error(error);
                None
            }
        };
        let expected = trigger
            .schedule
            .next(recorded.map_or(now, |status| status.last_updated))?;
        let status = match recorded {
            Some(status) if status.next == expected => return Some(status),
            // The schedule is another one now, and a time that it never had was not missed.
            Some(_) if expected < now => Status {
                last: None,
                next: trigger.schedule.next(now)?,
                last_updated: now,
            },
            Some(_) | None => Status {
                last: None,
                next: expected,
                last_updated: now,
            },
        };
        self.record(store, status).await;
        Some(status)
    }

    /// Runs the function once and records that.
    async fn fire(
        &self,
        trigger: &TimerTrigger,
        at: Timestamp,
        status: Option<Status>,
        is_past_due: bool,
    ) -> Option<Status> {
        let now = clock::now();
        let envelope = envelope(&self.function.name, trigger, status, is_past_due, now);
        let reason = format!(
            "Timer fired at {}",
            now.strftime("%Y-%m-%dT%H:%M:%S%.7f+00:00")
        );
        let details = is_past_due.then(|| {
            let due = status.map_or(at, |status| status.next);
            format!(
                "UnscheduledInvocationReason: IsPastDue, OriginalSchedule: {}",
                due.strftime("%Y-%m-%dT%H:%M:%S%.7f+00:00")
            )
        });
        // A failure is in the log; it never stops the schedule.
        let _ = self
            .invoker
            .run(&self.function, Uuid::new_v4(), &reason, details, &envelope)
            .await;
        let store = self.store.as_ref()?;
        let status = Status {
            last: Some(at),
            next: trigger.schedule.next(at)?,
            last_updated: at,
        };
        self.record(store, status).await;
        Some(status)
    }

    async fn record(&self, store: &Store, status: Status) {
        if let Err(error) = store.write(status).await {
            self.invoker.log.error(error);
        }
    }
}

/// Waits by the machine's clock; says whether the host stops.
async fn wait_until(time: Timestamp, stop: &mut watch::Receiver<bool>) -> bool {
    loop {
        if *stop.borrow() {
            return true;
        }
        let left = Duration::try_from(time.duration_since(clock::now())).unwrap_or(Duration::ZERO);
        if left.is_zero() {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(LONGEST_WAIT)) => {}
            changed = stop.changed() => if changed.is_err() { return true },
        }
    }
}

fn envelope(
    function: &str,
    trigger: &TimerTrigger,
    status: Option<Status>,
    is_past_due: bool,
    now: Timestamp,
) -> Envelope {
    let mut envelope = Envelope::default();
    let info = json!({
        "Schedule": {"AdjustForDST": trigger.schedule.adjusts_for_daylight_saving()},
        "ScheduleStatus": status.map_or(Value::Null, Status::to_json),
        "IsPastDue": is_past_due,
    });
    envelope.put_data(&trigger.binding, info);
    envelope.put_metadata("sys", sys(function, now));
    envelope
}

/// The invocation that `/admin/functions/{name}` makes: its input is ignored.
pub(crate) fn from_admin(function: &Function, trigger: &TimerTrigger, now: Timestamp) -> Envelope {
    envelope(&function.name, trigger, None, false, now)
}
