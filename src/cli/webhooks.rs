use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand, error::ErrorKind};

use super::{
    database::Database, output, seal_options::SealKeysFile, webhook_list, webhook_options::WebhookOptions,
};
use crate::{
    account::Account,
    clock,
    model::{EventType, InvalidTimestamp, Timestamp},
    random,
    record::Records,
    store::{Access, Cursor, EventPage, EventTypes, FeedStart, Store, StoredEvent, Webhook, WebhookSecret},
    webhooks::{Client, ENDPOINTS_MAX, InvalidTarget, Secret, Secrets, Target, TargetError, message},
};

/// Send each change of a customer to other services
///
/// An endpoint is a URL that gets the events of an account from now on: signed as Standard Webhooks 1.0 says, in the order of each
/// customer, and again until it acknowledges them. A running service follows within 2 seconds.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Webhooks {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  customers-api webhooks add --account acme --url https://example.com/hooks --seal-keys seal-keys
  customers-api webhooks list
  customers-api webhooks test ID --seal-keys seal-keys
  customers-api webhooks rotate-secret ID --seal-keys seal-keys
  customers-api webhooks replay ID --from 2026-01-31T12:00:00Z
  customers-api webhooks remove ID";

/// How many secrets of an endpoint sign at the same time, at most.
const SECRETS_MAX: usize = 4;

const NO_ENDPOINT: &str = "there is no endpoint with this id: see `webhooks list`";

/// An error shows no secret, also if nothing else does.
const NO_SECRET_SHOWN: &str = "its secret could not be shown: `webhooks rotate-secret` makes another one";

/// How many events are looked at together.
const PAGE_EVENTS: u32 = 1000;

/// How long an old secret signs after a rotation.
const ROTATION_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an endpoint, and print its id and its secret, which is shown once
    Add {
        /// Whose events are sent
        #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
        account: Account,
        /// Where they are sent: a URL with https
        #[arg(id = "webhook_url", long = "url", value_name = "URL")]
        url: String,
        /// Which types of events, repeated or with commas [default: all]
        #[arg(long, value_name = "TYPE", value_delimiter = ',')]
        types: Vec<EventType>,
        #[command(flatten)]
        allow: WebhookOptions,
        #[command(flatten)]
        seal: SealKeysFile,
        #[command(flatten)]
        database: Database,
    },
    /// List all endpoints and how far they are
    List {
        #[command(flatten)]
        database: Database,
    },
    /// Send the newest event of the account once, now, and print the status of the answer
    Test {
        #[command(flatten)]
        webhook: Named,
        #[command(flatten)]
        allow: WebhookOptions,
        #[command(flatten)]
        seal: SealKeysFile,
    },
    /// Add a new secret, and print it; the old one signs as well for 24 hours
    RotateSecret {
        #[command(flatten)]
        webhook: Named,
        /// Forget the old secrets at once
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        seal: SealKeysFile,
    },
    /// Send nothing until it is resumed
    Pause(Named),
    /// Go on where it stands, and try everything that waits at once
    Resume(Named),
    /// Send events again
    Replay {
        #[command(flatten)]
        webhook: Named,
        /// The first event: its position, or the time from which on it happened (RFC 3339)
        #[arg(long, value_name = "POSITION|TIME", value_parser = from)]
        from: From,
    },
    /// Remove an endpoint and its secrets
    Remove(Named),
}

/// An endpoint.
#[derive(Debug, Args)]
struct Named {
    /// The endpoint's id
    id: String,
    #[command(flatten)]
    database: Database,
}

/// Where a replay begins.
#[derive(Debug, Clone, Copy)]
enum From {
    /// With the event at this position.
    Position(i64),
    /// With the first event that happened at this time or later.
    Time(Timestamp),
}

impl Webhooks {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Add { account, url, types, allow, seal, database } => {
                add(account, &url, types, &allow, &seal, &database).await
            }
            Command::List { database } => webhook_list::print(&database.open(Access::Read).await?).await,
            Command::Test { webhook, allow, seal } => test(&webhook, &allow, &seal).await,
            Command::RotateSecret { webhook, now, seal } => rotate(&webhook, now, &seal).await,
            Command::Pause(webhook) => pause(&webhook).await,
            Command::Resume(webhook) => resume(&webhook).await,
            Command::Replay { webhook, from } => replay(&webhook, from).await,
            Command::Remove(webhook) => remove(&webhook).await,
        }
    }
}

