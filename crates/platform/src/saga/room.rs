//! Room in the background: how many runs that nobody awaits go at once, and how many wait for that in memory.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{Progress, engine::Inner};

/// Where a run stands in the background.
pub(super) enum Place {
    /// It has its room.
    Room(OwnedSemaphorePermit),
    /// It waits for room, or for somebody to await it.
    Queue(Queued),
}

/// A place in the queue for room.
pub(super) struct Queued(Arc<Inner>);

impl Queued {
    pub(super) fn new(engine: Arc<Inner>) -> Self {
        engine.queued.fetch_add(1, SeqCst);
        Self(engine)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, SeqCst);
    }
}

impl Inner {
    /// Waits until a run that nobody awaits has `room`, and keeps the room until its end or until somebody awaits it:
    /// a request is never behind the background, nor takes its room.
    pub(super) async fn in_background(
        self: Arc<Self>,
        place: Place,
        awaited: CancellationToken,
        run: impl Future<Output = Progress>,
    ) -> Progress {
        let room = match place {
            Place::Room(room) => Some(room),
            Place::Queue(queued) => {
                let room = tokio::select! {
                    biased;
                    () = awaited.cancelled() => None,
                    () = self.deps.tasks.stopping().cancelled() => return Progress::Halted,
                    room = self.background.clone().acquire_owned() => room.ok(),
                };
                drop(queued);
                room
            }
        };
        let given_back = async {
            awaited.cancelled().await;
            drop(room);
        };
        let mut run = pin!(run);
        tokio::select! {
            biased;
            progress = &mut run => progress,
            () = given_back => run.await,
        }
    }
}
