//! Page tokens: where they are good, and what a bad one gets.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use customers_api::signature::Algorithm;

use super::{all, list, page};
use crate::support::{Engine, TestApi, mia, on_each_engine};

async fn put(api: &TestApi, number: usize) {
    for number in 0..number {
        assert!(api.put(&format!("c-{number}"), &mia()).send().await.status.is_success());
    }
    api.store.number_events().await.unwrap();
}

async fn a_token_of_another_account_or_list_or_a_changed_one_is_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let other = api.register("other", Algorithm::Es256, "other-1").await;
    put(&api, 3).await;
    let feed = page(&list(&api, "?PageSize=1").await.expect(200)).1;
    for path in ["/customers/c-0/events", "/customers/c-1/events", "/customers"] {
        let refused = api.request("GET", &format!("{path}?PageToken={feed}")).send().await.expect(400);
        assert_eq!(refused.violations("Query").len(), 1, "{path}");
    }
    api.request("GET", &format!("/events?PageToken={feed}")).signed_by(&other).send().await.expect(400);

    assert!(api.put("c-0", &mia()).send().await.status.is_success());
    api.store.number_events().await.unwrap();
    let of_customer = api.request("GET", "/customers/c-0/events?PageSize=1").send().await.expect(200).json();
    let of_customer = of_customer["PageToken"].as_str().unwrap();
    for path in ["/events", "/customers/c-1/events", "/customers"] {
        api.request("GET", &format!("{path}?PageToken={of_customer}")).send().await.expect(400);
    }
    let customers = api.list("?PageSize=1").send().await.expect(200).json();
    list(&api, &format!("?PageToken={}", customers["PageToken"].as_str().unwrap())).await.expect(400);

    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&feed).unwrap();
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 0x40;
        list(&api, &format!("?PageToken={}", BASE64_URL_SAFE_NO_PAD.encode(changed))).await.expect(400);
    }
    for made_up in [&feed[..20], &feed[1..], "x", "AAAA", &"A".repeat(55), &"A".repeat(2048)] {
        list(&api, &format!("?PageToken={made_up}")).await.expect(400);
    }
}

async fn where_to_begin_is_said_once(engine: Engine) {
    let api = TestApi::start(engine).await;
    let token = page(&list(&api, "").await.expect(200)).1;
    for from in ["Oldest", "Newest"] {
        let refused = list(&api, &format!("?From={from}&PageToken={token}")).await.expect(400);
        assert_eq!(refused.violations("Query"), ["From: must be absent: the PageToken says where to go on"]);
    }
    for wrong in
        ["From=oldest", "From=", "Wait=11", "Wait=-1", "Wait=01", "Wait=", "PageSize=0", "PageSize=101"]
    {
        list(&api, &format!("?{wrong}")).await.expect(400);
    }
    for wrong in ["Wait=1", "From=Newest", "SortDirection=ASC"] {
        api.request("GET", &format!("/customers/c-1/events?{wrong}")).send().await.expect(400);
    }
    list(&api, &format!("?Wait=0&PageToken={token}")).await.expect(200);
}

/// What happens to a token when a backup that is older than it is restored.
async fn a_token_from_before_a_restore_is_told_that_it_cannot_go_on(engine: Engine) {
    let api = TestApi::start(engine).await;
    put(&api, 4).await;
    let (_, last) = all(&api, 100).await;
    let third = page(&list(&api, "?PageSize=3").await.expect(200)).1;
    // The backup has two events.
    api.database.execute("DELETE FROM events WHERE position > 2; UPDATE feed_heads SET newest = 2").await;
    for lost in [&last, &third] {
        let gone = list(&api, &format!("?PageToken={lost}")).await.expect(410);
        assert_eq!(gone.json()["Type"], "Gone");
    }
    // Others take the positions.
    put(&api, 4).await;
    for lost in [&last, &third] {
        list(&api, &format!("?PageToken={lost}")).await.expect(410);
    }
    let second = page(&list(&api, "?PageSize=2").await.expect(200)).1;
    assert_eq!(page(&list(&api, &format!("?PageToken={second}")).await.expect(200)).0.len(), 4);
}

async fn the_token_of_an_empty_feed_goes_on(engine: Engine) {
    let api = TestApi::start(engine).await;
    for from in ["", "?From=Oldest", "?From=Newest"] {
        let (events, token) = page(&list(&api, from).await.expect(200));
        assert!(events.is_empty());
        assert_eq!(page(&list(&api, &format!("?PageToken={token}")).await.expect(200)), (events, token));
    }
    let token = page(&list(&api, "?From=Newest").await.expect(200)).1;
    put(&api, 2).await;
    assert_eq!(page(&list(&api, &format!("?PageToken={token}")).await.expect(200)).0.len(), 2);
}

on_each_engine! {
    a_token_of_another_account_or_list_or_a_changed_one_is_refused,
    where_to_begin_is_said_once,
    a_token_from_before_a_restore_is_told_that_it_cannot_go_on,
    the_token_of_an_empty_feed_goes_on,
}
