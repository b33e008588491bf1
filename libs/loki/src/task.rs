//! The supervised task of one destination: begins anew when its settings change, ends with the service.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Notify;
use toolkit::{App, Live, OnEnd};

use crate::{Delivery, Destination, Pusher, Render, delivery::Watch};

/// Time for a request under way when the settings change or the service stops.
const FINISH: Duration = Duration::from_secs(8);
/// The same when another process waits for the place of this one.
const HURRY: Duration = Duration::from_millis(300);

/// Pushes what the reader `name` of a queue gives, in a supervised task.
///
/// `section` finds the destination in the configuration; when it is another one after a reload, the request under way is finished and
/// delivery goes on there. While there is none, what waits stays in the queue. `render` makes the renderer, anew at each such change.
/// A request that is given up when the service stops is sent again with the same stamps at the next start.
///
/// # Errors
/// The queue has no such reader, or a certificate or the address of the destination is wrong.
pub fn deliver<C, R>(
    app: &mut App,
    live: &Live<C>,
    section: impl Fn(&C) -> Option<Destination> + Send + Sync + 'static,
    name: &str,
    render: impl Fn() -> R + Send + Sync + 'static,
    delivery: &Arc<Delivery>,
) -> anyhow::Result<()>
where
    C: Send + Sync + 'static,
    R: Render + 'static,
{
    let watch = delivery.watch(name);
    let watch = watch.with_context(|| format!("the queue has no reader {name:?}"))?;
    // The first success is an increase of a series that was there before.
    watch.expect_code("204");
    let task = Arc::new(Task {
        section,
        render,
        delivery: Arc::clone(delivery),
        watch: Arc::clone(watch),
    });
    // A wrong certificate or address is a fault of the configuration: said at the start.
    if let Some(destination) = (task.section)(&live.current()) {
        task.pusher(&destination)?;
    }
    let live = live.clone();
    app.spawn("push", OnEnd::Restart, move |stop| {
        let (task, mut live) = (Arc::clone(&task), live.clone());
        async move {
            loop {
                let Some(destination) = (task.section)(&live.current()) else {
                    tokio::select! {
                        () = live.changed() => continue,
                        () = stop.requested() => return Ok(()),
                    }
                };
                let mut pusher = task.pusher(&destination)?;
                let (stopped, handing_over) = (Notify::new(), task.delivery.handing_over());
                let run = pusher.run(&stopped);
                tokio::pin!(run);
                let patience = loop {
                    tokio::select! {
                        ended = &mut run => return Ok(ended?),
                        () = live.changed() => {
                            let next = (task.section)(&live.current());
                            if next.is_none_or(|next| !next.is_same(&destination)) {
                                break FINISH;
                            }
                        }
                        () = stop.requested() => break FINISH,
                        () = handing_over.requested() => break HURRY,
                    }
                };
                stopped.notify_one();
                let _ = tokio::time::timeout(patience, run).await;
                if handing_over.is_requested() {
                    stop.requested().await;
                }
                if stop.is_requested() {
                    return Ok(());
                }
                let destination = task.watch.name();
                tracing::info!(destination, "delivery goes on with its new settings");
            }
        }
    });
    Ok(())
}

/// What makes a pusher.
struct Task<S, N> {
    section: S,
    render: N,
    delivery: Arc<Delivery>,
    watch: Arc<Watch>,
}

impl<S, N> Task<S, N> {
    fn pusher<R>(&self, destination: &Destination) -> anyhow::Result<Pusher<R>>
    where
        N: Fn() -> R,
        R: Render + 'static,
    {
        Ok(Pusher::new(
            destination.clone(),
            self.delivery.queue().reader(self.watch.name())?,
            (self.render)(),
            Arc::clone(&self.watch) as Arc<_>,
            Arc::clone(self.delivery.dead()),
        )?)
    }
}
