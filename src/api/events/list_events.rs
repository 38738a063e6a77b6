use std::{sync::LazyLock, time::Duration};

use actix_web::web::Data;
use tokio::time::{Instant, sleep_until};

use super::{feed_token, page, start::FollowStart};
use crate::{
    account::Account,
    api::{
        document::Gone,
        error::ApiError,
        request::{Signed, input},
        response::Listed,
        state::Api,
    },
    model::{Events, PageSize},
    store::{EventPage, FeedStart},
};

input! {
    /// What `listEvents` takes from a request.
    pub(super) struct ListEvents {
        page_size: Option<PageSize>,
        follow: FollowStart,
    }
}

/// Returns one page of the account's events, and may wait for the next one.
#[utoipa::path(
    get,
    impl_for = ListEvents,
    path = "/events",
    operation_id = "listEvents",
    responses(Gone)
)]
pub(super) async fn list_events(
    request: Signed<ListEvents>,
    api: Data<Api>,
) -> Result<Listed<ListEvents, Events>, ApiError> {
    let Signed { account, proof: _, input: ListEvents { page_size, follow } } = request;
    let FollowStart { start, wait } = follow;
    let page = read_or_wait(&api, &account, start, page_size.unwrap_or_default().get(), wait).await?;
    let token = feed_token::issue(&account, None, &page.next);
    page::json(page.events, Some(token)).map(Listed::from)
}

/// The page; if it is empty, waits for an event until the time is over, the service stops, or a new connection needs the place.
async fn read_or_wait(
    api: &Api,
    account: &Account,
    start: FeedStart,
    limit: u32,
    wait: Duration,
) -> Result<EventPage, ApiError> {
    let (deadline, mut start) = (Instant::now() + wait, start);
    loop {
        // In a box, so that whoever waits has no room for it.
        let page = Box::pin(page::read(api, account, None, start, limit)).await?;
        if !page.events.is_empty() || Instant::now() >= deadline {
            return Ok(page);
        }
        start = FeedStart::After(page.next);
        tokio::select! {
            may_wait = api.store.event_after_for_request(account, page.next.position) => if !may_wait {
                return Ok(page);
            },
            () = api.readiness.stopped() => return Ok(page),
            () = sleep_until(on_the_beat(deadline)) => if api.store.is_followed() {
                return Ok(page);
            },
        }
    }
}

/// At this time, or less than a fifth of a second later. So several of those who wait are answered at the same time, and ask again
/// at the same time. A worker that wakes up for each costs more: 1,000 of them took 0.076 of a core, and 0.028 on a beat of 0.1 s.
fn on_the_beat(deadline: Instant) -> Instant {
    const BEAT_NANOS: u32 = 200_000_000;
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = deadline.saturating_duration_since(*FIRST).subsec_nanos() % BEAT_NANOS;
    deadline + Duration::from_nanos((BEAT_NANOS - since).into())
}
