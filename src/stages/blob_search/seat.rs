//! A request in a pass, with its slice.

use std::sync::Arc;

use rand::RngExt as _;

use super::progress::Progress;
use crate::stages::{Context, StageError};
use crate::work::{Error, Slice, SliceEnd, names};
use crate::workflow::Record;
use crate::workflow::join::Root;

/// A request that a pass serves.
pub(super) struct Seat {
    pub(super) record: Record,
    pub(super) root: Arc<Root>,
    pub(super) slice: Slice,
    pub(super) progress: Progress,
}

impl Seat {
    async fn write(&mut self, cx: Context<'_>) -> Result<(), StageError> {
        for (bytes, is_own) in self.progress.unwritten() {
            if bytes.is_empty() {
                continue;
            }
            let slice = &self.slice;
            let unique: u64 = rand::rng().random();
            let number = self.progress.result.parts.len();
            let part = format!("{:05}-{number:04}-{unique:016x}", slice.number);
            let name = names::hits(&slice.request, slice.run, slice.step, &part);
            let content_type = "application/jsonl";
            cx.app.store.put(&name, "hits", bytes, content_type).await?;
            self.progress.wrote(part, is_own);
        }
        Ok(())
    }
}

/// Writes hits and then the slices that tell of them; `done` ends the day.
pub(super) async fn store(
    cx: Context<'_>,
    seats: &mut [Option<Seat>],
    done: bool,
) -> Result<(), StageError> {
    for place in seats {
        let Some(seat) = place else { continue };
        seat.write(cx).await?;
        seat.slice.set_body(&seat.progress.result)?;
        if done {
            seat.slice.state.end = Some(SliceEnd {
                done: 1,
                ..SliceEnd::default()
            });
        }
        seat.slice.state.tries = 0;
        match cx.app.store.save_slice(&mut seat.slice).await {
            Ok(()) => {}
            Err(Error::Lost { .. }) => *place = None,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