async fn add(
    account: Account,
    url: &str,
    types: Vec<EventType>,
    allow: &WebhookOptions,
    seal: &SealKeysFile,
    database: &Database,
) -> anyhow::Result<()> {
    let target = Target::parse(url, &allow.allowed()).map_err(misuse)?;
    let store = database.open(Access::Existing).await?;
    match target.resolve().await {
        Err(error @ TargetError::NotPublic) => return Err(error.into()),
        Err(error @ TargetError::Unresolved) => output::note(format_args!("note: {error} yet")),
        Ok(_) => {}
    }
    let sealing = Sealing::begin(&store, seal).await?;
    store.number_events().await?;
    let newest = store.events(&account, None, FeedStart::Newest, 1).await?;
    let cursor = newest.map_or(Cursor::START, |page| page.next);
    let types = if types.is_empty() { EventTypes::ALL } else { types.into_iter().collect() };
    let (id, url) = (random::uuid().simple().to_string(), target.as_str().to_owned());
    let webhook = Webhook::new(id, account, url, types, cursor);
    let secret = Secret::random();
    let row = sealing.seal(&webhook.id, &secret)?;
    let is_added = store.add_webhook(&webhook, &row, ENDPOINTS_MAX).await;
    sealing.end(&store).await;
    ensure!(is_added?, "the account {} has {ENDPOINTS_MAX} endpoints, which is the most", webhook.account);
    output::print(format_args!("{} {}", webhook.id, &*secret.reveal()))
        .with_context(|| format!("added the endpoint {}, but {NO_SECRET_SHOWN}", webhook.id))
}

async fn test(named: &Named, allow: &WebhookOptions, seal: &SealKeysFile) -> anyhow::Result<()> {
    let (store, webhook) = named.find(Access::Read).await?;
    let records = seal.open(&store).await?;
    let target = Target::parse(&webhook.url, &allow.allowed())?;
    let event = newest_event(&store, &webhook.account).await?;
    let signers = Secrets::new(records).read(&store).await?.remove(&webhook.id).unwrap_or_default();
    let message =
        message(event, &signers).context("no secret of the endpoint can be opened with these seal keys")?;
    let (client, began) = (Client::new(allow.allowed())?, Instant::now());
    let sent = client.send(&target, &message).await;
    let milliseconds = began.elapsed().as_millis();
    match sent {
        Ok(status) => output::print(format_args!("{status} in {milliseconds} ms")),
        Err(failure) => {
            output::print(format_args!("{} after {milliseconds} ms", failure.kind))?;
            bail!("the endpoint did not accept the event")
        }
    }
}

async fn newest_event(store: &Store, account: &Account) -> anyhow::Result<StoredEvent> {
    store.number_events().await?;
    let newest = store.feed_head(account).await?.map_or(0, |head| head.newest);
    let before = store.cursor_at(account, newest - 1).await?.unwrap_or(Cursor::START);
    let page = store.events(account, None, FeedStart::After(before), 1).await?;
    let newest = page.and_then(|page| page.events.into_iter().next());
    newest.with_context(|| format!("the account {account} has no event that could be sent"))
}

async fn rotate(named: &Named, is_now: bool, seal: &SealKeysFile) -> anyhow::Result<()> {
    let (store, webhook) = named.find(Access::Existing).await?;
    let sealing = Sealing::begin(&store, seal).await?;
    let secret = Secret::random();
    let row = sealing.seal(&webhook.id, &secret)?;
    let now = row.created_at;
    store.rotate_webhook_secret(&row, if is_now { now } else { now + ROTATION_MICROS }).await?;
    let all = store.webhook_secrets().await?.into_iter().filter(|other| other.webhook_id == webhook.id);
    for oldest in all.skip(SECRETS_MAX) {
        store.remove_webhook_secret(&oldest).await?;
    }
    store.prune_webhook_secrets().await?;
    sealing.end(&store).await;
    output::print(&*secret.reveal()).with_context(|| format!("a new secret signs, but {NO_SECRET_SHOWN}"))
}

async fn pause(named: &Named) -> anyhow::Result<()> {
    let (store, webhook) = named.find(Access::Existing).await?;
    ensure!(
        store.pause_webhook(&webhook.id).await?,
        "the endpoint is not active: {}",
        webhook.state.as_str()
    );
    output::report(&format!("paused {}", webhook.id))
}

