//! Faults by operation and count, and what they do to a reply.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// 429 with the body of the service; nothing is done.
    TooManyRequests {
        /// Seconds in `Retry-After`; the header is left out when `None`.
        retry_after: Option<u64>,
    },
    /// This status with the gateway's body; nothing is done.
    Status {
        /// Such as 500 or 503.
        status: u16,
    },
    /// The call is done and then answered with this status: 404 after success is `status: 404`.
    StatusAfter {
        /// Such as 404 or 500.
        status: u16,
    },
    /// The connection ends without a reply; nothing is done.
    Reset,
    /// The call is done and then the connection ends without a reply.
    ResetAfter,
    /// The call is done; the reply's body comes in drops over this time.
    SlowBody {
        /// How long the whole body takes.
        millis: u64,
    },
    /// The call is done; the connection ends in the middle of the reply's body.
    TruncatedBody,
    /// The call is done; the body is whole for HTTP but its JSON ends in the middle.
    TruncatedPage,
    /// The call is done; the reply says `text/html` and is a page of a proxy.
    WrongContentType,
    /// 404 with the gateway's body, as for a bad token; nothing is done.
    NotFoundForBadToken,
    /// 202 and no body; nothing is done. Seen in practice for GETs.
    Accepted,
    /// A deletion says that this many blobs could not be removed; the report stays.
    BlobsFailed {
        /// The number in `blobsFailed`; in JSON `blobs`, as `count` says how often a fault hits.
        #[serde(rename = "blobs")]
        count: u32,
    },
    /// The call is done after this wait.
    Delay {
        /// How long the reply waits.
        millis: u64,
    },
    /// The call is done; the address in its reply (`uri`) is this one instead.
    Location {
        /// Any address.
        uri: String,
    },
    /// 302 to this address; nothing is done.
    Redirect {
        /// Any address.
        to: String,
    },
    /// The call is done; the reply is this many bytes of JSON instead.
    HugeBody {
        /// Length of the body.
        bytes: usize,
    },
}

/// A fault: which calls, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The operation it hits; any when `None`. `blob_download` and `ingest` count as operations.
    #[serde(default)]
    pub operation: Option<String>,
    /// Matching calls that pass before the first that is hit.
    #[serde(default)]
    pub skip: usize,
    /// How many calls are hit.
    #[serde(default = "once")]
    pub count: usize,
    /// What happens.
    #[serde(flatten)]
    pub kind: FaultKind,
}

fn once() -> usize {
    1
}

impl Fault {
    /// A fault that hits the next call of one operation.
    #[must_use]
    pub fn once(operation: &str, kind: FaultKind) -> Self {
        Self {
            operation: Some(operation.to_owned()),
            skip: 0,
            count: 1,
            kind,
        }
    }
}

#[derive(Debug, Clone)]
struct Active {
    fault: Fault,
    hits: usize,
}

/// The faults that are set; copies share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    active: Arc<Mutex<Vec<Active>>>,
}

impl Faults {
    /// Sets one more fault. When several match a call, the one set first hits.
    pub fn add(&self, fault: Fault) {
        self.lock().push(Active { fault, hits: 0 });
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Calls that were hit, over the faults that are set.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.lock().iter().map(|it| it.hits).sum()
    }

    /// The faults that still wait for a call.
    #[must_use]
    pub fn waiting(&self) -> Vec<Fault> {
        self.lock()
            .iter()
            .filter(|it| it.hits < it.fault.count)
            .map(|it| it.fault.clone())
            .collect()
    }

    /// What hits this call, if anything.
    pub(crate) fn take(&self, operation: &str) -> Option<FaultKind> {
        let mut active = self.lock();
        for it in active.iter_mut() {
            let matches = it
                .fault
                .operation
                .as_deref()
                .is_none_or(|wanted| wanted == operation);
            if !matches || it.hits >= it.fault.count {
                continue;
            }
            if it.fault.skip > 0 {
                it.fault.skip -= 1;
                continue;
            }
            it.hits += 1;
            return Some(it.fault.kind.clone());
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultKind, Faults};

    #[test]
    fn faults_hit_by_operation_skip_and_count() {
        for (operation, skip, count, expected) in [
            (Some("a"), 0, 1, vec![true, false, false, false]),
            (Some("a"), 1, 1, vec![false, false, true, false]),
            (None, 0, 2, vec![true, true, false, false]),
            (Some("c"), 0, 9, vec![false, false, false, false]),
        ] {
            let faults = Faults::default();
            faults.add(Fault {
                operation: operation.map(str::to_owned),
                skip,
                count,
                kind: FaultKind::Reset,
            });
            let hit: Vec<bool> = ["a", "b", "a", "b"]
                .iter()
                .map(|it| faults.take(it).is_some())
                .collect();
            assert_eq!(hit, expected, "{operation:?} {skip} {count}");
        }
    }

    #[test]
    fn faults_are_read_from_json() {
        let text = r#"{"operation":"users_get","kind":"too_many_requests","retry_after":3}"#;
        let fault: Fault = serde_json::from_str(text).expect("it is a fault");
        let kind = FaultKind::TooManyRequests {
            retry_after: Some(3),
        };
        assert_eq!(fault, Fault::once("users_get", kind));
    }
}
