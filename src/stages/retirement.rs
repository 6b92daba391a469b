//! When App Center counts as retired: by evidence, never because one call failed.
//!
//! Either it says so itself: 410 about the app and about the token's user. Or neither could be asked for 24 hours, over as
//! many requests as it takes: since when is remembered of the app, and one answer about either forgets it. A token that is
//! refused, and calls that are over the rate, are no evidence: somebody answered.

use jiff::{SignedDuration, Timestamp};

use super::setup::{Remembered, remember};
use super::{Context, StageError, Wait};
use crate::appcenter::Error;
use crate::domain::AppRef;

/// How long neither may answer.
const SILENCE: SignedDuration = SignedDuration::from_hours(24);
/// How long after one look at the silence another one still belongs to it.
const GAP: SignedDuration = SignedDuration::from_hours(36);

/// What one call tells of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It answers.
    Life,
    /// It says that it is retired.
    Gone,
    /// It does not answer, or not as itself.
    Silence,
}

fn sign<T>(answer: &Result<T, Error>) -> Sign {
    match answer {
        Err(Error::Gone) => Sign::Gone,
        Err(Error::NotFound(_) | Error::Transient { .. } | Error::Protocol { .. }) => Sign::Silence,
        // Also a refusal.
        _ => Sign::Life,
    }
}

/// The evidence that App Center is retired, if there is enough; `error` is what made an app's setup fail.
///
/// # Errors
/// When what is remembered cannot be stored.
pub(super) async fn conclude(
    cx: Context<'_>,
    app: &AppRef,
    remembered: &mut Remembered,
    error: &StageError,
) -> Result<Option<String>, StageError> {
    // Calls are to be had later; asking for more now would only wait as well.
    let is_throttled = matches!(
        error,
        StageError::Retry {
            wait: Wait::Throttled(_) | Wait::Held(_),
            ..
        }
    );
    let Ok(client) = cx.app.app_center() else {
        return Ok(None);
    };
    if is_throttled || matches!(error, StageError::Work(_) | StageError::Stopped) {
        return Ok(None);
    }
    let about_app = sign(&client.app(app).await);
    let about_user = match about_app {
        Sign::Life => Sign::Life,
        Sign::Gone | Sign::Silence => sign(&client.user().await),
    };
    if (about_app, about_user) == (Sign::Gone, Sign::Gone) {
        return Ok(Some(
            "it answers 410 about the app and about the token's user".to_owned(),
        ));
    }
    if about_app == Sign::Life || about_user == Sign::Life {
        alive(cx, app, remembered).await?;
        return Ok(None);
    }
    let now = cx.now();
    *remembered = remember(cx, app, |known| {
        let is_close = |at: Timestamp| now.duration_since(at) < GAP;
        // Two short outages with weeks between them are no silence of weeks.
        if !known.silent_at.is_some_and(is_close) {
            known.silent_since = Some(now);
        }
        known.silent_at = Some(now);
    })
    .await?;
    let since = remembered.silent_since.unwrap_or(now);
    let is_long = now.duration_since(since) >= SILENCE;
    Ok(is_long.then(|| {
        format!("since {since} it has answered neither about the app nor about the token's user")
    }))
}

/// App Center has answered: what was remembered of its silence is forgotten.
///
/// # Errors
/// When what is remembered cannot be stored.
pub(super) async fn alive(
    cx: Context<'_>,
    app: &AppRef,
    remembered: &mut Remembered,
) -> Result<(), StageError> {
    if remembered.silent_since.is_some() || remembered.silent_at.is_some() {
        *remembered = remember(cx, app, |known| {
            (known.silent_since, known.silent_at) = (None, None);
        })
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appcenter::Why;

    #[test]
    fn a_refusal_is_an_answer() {
        let transient = Error::Transient {
            why: Why::TimedOut,
            retry_at: None,
            source: None,
        };
        let limited = Error::RateLimited {
            until: jiff::Timestamp::UNIX_EPOCH,
        };
        for (answer, expected) in [
            (Ok(()), Sign::Life),
            (Err(Error::Gone), Sign::Gone),
            (Err(transient), Sign::Silence),
            (Err(Error::Protocol { what: "a page" }), Sign::Silence),
            (Err(limited), Sign::Life),
        ] {
            assert_eq!(sign(&answer), expected, "{answer:?}");
        }
    }
}
