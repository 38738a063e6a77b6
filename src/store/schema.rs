//! The tables, as both engines have them.

diesel::table! {
    customers (account, customer_id) {
        account -> Text,
        customer_id -> Text,
        first_name -> Text,
        last_name -> Text,
        middle_name -> Nullable<Text>,
        date_of_birth -> Date,
        identities -> Text,
        street -> Text,
        street2 -> Nullable<Text>,
        city -> Text,
        post_code -> Text,
        state -> Text,
        country -> Text,
        version -> Binary,
        created_at -> BigInt,
        updated_at -> BigInt,
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
    secrets (name) {
        name -> Text,
        value -> Binary,
    }
}
