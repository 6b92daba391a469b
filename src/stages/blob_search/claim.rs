//! Which pass searches a day of an app: a hundred requests that are filed together send a hundred messages for the same
//! day, and one pass serves them all.
//!
//! A claim spares work and decides nothing. Who holds one renews it while the pass runs; one that nobody renews is void
//! soon, so that a killed pass holds nobody up for long. Two passes over the same day are safe (each slice is stored on
//! its ETag) and only cost twice. Who comes while a pass runs is seen at its end, by its mark. In case there is no end,
//! one of the messages that find the day claimed looks at it again and again: it may be the killed pass's own.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use crate::app::App;
use crate::clock::Clock;
use crate::domain::AppRef;
use crate::storage::{Container, Created, ETag, Error, Replaced};
use crate::work::names;

/// How long a claim holds that is not renewed.
const HOLDS: SignedDuration = SignedDuration::from_secs(10);
/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(3);
/// How soon a claimed day is looked at again.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// For how long whoever else finds it claimed leaves that to the one who said so: shorter, since clocks differ.
const FOLLOWED: SignedDuration = SignedDuration::from_secs(1);
/// How long it is tried to claim a day.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest stored claim that is read, in bytes.
const MAX_BYTES: usize = 1024;
const CONTENT_TYPE: &str = "application/json";

/// A stored claim.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    /// Whose it is.
    holder: u64,
    /// Until when it holds.
    until: Timestamp,
    /// Until when a message is on its way that looks at the day again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    followed: Option<Timestamp>,
}

/// What came of claiming a day.
#[derive(Debug)]
pub enum Claim {
    /// It is ours, until it is released.
    Held(Held),
    /// A pass is running, and nobody looks at the day again yet.
    Busy(Busy),
    /// A pass is running, and a message is on its way that looks at the day again.
    Followed,
}

/// The blob of a claim.
#[derive(Debug, Clone)]
struct Place {
    container: Container,
    name: String,
    clock: Arc<dyn Clock>,
}

impl Place {
    async fn read(&self) -> Result<Option<(Option<Stored>, ETag)>, Error> {
        let read = self.container.read(&self.name, MAX_BYTES).await?;
        // What cannot be read is nobody's.
        Ok(read.map(|read| (serde_json::from_slice(&read.bytes).ok(), read.etag)))
    }

    /// Writes over this version, or where there is none; whether it did.
    async fn write(&self, stored: &Stored, etag: Option<&ETag>) -> Result<bool, Error> {
        // It has a number and two times, and always a JSON form.
        let bytes = serde_json::to_vec(stored).unwrap_or_default();
        let (container, name) = (&self.container, &self.name);
        Ok(match etag {
            Some(etag) => {
                let replaced = container.replace(name, bytes, CONTENT_TYPE, etag).await?;
                matches!(replaced, Replaced::Done(_))
            }
            None => {
                let created = container.create(name, bytes, CONTENT_TYPE).await?;
                matches!(created, Created::New(_))
            }
        })
    }

    fn soon(&self, by: SignedDuration) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(by).unwrap_or(Timestamp::MAX)
    }

    async fn claim(&self) -> Result<Claim, Error> {
        let holder = rand::rng().random();
        loop {
            let there = self.read().await?;
            let now = self.clock.now();
            let (stored, etag) = there.map_or((None, None), |(stored, etag)| (stored, Some(etag)));
            // Far ahead it was written by a clock that nobody follows.
            let latest = self.soon(HOLDS + HOLDS);
            if let Some(stored) = stored.filter(|it| it.until > now && it.until < latest)
                && let Some(etag) = etag
            {
                return Ok(match stored.followed {
                    Some(until) if until > now => Claim::Followed,
                    _ => Claim::Busy(Busy {
                        place: self.clone(),
                        stored,
                        etag,
                    }),
                });
            }
            let stored = Stored {
                holder,
                until: self.soon(HOLDS),
                followed: None,
            };
            if self.write(&stored, etag.as_ref()).await? {
                return Ok(Claim::Held(Held::renewed(self.clone(), holder)));
            }
            // Somebody was faster: then it is claimed, or free again.
        }
    }

    /// Renews a claim for as long as it is the holder's.
    async fn renew(self, holder: u64) {
        loop {
            tokio::time::sleep(RENEWED).await;
            match self.read().await {
                Ok(Some((Some(stored), etag))) if stored.holder == holder => {
                    let stored = Stored {
                        until: self.soon(HOLDS),
                        ..stored
                    };
                    // Where it fails, the next time is early enough.
                    _ = self.write(&stored, Some(&etag)).await;
                }
                Err(_) => {}
                Ok(_) => return,
            }
        }
    }
}

/// Claims a day. Where storage fails, the day is searched without: that only costs.
pub async fn claim(app: &App, of: &AppRef, day: Date) -> Claim {
    let place = Place {
        container: app.store.container().clone(),
        name: names::searching(of, day),
        clock: Arc::clone(&app.clock),
    };
    match tokio::time::timeout(PATIENCE, place.claim()).await {
        Ok(Ok(claim)) => claim,
        Ok(Err(_)) | Err(_) => Claim::Held(Held { renewing: None }),
    }
}

