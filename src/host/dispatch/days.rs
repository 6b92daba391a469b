//! A message for one app and day: one pass for all who wait for it, and what follows for each of them.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::civil::Date;

use super::send::{advance_known, send};
use crate::domain::AppRef;
use crate::host::observe;
use crate::host::state::work;
use crate::stages::blob_search::{Claim, DayPass};
use crate::stages::{Context, StageError, blob_search};
use crate::telemetry;
use crate::work::{Error, Loaded};
use crate::workflow::{Event, Message, Step};

/// Requests that move on at once.
const PARALLEL: usize = 16;

/// Searches one app and day for all who wait for it.
pub(super) async fn one_day(cx: Context<'_>, app: &AppRef, day: Date) -> Result<(), Error> {
    if blob_search::is_over(cx, app, day).await {
        telemetry::outcome(telemetry::Outcome::Void);
        return Ok(());
    }
    let claim = match blob_search::claim(cx.app, app, day).await {
        Claim::Held(claim) => claim,
        Claim::Busy(claim) => {
            send(cx, &Message::day(app, day), blob_search::LOOK_AGAIN).await?;
            claim.follow().await;
            telemetry::outcome(telemetry::Outcome::Waiting);
            return Ok(());
        }
        Claim::Followed => {
            telemetry::outcome(telemetry::Outcome::Waiting);
            return Ok(());
        }
    };
    let mut pass = DayPass::default();
    let mut delay = Duration::ZERO;
    let searched = Box::pin(blob_search::search_day(cx, app, day, &mut pass)).await;
    let searched = match searched {
        Ok(()) => Ok(()),
        Err(StageError::Work(error)) => Err(error),
        Err(error) => {
            tracing::warn!(%app, %day, "a day is searched again: {error}");
            observe::day_failed(&error);
            let counted = blob_search::count_failure(cx, app, day, &error, &mut pass);
            let counted = Box::pin(counted).await;
            work(counted).map(|until| delay = until)
        }
    };
    // Before anybody moves on: who has moved may wait for the same day again, and would find it claimed.
    claim.release().await;
    let newcomers = work(blob_search::has_newcomers(cx, app, day, &pass).await);
    // What joined moves on whatever became of the rest.
    move_on(cx, std::mem::take(&mut pass.joined)).await?;
    searched?;
    if newcomers? || pass.unfinished {
        if delay.is_zero() {
            telemetry::outcome(telemetry::Outcome::Continued);
        }
        send(cx, &Message::day(app, day), delay).await?;
    }
    Ok(())
}

/// Moves requests on whose search is over. One that fails does not hold up the others.
async fn move_on(cx: Context<'_>, joined: Vec<(Loaded, Step, Event)>) -> Result<(), Error> {
    let moves = joined.into_iter().map(|(loaded, step, event)| async move {
        let record = loaded.record.clone();
        advance_known(cx, loaded, event).await?;
        // Only then its mark goes.
        work(blob_search::unmark(cx, &record, step).await)
    });
    let moves: Vec<_> = moves.collect();
    let mut moves = futures::stream::iter(moves).buffer_unordered(PARALLEL);
    let mut all = Ok(());
    while let Some(moved) = moves.next().await {
        all = all.and(moved);
    }
    all
}
