//! Webhooks: queries about endpoints, their secrets, and who sends.

use super::{
    catalog::after,
    engine::{Engine, Store},
    error::StoreError,
    feed::{Cursor, FeedHead},
    query::{either, query, statements},
    schema::{events, feed_heads, held_customers, webhook_secrets, webhooks},
    version::Version,
    webhook::{
        HeldCustomer, HeldRow, LEASE_SECONDS, Progress, Webhook, WebhookChanges, WebhookRow, WebhookSecret,
        WebhookState,
    },
};
use crate::{account::Account, clock, model::CustomerId};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, JoinOnDsl as _, QueryDsl as _, SelectableHelper as _,
    delete, dsl::case_when, insert_into, sql_query, update,
};

/// Whoever adds an endpoint has this lock on Postgres: any number that is no hash of a customer's key, here `webhooks` in ASCII.
const ADDING_LOCK: i64 = 0x7765_6268_6f6f_6b73;

/// Waits, in a transaction, until nobody else adds an endpoint.
fn one_at_a_time(engine: &Engine) -> String {
    match engine {
        // The transaction is the only one that writes.
        Engine::Sqlite(_) => "SELECT 1".to_owned(),
        Engine::Postgres(_) => format!("SELECT pg_advisory_xact_lock({ADDING_LOCK})"),
    }
}

impl Store {
    /// Adds an endpoint with its first secret; false, and nothing happens, if its account has so many already.
    pub async fn add_webhook(
        &self,
        webhook: &Webhook,
        secret: &WebhookSecret,
        endpoints_max: i64,
    ) -> Result<bool, StoreError> {
        let (row, secret) = (WebhookRow::new(webhook, secret.created_at), secret.clone());
        let (lock, account) = (one_at_a_time(&self.engine), webhook.account.to_string());
        either!(self.transaction(|connection| {
            run!(sql_query(&lock).execute(connection))?;
            let endpoints = webhooks::table.filter(webhooks::account.eq(&account)).count();
            let endpoints: i64 = run!(endpoints.get_result(connection))?;
            if endpoints >= endpoints_max {
                return Ok(false);
            }
            run!(insert_into(webhooks::table).values(&row).execute(connection))?;
            run!(insert_into(webhook_secrets::table).values(&secret).execute(connection))?;
            Ok(true)
        }))
    }