/// A claim that is renewed for as long as this lives.
#[derive(Debug)]
pub struct Held {
    renewing: Option<(Place, u64, AbortHandle)>,
}

impl Held {
    fn renewed(place: Place, holder: u64) -> Self {
        let task = tokio::spawn(place.clone().renew(holder));
        Self {
            renewing: Some((place, holder, task.abort_handle())),
        }
    }

    /// Lets others have the day. Where that fails, the claim is void soon.
    pub async fn release(mut self) {
        let Some((place, holder, task)) = self.renewing.take() else {
            return;
        };
        task.abort();
        if let Ok(Some((Some(stored), _))) = place.read().await
            && stored.holder == holder
        {
            _ = place.container.delete(&place.name).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((.., task)) = &self.renewing {
            task.abort();
        }
    }
}

/// A day that somebody else searches.
#[derive(Debug)]
pub struct Busy {
    place: Place,
    stored: Stored,
    etag: ETag,
}

impl Busy {
    /// Says that a message was sent which looks at the day again. Where that fails, another one is sent by whoever comes next.
    pub async fn follow(self) {
        let stored = Stored {
            followed: Some(self.place.soon(FOLLOWED)),
            ..self.stored
        };
        _ = self.place.write(&stored, Some(&self.etag)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ShiftedClock;
    use crate::storage::{Account, AccountSettings};

    /// Where a claim lies, as several processes see it.
    async fn place(clock: &Arc<ShiftedClock>) -> (azurite::Azurite, Place) {
        let azurite = azurite::Azurite::start().await.expect("Azurite starts");
        let connection = azurite.account().connection_string().into();
        let account = Account::open(&AccountSettings::ConnectionString(connection));
        let container = account.expect("it opens").container("work");
        container.create_if_missing().await.expect("created");
        let place = Place {
            container,
            name: "searching/o/a/2026-11-20".to_owned(),
            clock: Arc::clone(clock) as Arc<dyn Clock>,
        };
        (azurite, place)
    }

    async fn held(place: &Place) -> Held {
        match place.claim().await.expect("storage") {
            Claim::Held(held) => held,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_day_is_claimed_once_and_followed_by_one() {
        let clock = Arc::new(ShiftedClock::default());
        let (_azurite, place) = place(&clock).await;
        let first = held(&place).await;
        let Claim::Busy(busy) = place.claim().await.expect("storage") else {
            panic!("it is claimed");
        };
        busy.follow().await;
        for _ in 0..3 {
            let claim = place.claim().await.expect("storage");
            assert!(matches!(claim, Claim::Followed), "{claim:?}");
        }
        // The one who follows comes back, and finds that nobody else does.
        clock.advance(LOOK_AGAIN);
        let claim = place.claim().await.expect("storage");
        assert!(matches!(claim, Claim::Busy(_)), "{claim:?}");
        first.release().await;
        let second = held(&place).await;
        second.release().await;
        assert!(place.read().await.expect("storage").is_none());
    }

    #[tokio::test]
    async fn a_claim_of_a_killed_pass_is_void_soon() {
        let clock = Arc::new(ShiftedClock::default());
        let (_azurite, place) = place(&clock).await;
        // Dropped as a killed process drops it: nothing is taken back.
        drop(held(&place).await);
        assert!(matches!(place.claim().await, Ok(Claim::Busy(_))));
        clock.advance(Duration::from_secs(11));
        let second = held(&place).await;
        // The first one, if it was only slow, takes nothing from the second.
        let late = Held {
            renewing: Some((place.clone(), 0, tokio::spawn(async {}).abort_handle())),
        };
        late.release().await;
        assert!(matches!(place.claim().await, Ok(Claim::Busy(_))));
        second.release().await;
    }

    #[tokio::test]
    async fn a_claim_is_renewed_while_it_is_held() {
        let clock = Arc::new(ShiftedClock::default());
        let (_azurite, place) = place(&clock).await;
        let first = held(&place).await;
        let until = async || {
            let read = place.read().await.expect("storage");
            read.and_then(|(stored, _)| stored).expect("a claim").until
        };
        let before = until().await;
        clock.advance(Duration::from_secs(8));
        tokio::time::sleep(RENEWED + Duration::from_secs(2)).await;
        assert!(until().await >= before + SignedDuration::from_secs(8));
        first.release().await;
        // What nobody can read, or what a strange clock wrote, holds nobody up.
        let strange = Stored {
            holder: 1,
            until: place.soon(SignedDuration::from_hours(5)),
            followed: None,
        };
        let strange = serde_json::to_vec(&strange).expect("JSON");
        for bytes in [b"{\"until\"".to_vec(), strange] {
            let put = place.container.put(&place.name, bytes, CONTENT_TYPE);
            put.await.expect("put");
            held(&place).await.release().await;
        }
    }
}
