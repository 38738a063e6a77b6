use std::{future::poll_fn, mem, task::Poll};

use tokio::task::yield_now;

/// Goes behind all tasks of this worker, also those of requests that are yet to be read from their connections.
pub(crate) async fn behind_new_tasks() {
    yield_now().await;
}

/// Goes behind the tasks that are ready, before the runtime looks for more. tokio's `yield_now` would go behind those, too.
pub(super) async fn behind_ready_tasks() {
    let mut has_gone = false;
    poll_fn(|context| {
        if mem::replace(&mut has_gone, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
