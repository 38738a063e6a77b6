use std::{collections::HashMap, time::Duration};

use clap::Args;
use tokio::time::sleep;

use super::{database::Database, event_lines::write_event, output, stop::Signals};
use crate::{
    account::Account,
    model::{CustomerId, Timestamp},
    store::{Access, Collection, Cursor, EventPage, FeedHead, FeedStart, Store},
};

/// Print what happened to customers, a line of JSON each: the audit trail
///
/// A line is an event of the contract, with its account and its position: who changed which customer when, from which version to
/// which. Those of an account come in their order. Events are kept for as long as `serve --events-days` says.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Events {
    /// Print the events of this account only
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    account: Option<Account>,
    /// Print the events of this customer only
    #[arg(long, value_name = "ID", requires = "account", allow_hyphen_values = true)]
    customer: Option<CustomerId>,
    /// Print what happened from this time on only (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Go on with what happens from now on, until SIGTERM or SIGINT
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    database: Database,
}

const EXAMPLES: &str = "\
Examples:
  customers-api events --account acme --customer c-1001
  customers-api events --since 2026-01-31T12:00:00Z | jq -r '[.Occurred, .KeyID, .EventType, .CustomerID] | @tsv'
  customers-api events --account acme --follow";

const PAGE_EVENTS: u32 = 500;

/// How long to wait for new events, and to look whether somebody still reads.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);

impl Events {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut signals = Signals::listen()?;
        let is_end = self.follow;
        tokio::select! {
            printed = self.print() => printed,
            () = signals.next() => {
                anyhow::ensure!(is_end, "interrupted by a signal");
                Ok(())
            }
        }
    }

    async fn print(self) -> anyhow::Result<()> {
        let store = self.database.open(Access::Read).await?;
        let mut seen = HashMap::new();
        loop {
            store.number_events().await?;
            for head in store.feed_heads().await? {
                if self.is_meant(&head) && !self.print_feed(&store, &head, &mut seen).await? {
                    return Ok(());
                }
            }
            if !self.follow || !output::is_read()? {
                return Ok(());
            }
            sleep(FOLLOW_PAUSE).await;
        }
    }

    fn is_meant(&self, head: &FeedHead) -> bool {
        self.account.as_ref().is_none_or(|account| account.as_str() == head.account)
    }

    /// Prints the events of an account that were not printed yet. False if nobody reads them.
    async fn print_feed(
        &self,
        store: &Store,
        head: &FeedHead,
        seen: &mut HashMap<String, Cursor>,
    ) -> anyhow::Result<bool> {
        let Ok(collection) = Collection::parse(&head.account) else { return Ok(true) };
        if seen.get(&head.account).is_some_and(|seen| seen.position >= head.newest) {
            return Ok(true);
        }
        loop {
            let start = seen.get(&head.account).map_or(FeedStart::Oldest, |seen| FeedStart::After(*seen));
            let page = store.events(collection.by_ref(), self.customer.as_ref(), start, PAGE_EVENTS).await?;
            let Some(EventPage { events, next, has_more }) = page else {
                output::note(format_args!(
                    "note: events of {} were pruned or replaced before they were read; it goes on with the oldest",
                    head.account
                ));
                seen.remove(&head.account);
                continue;
            };
            let mut lines = Vec::new();
            for event in &events {
                if self.since.is_none_or(|since| event.event.occurred >= since.micros()) {
                    write_event(&head.account, event, true, &mut lines)?;
                }
            }
            if !output::print_bytes(&lines)? {
                return Ok(false);
            }
            seen.insert(head.account.clone(), next);
            if !has_more {
                return Ok(true);
            }
        }
    }
}
