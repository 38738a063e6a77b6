//! The list of endpoints.

use super::output;
use crate::{
    model::Timestamp,
    store::{FeedStart, Store, StoreError, Webhook},
};

const HEAD: [&str; 10] = [
    "ID",
    "ACCOUNT",
    "STATE",
    "TYPES",
    "POSITION",
    "BEHIND",
    "HELD BACK",
    "OLDEST UNSENT",
    "LAST FAILURE",
    "URL",
];

/// Prints a line for each endpoint.
pub(super) async fn print(store: &Store) -> anyhow::Result<()> {
    store.number_events().await?;
    let mut lines = vec![line(&HEAD.map(str::to_owned))];
    for webhook in store.webhooks().await? {
        lines.push(line(&cells(store, webhook).await?));
    }
    output::print(lines.join("\n"))
}

async fn cells(store: &Store, webhook: Webhook) -> Result<[String; 10], StoreError> {
    let newest = store.feed_head(&webhook.account).await?.map_or(0, |head| head.newest);
    let held = store.held_customers(&webhook).await?.unwrap_or_default();
    let cursor = webhook.progress.cursor;
    let behind = (newest - cursor.position).max(0) + store.held_events(&webhook).await?;
    let next = store.events(&webhook.account, None, FeedStart::After(cursor), 1).await?;
    let next = next.and_then(|page| page.events.first().map(|event| event.event.occurred));
    let oldest = held.iter().map(|held| held.occurred).chain(next).min();
    let oldest = oldest.and_then(Timestamp::from_micros);
    let types = webhook.types.chosen().map_or_else(
        || "all".to_owned(),
        |types| types.into_iter().map(<&str>::from).collect::<Vec<_>>().join(","),
    );
    Ok([
        webhook.id,
        webhook.account.to_string(),
        webhook.state.as_str().to_owned(),
        types,
        cursor.position.to_string(),
        behind.to_string(),
        held.len().to_string(),
        oldest.map_or_else(|| "-".to_owned(), |oldest| oldest.to_string()),
        webhook.progress.last_failure.unwrap_or_else(|| "-".to_owned()),
        webhook.url,
    ])
}

/// Two spaces at least stand between cells, and one inside of them at most.
fn line([id, account, state, types, position, behind, held, oldest, failure, url]: &[String; 10]) -> String {
    format!(
        "{id:<32}  {account:<20}  {state:<16}  {types:<15}  {position:>8}  {behind:>8}  {held:>9}  {oldest:<27}  \
         {failure:<12}  {url}"
    )
}
