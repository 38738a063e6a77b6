//! Any text as a file of seal keys, and any bytes as a stored record: nobody panics, and nothing opens that was not sealed.

#![no_main]

use arbitrary::Arbitrary;
use customers_api::{
    account::Account,
    model::Timestamp,
    record::{Records, Resealed, SealKeys, is_key_id},
    store::{Record, StoredCustomer, Version},
};
use libfuzzer_sys::fuzz_target;

/// A key that is not a secret.
const KEY: &str = "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    key_file: &'a str,
    record: &'a [u8],
    sealed_by: Option<&'a str>,
    place: usize,
    bit: u8,
}

fn stored(bytes: Vec<u8>, sealed_by: Option<&str>) -> StoredCustomer {
    let now = Timestamp::from_micros(1_750_000_000_000_000).expect("a timestamp");
    let record = Record { bytes, sealed_by: sealed_by.map(str::to_owned) };
    let customer_id = "c-1".parse().expect("an id");
    StoredCustomer { customer_id, record, version: Version::ZERO, created: now, updated: now }
}

fuzz_target!(|input: Input<'_>| {
    let Input { key_file, record, sealed_by, place, bit } = input;
    if let Ok(keys) = SealKeys::parse(key_file) {
        assert!(keys.ids().all(is_key_id), "every key has an id that can be printed");
        assert_eq!(keys.ids().next(), Some(keys.current()));
    }
    let account: Account = "acme".parse().expect("an account");
    let records = Records::new(SealKeys::parse(KEY).expect("a key"));
    // Nobody but the holder of the key can make a sealed record.
    assert!(records.answer(&account, &stored(record.to_vec(), Some("k1"))).is_err());
    let _ = records.answer(&account, &stored(record.to_vec(), sealed_by));

    // Whatever the record holds, it comes out equal where it was sealed, and not at all after a change.
    let plain = stored(record.to_vec(), None);
    let Ok(Resealed::Changed(sealed)) = records.reseal("acme", &plain) else { panic!("plain bytes can be sealed") };
    let bytes = sealed.record.bytes;
    let opened = records.answer(&account, &stored(bytes.clone(), Some("k1")));
    assert_eq!(opened.ok(), Records::default().answer(&account, &plain).ok());
    let mut damaged = bytes;
    let place = place % damaged.len();
    damaged[place] ^= 1 << (bit % 8);
    assert!(records.check("acme", &stored(damaged, Some("k1"))).is_err(), "a damaged byte is found");
});