    /// All endpoints by account, the oldest first. A damaged row does not hide the others.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        let now = after(&self.engine, 0);
        let rows: Vec<(WebhookRow, i64)> = query!(self, |connection| webhooks::table
            .order_by((webhooks::account, webhooks::created_at, webhooks::webhook_id))
            .select((WebhookRow::as_select(), webhooks::lease_ends_at - now.clone()))
            .load(connection))?;
        Ok(rows.into_iter().filter_map(|(row, lease_seconds)| row.webhook(lease_seconds)).collect())
    }

    /// Takes over all endpoints that nobody sends to. They are this holder's for 15 seconds.
    pub async fn claim_webhooks(&self, holder: &str) -> Result<(), StoreError> {
        let holder = holder.to_owned();
        let (now, ends_at) = (after(&self.engine, 0), after(&self.engine, LEASE_SECONDS));
        let claimed = query!(self, |connection| update(
            webhooks::table
                .filter(webhooks::state.eq(WebhookState::Active.as_str()))
                .filter(webhooks::holder.is_null().or(webhooks::holder.ne(&holder)))
                // One that ends later was made before the clock was set back.
                .filter(
                    webhooks::lease_ends_at.le(now.clone()).or(webhooks::lease_ends_at.gt(ends_at.clone()))
                )
        )
        .set((
            webhooks::epoch.eq(webhooks::epoch + 1),
            webhooks::holder.eq(&holder),
            webhooks::lease_ends_at.eq(ends_at.clone())
        ))
        .execute(connection));
        claimed.map(drop)
    }

    /// Keeps all endpoints of this holder for 15 seconds from now.
    pub async fn renew_webhooks(&self, holder: &str) -> Result<(), StoreError> {
        let (holder, ends_at) = (holder.to_owned(), after(&self.engine, LEASE_SECONDS));
        let renewed = query!(self, |connection| update(webhooks::table.filter(webhooks::holder.eq(&holder)))
            .set(webhooks::lease_ends_at.eq(ends_at.clone()))
            .execute(connection));
        renewed.map(drop)
    }

    /// Lets others send to the endpoints of this holder.
    pub async fn release_webhooks(&self, holder: &str) -> Result<(), StoreError> {
        let holder = holder.to_owned();
        let released =
            query!(self, |connection| update(webhooks::table.filter(webhooks::holder.eq(&holder)))
                .set((webhooks::holder.eq(None::<String>), webhooks::lease_ends_at.eq(0)))
                .execute(connection));
        released.map(drop)
    }

    /// Writes down what became of an endpoint. False, and nothing happens, if somebody took it over or started it anew.
    pub async fn save_webhook(
        &self,
        webhook_id: &str,
        epoch: i64,
        changes: WebhookChanges,
    ) -> Result<bool, StoreError> {
        let WebhookChanges { progress, state, held, freed } = changes;
        let Progress { cursor, failures, failing_since, held_until, last_failure } = progress;
        let webhook_id = webhook_id.to_owned();
        let mut ids: Vec<String> = freed.into_iter().map(CustomerId::into_string).collect();
        ids.extend(held.iter().map(|held| held.customer_id.as_str().to_owned()));
        let rows: Vec<_> = held.into_iter().map(|held| HeldRow::new(&webhook_id, held)).collect();
        // If an operator paused it meanwhile, it stays so.
        let is_paused = webhooks::state.ne(WebhookState::Active.as_str());
        let state = state
            .map(|state| webhooks::state.eq(case_when(is_paused, webhooks::state).otherwise(state.as_str())));
        statements!(
            self,
            update(webhooks::table.find(&webhook_id).filter(webhooks::epoch.eq(epoch))).set((
                webhooks::position.eq(cursor.position),
                webhooks::position_id.eq(cursor.id.as_bytes()),
                webhooks::position_at.eq(cursor.occurred),
                webhooks::failures.eq(failures),
                webhooks::failing_since.eq(failing_since),
                webhooks::held_until.eq(held_until),
                webhooks::last_failure.eq(last_failure.as_deref()),
                state,
            )),
            delete(
                held_customers::table
                    .filter(held_customers::webhook_id.eq(&webhook_id))
                    .filter(held_customers::customer_id.eq_any(&ids))
            ),
            insert_into(held_customers::table).values(&rows)
        )
    }

    /// The customers that are held back, the one that is tried first at the beginning; `None` if somebody took the endpoint
    /// over or started it anew since it was read.
    pub async fn held_customers(&self, webhook: &Webhook) -> Result<Option<Vec<HeldCustomer>>, StoreError> {
        let (webhook_id, epoch) = (webhook.id.clone(), webhook.epoch);
        let rows: Vec<Option<HeldRow>> = query!(self, |connection| webhooks::table
            .left_join(held_customers::table)
            .filter(webhooks::webhook_id.eq(&webhook_id))
            .filter(webhooks::epoch.eq(epoch))
            .order_by((held_customers::due_at, held_customers::position))
            .select(Option::<HeldRow>::as_select())
            .load(connection))?;
        let is_as_it_was = !rows.is_empty();
        let held = rows.into_iter().flatten().filter_map(HeldRow::held).collect();
        Ok(is_as_it_was.then_some(held))
    }

    /// How many events of customers that are held back stand before the cursor of an endpoint.
    pub async fn held_events(&self, webhook: &Webhook) -> Result<i64, StoreError> {
        let Webhook { id, account, progress, .. } = webhook;
        let (id, account, position) = (id.clone(), account.to_string(), progress.cursor.position);
        query!(self, |connection| held_customers::table
            .inner_join(events::table.on(events::customer_id.eq(held_customers::customer_id)))
            .filter(held_customers::webhook_id.eq(&id))
            .filter(events::account.eq(&account).and(events::position.le(position)))
            .filter(events::position.ge(held_customers::position))
            .count()
            .get_result(connection))
    }

    /// Pauses an endpoint; false if it is not active.
    pub async fn pause_webhook(&self, webhook_id: &str) -> Result<bool, StoreError> {
        let webhook_id = webhook_id.to_owned();
        let paused = query!(self, |connection| update(
            webhooks::table.find(&webhook_id).filter(webhooks::state.eq(WebhookState::Active.as_str()))
        )
        .set(webhooks::state.eq(WebhookState::PausedByOperator.as_str()))
        .execute(connection));
        paused.map(|rows| rows == 1)
    }

    /// Lets an endpoint go on where it stands, unless it is gone; everything that waits for its time is tried at once.
    pub async fn resume_webhook(&self, webhook_id: &str) -> Result<bool, StoreError> {
        let webhook_id = webhook_id.to_owned();
        statements!(
            self,
            update(webhooks::table.find(&webhook_id).filter(webhooks::state.ne(WebhookState::Gone.as_str())))
                .set((
                    webhooks::state.eq(WebhookState::Active.as_str()),
                    webhooks::failures.eq(0),
                    webhooks::failing_since.eq(None::<i64>),
                    webhooks::held_until.eq(0),
                    webhooks::epoch.eq(webhooks::epoch + 1),
                )),
            update(held_customers::table.filter(held_customers::webhook_id.eq(&webhook_id)))
                .set(held_customers::due_at.eq(0))
        )
    }

    /// Sends the events after this one again, and forgets the failures among them. An endpoint that an operator paused stays
    /// paused. False if there is no such endpoint.
    pub async fn replay_webhook(&self, webhook_id: &str, after: Cursor) -> Result<bool, StoreError> {
        let webhook_id = webhook_id.to_owned();
        let is_paused = webhooks::state.eq(WebhookState::PausedByOperator.as_str());
        let state = case_when(is_paused, webhooks::state).otherwise(WebhookState::Active.as_str());
        statements!(
            self,
            update(webhooks::table.find(&webhook_id)).set((
                webhooks::state.eq(state),
                webhooks::position.eq(after.position),
                webhooks::position_id.eq(after.id.as_bytes()),
                webhooks::position_at.eq(after.occurred),
                webhooks::failures.eq(0),
                webhooks::failing_since.eq(None::<i64>),
                webhooks::held_until.eq(0),
                webhooks::epoch.eq(webhooks::epoch + 1),
            )),
            delete(
                held_customers::table
                    .filter(held_customers::webhook_id.eq(&webhook_id))
                    .filter(held_customers::position.gt(after.position))
            )
        )
    }

    /// Removes an endpoint with its secrets; false if there is no such endpoint.
    pub async fn remove_webhook(&self, webhook_id: &str) -> Result<bool, StoreError> {
        let webhook_id = webhook_id.to_owned();
        let removed =
            query!(self, |connection| delete(webhooks::table.find(&webhook_id)).execute(connection));
        removed.map(|rows| rows == 1)
    }

    /// The secrets of all endpoints, the newest first.
    pub async fn webhook_secrets(&self) -> Result<Vec<WebhookSecret>, StoreError> {
        query!(self, |connection| webhook_secrets::table
            .order_by((webhook_secrets::created_at.desc(), webhook_secrets::secret_id))
            .select(WebhookSecret::as_select())
            .load(connection))
    }

    /// Where the events of an account begin and end; `None` if it has none.
    pub async fn feed_head(&self, account: &Account) -> Result<Option<FeedHead>, StoreError> {
        let account = account.to_string();
        let mut heads: Vec<FeedHead> = query!(self, |connection| feed_heads::table
            .find(&account)
            .select(FeedHead::as_select())
            .load(connection))?;
        Ok(heads.pop())
    }

    /// The place after the event at this position; `None` if it is not kept, and is not the last one that was pruned.
    pub async fn cursor_at(&self, account: &Account, position: i64) -> Result<Option<Cursor>, StoreError> {
        let head = self.feed_head(account).await?;
        let begin = head.as_ref().map_or(Some(Cursor::START), FeedHead::begin);
        if begin.is_some_and(|begin| begin.position == position) {
            return Ok(begin);
        }
        let account = account.to_string();
        let found: Vec<(Vec<u8>, i64)> = query!(self, |connection| events::table
            .find((&account, position))
            .select((events::event_id, events::occurred_at))
            .load(connection))?;
        let (id, occurred) = match found.first() {
            Some((id, occurred)) => (Version::from_bytes(id), *occurred),
            None => return Ok(None),
        };
        Ok(id.map(|id| Cursor { position, id, occurred }))
    }

    /// Forgets a secret.
    pub async fn remove_webhook_secret(&self, secret: &WebhookSecret) -> Result<(), StoreError> {
        let (webhook_id, secret_id) = (secret.webhook_id.clone(), secret.secret_id.clone());
        let removed =
            query!(self, |connection| delete(webhook_secrets::table.find((&webhook_id, &secret_id)))
                .execute(connection));
        removed.map(drop)
    }

    /// Adds a secret. The others of its endpoint sign until this time at the longest, in microseconds since the Unix epoch.
    pub async fn rotate_webhook_secret(
        &self,
        secret: &WebhookSecret,
        others_expire_at: i64,
    ) -> Result<(), StoreError> {
        let secret = secret.clone();
        let rotated = statements!(
            self,
            insert_into(webhook_secrets::table).values(&secret),
            update(
                webhook_secrets::table
                    .filter(webhook_secrets::webhook_id.eq(&secret.webhook_id))
                    .filter(webhook_secrets::secret_id.ne(&secret.secret_id))
                    .filter(
                        webhook_secrets::expires_at
                            .is_null()
                            .or(webhook_secrets::expires_at.gt(others_expire_at))
                    )
            )
            .set(webhook_secrets::expires_at.eq(others_expire_at))
        );
        rotated.map(drop)
    }

    /// Writes a secret as another key seals it; nothing happens if it is not there as it was any more.
    pub async fn reseal_webhook_secret(
        &self,
        old: &WebhookSecret,
        sealed_by: &str,
        sealed: Vec<u8>,
    ) -> Result<(), StoreError> {
        let (old, sealed_by) = (old.clone(), sealed_by.to_owned());
        let resealed = query!(self, |connection| update(
            webhook_secrets::table
                .find((&old.webhook_id, &old.secret_id))
                .filter(webhook_secrets::sealed_by.eq(&old.sealed_by))
        )
        .set((webhook_secrets::sealed_by.eq(&sealed_by), webhook_secrets::secret.eq(&sealed)))
        .execute(connection));
        resealed.map(drop)
    }

    /// Forgets secrets that do not sign any more.
    pub async fn prune_webhook_secrets(&self) -> Result<(), StoreError> {
        let now = clock::now().timestamp_micros();
        let pruned = query!(self, |connection| delete(
            webhook_secrets::table.filter(webhook_secrets::expires_at.le(now))
        )
        .execute(connection));
        pruned.map(drop)
    }
}