async fn resume(named: &Named) -> anyhow::Result<()> {
    let (store, webhook) = named.find(Access::Existing).await?;
    ensure!(
        store.resume_webhook(&webhook.id).await?,
        "the endpoint is gone: events that it was not sent are not kept any more, so only `webhooks replay` makes it go on"
    );
    output::report(&format!("resumed {}", webhook.id))
}

async fn replay(named: &Named, from: From) -> anyhow::Result<()> {
    let (store, webhook) = named.find(Access::Existing).await?;
    store.number_events().await?;
    let after = match from {
        From::Position(position) => before_position(&store, &webhook.account, position).await?,
        From::Time(time) => before_time(&store, &webhook.account, time).await?,
    };
    ensure!(store.replay_webhook(&webhook.id, after).await?, NO_ENDPOINT);
    output::report(&format!("{} goes on with the event at position {}", webhook.id, after.position + 1))
}

/// The place before an event that is kept.
async fn before_position(store: &Store, account: &Account, position: i64) -> anyhow::Result<Cursor> {
    let head = store.feed_head(account).await?;
    let (oldest, newest) = head.map_or((1, 0), |head| (head.pruned + 1, head.newest));
    ensure!(
        (oldest..=newest).contains(&position),
        "the event at position {position} is not kept: there are those from {oldest} to {newest}"
    );
    store.cursor_at(account, position - 1).await?.context("the event before is damaged")
}

/// The place before the first event that happened at this time or later.
async fn before_time(store: &Store, account: &Account, time: Timestamp) -> anyhow::Result<Cursor> {
    let mut page = store.events(account, None, FeedStart::Oldest, PAGE_EVENTS).await?;
    let head = store.feed_head(account).await?;
    let mut before = head.and_then(|head| head.begin()).unwrap_or(Cursor::START);
    while let Some(EventPage { events, next, has_more }) = page {
        for event in &events {
            if event.event.occurred >= time.micros() {
                return Ok(before);
            }
            before = event.cursor();
        }
        if !has_more {
            break;
        }
        page = store.events(account, None, FeedStart::After(next), PAGE_EVENTS).await?;
    }
    bail!("no event of the account {account} happened at that time or later")
}

async fn remove(named: &Named) -> anyhow::Result<()> {
    let (store, webhook) = named.find(Access::Existing).await?;
    ensure!(store.remove_webhook(&webhook.id).await?, NO_ENDPOINT);
    store.erase().await.context("the secrets are not erased from the files yet")?;
    output::report(&format!("removed {}", webhook.id))
}

impl Named {
    async fn find(&self, access: Access) -> anyhow::Result<(Store, Webhook)> {
        let store = self.database.open(access).await?;
        let found = store.webhooks().await?.into_iter().find(|webhook| webhook.id == self.id);
        Ok((store, found.context(NO_ENDPOINT)?))
    }
}

/// The right to seal secrets, until it ends.
struct Sealing(Records);

impl Sealing {
    async fn begin(store: &Store, seal: &SealKeysFile) -> anyhow::Result<Self> {
        let records = seal.open(store).await?;
        ensure!(
            records.are_sealed(),
            "needs --seal-keys FILE: the secret of an endpoint is kept sealed only"
        );
        records.begin(store).await?;
        Ok(Self(records))
    }

    fn seal(&self, webhook_id: &str, secret: &Secret) -> anyhow::Result<WebhookSecret> {
        let (sealed_by, sealed) = self.0.seal_secret(webhook_id, secret.as_bytes())?;
        Ok(WebhookSecret {
            webhook_id: webhook_id.to_owned(),
            secret_id: random::uuid().simple().to_string(),
            created_at: clock::now().timestamp_micros(),
            expires_at: None,
            sealed_by,
            secret: sealed,
        })
    }

    async fn end(self, store: &Store) {
        self.0.end(store).await;
    }
}

/// The same as for an argument that clap refuses.
fn misuse(error: InvalidTarget) -> clap::Error {
    let mut command = clap::Command::new("customers-api webhooks add");
    command.error(ErrorKind::ValueValidation, format!("the value of --url is refused: {error}"))
}

/// Digits are a position, anything else is a time.
fn from(text: &str) -> Result<From, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(From::Position).map_err(|_| "is not a position".to_owned());
    }
    text.parse().map(From::Time).map_err(|error: InvalidTimestamp| error.to_string())
}
