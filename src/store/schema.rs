//! The tables, as both engines have them. Each engine also has something of its own: SQLite `customers.seq`, `high_water`
//! and `garbage`, Postgres `customers.created_in`, `customers.imported_at` and `outbox`.

diesel::joinable!(key_limits -> signing_keys (key_id));
diesel::allow_tables_to_appear_in_same_query!(key_limits, signing_keys);
diesel::joinable!(held_customers -> webhooks (webhook_id));
diesel::allow_tables_to_appear_in_same_query!(events, held_customers);
diesel::allow_tables_to_appear_in_same_query!(held_customers, webhooks);

diesel::table! {
    customers (account, customer_id) {
        account -> Text,
        customer_id -> Text,
        version -> Binary,
        created_at -> BigInt,
        updated_at -> BigInt,
        signature_expires_at -> Nullable<BigInt>,
        sealed_by -> Nullable<Text>,
        record -> Binary,
    }
}

diesel::table! {
    signing_keys (key_id) {
        key_id -> Text,
        account -> Text,
        algorithm -> Text,
        public_key -> Text,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    key_limits (key_id) {
        key_id -> Text,
        scope -> Text,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    key_uses (key_id) {
        key_id -> Text,
        used_on -> BigInt,
    }
}

diesel::table! {
    secrets (name) {
        name -> Text,
        value -> Binary,
    }
}

diesel::table! {
    seal_keys (key_id) {
        key_id -> Text,
        check_value -> Binary,
    }
}

diesel::table! {
    used_signatures (expires_at, hash) {
        expires_at -> BigInt,
        hash -> Binary,
        outcome -> Binary,
    }
}

diesel::table! {
    sealers (sealer) {
        sealer -> Text,
        key_id -> Nullable<Text>,
        expires_at -> BigInt,
    }
}

diesel::table! {
    events (account, position) {
        account -> Text,
        position -> BigInt,
        customer_id -> Text,
        event_id -> Binary,
        event_type -> BigInt,
        occurred_at -> BigInt,
        previous -> Nullable<Binary>,
        key_id -> Nullable<Text>,
    }
}

diesel::table! {
    feed_heads (account) {
        account -> Text,
        newest -> BigInt,
        pruned -> BigInt,
        pruned_id -> Nullable<Binary>,
        pruned_at -> Nullable<BigInt>,
        oldest_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    webhooks (webhook_id) {
        webhook_id -> Text,
        account -> Text,
        url -> Text,
        types -> BigInt,
        created_at -> BigInt,
        state -> Text,
        position -> BigInt,
        position_id -> Binary,
        position_at -> BigInt,
        failures -> BigInt,
        failing_since -> Nullable<BigInt>,
        held_until -> BigInt,
        last_failure -> Nullable<Text>,
        epoch -> BigInt,
        holder -> Nullable<Text>,
        lease_ends_at -> BigInt,
    }
}

diesel::table! {
    webhook_secrets (webhook_id, secret_id) {
        webhook_id -> Text,
        secret_id -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        sealed_by -> Text,
        secret -> Binary,
    }
}

diesel::table! {
    held_customers (webhook_id, customer_id) {
        webhook_id -> Text,
        customer_id -> Text,
        position -> BigInt,
        occurred_at -> BigInt,
        tries -> BigInt,
        due_at -> BigInt,
    }
}
