//! Lists, page by page.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Answer, Engine, TestApi, full, mia, on_each_engine};

/// The ids of all customers, page by page, and how many pages there were.
async fn walk(api: &TestApi, size: usize, direction: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut token) = (Vec::new(), 0, None::<String>);
    loop {
        let continued = token.as_ref().map(|token| format!("&PageToken={token}")).unwrap_or_default();
        let page = api
            .list(&format!("?PageSize={size}&SortDirection={direction}{continued}"))
            .send()
            .await
            .expect(200)
            .json();
        let items = page["Items"].as_array().unwrap();
        assert!(items.len() <= size, "a page is no longer than asked for");
        ids.extend(items.iter().map(|item| item["CustomerID"].as_str().unwrap().to_owned()));
        pages += 1;
        token = page["PageToken"].as_str().map(str::to_owned);
        if token.is_none() {
            return (ids, pages);
        }
    }
}

async fn pages_of_any_size_yield_the_same_customers_in_order(engine: Engine) {
    let api = TestApi::start(engine).await;
    assert_eq!(walk(&api, 1, "DESC").await, (Vec::new(), 1), "an empty list is one page");
    let ids: Vec<_> = (0..10).map(|number| format!("c-{number}")).collect();
    for id in &ids {
        api.put(id, &mia()).send().await.expect(201);
    }
    let newest_first: Vec<_> = ids.iter().rev().cloned().collect();
    for (size, pages) in [(1, 10), (2, 5), (3, 4), (10, 1), (100, 1)] {
        assert_eq!(walk(&api, size, "ASC").await, (ids.clone(), pages), "{size}");
        assert_eq!(walk(&api, size, "DESC").await, (newest_first.clone(), pages), "{size}");
    }
    let default = api.list("").send().await.expect(200).json();
    assert_eq!(default["Items"][0]["CustomerID"], "c-9", "the newest comes first by default");
}

async fn no_customer_is_missed_or_listed_twice_while_others_write(engine: Engine) {
    let api = TestApi::start(engine).await;
    let ids: BTreeSet<_> = (0..30).map(|number| format!("old-{number:02}")).collect();
    for id in &ids {
        api.put(id, &mia()).send().await.expect(201);
    }
    for direction in ["ASC", "DESC"] {
        let write = async {
            for number in 0..40 {
                api.put(&format!("new-{direction}-{number}"), &mia()).send().await.expect(201);
                api.put(&format!("old-{:02}", number % 30), &full()).send().await.expect(204);
                if number % 2 == 0 {
                    api.delete(&format!("new-{direction}-{number}")).send().await.expect(204);
                }
            }
        };
        let ((), (seen, _)) = futures_util::future::join(write, walk(&api, 3, direction)).await;
        let unique: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(unique.len(), seen.len(), "{direction}: none twice");
        assert!(unique.is_superset(&ids), "{direction}: none missed");
    }
}

async fn a_page_token_is_good_for_its_account_and_direction_alone(engine: Engine) {
    let api = TestApi::start(engine).await;
    for id in ["a", "b", "c"] {
        api.put(id, &mia()).send().await.expect(201);
    }
    let page = api.list("?PageSize=1&SortDirection=ASC").send().await.expect(200).json();
    let token = page["PageToken"].as_str().unwrap();
    let next = api.list(&format!("?PageSize=1&PageToken={token}")).send().await.expect(200).json();
    assert_eq!(next["Items"][0]["CustomerID"], "b", "the token's direction goes on");

    let refused = |answer: Answer| answer.expect(400).violations("Query");
    let contrary = api.list(&format!("?PageToken={token}&SortDirection=DESC")).send().await;
    assert_eq!(refused(contrary), ["SortDirection: must be the direction of the PageToken, or absent"]);
    let other = api.register("other", customers_api::signature::Algorithm::Es384, "other-1").await;
    refused(api.list(&format!("?PageToken={token}")).signed_by(&other).send().await);
    for position in 0..token.len() {
        let mut tampered = token.as_bytes().to_vec();
        tampered[position] = if tampered[position] == b'A' { b'B' } else { b'A' };
        refused(api.list(&format!("?PageToken={}", String::from_utf8(tampered).unwrap())).send().await);
    }
    for tampered in
        [format!("{token}A"), token[1..].to_owned(), "A".to_owned(), String::new(), "%00".to_owned()]
    {
        refused(api.list(&format!("?PageToken={tampered}")).send().await);
    }
}

async fn wrong_query_parameters_are_refused_all_at_once(engine: Engine) {
    let api = TestApi::start(engine).await;
    for size in ["0", "101", "-1", "1.0", "1e1", "+5", "05", "", "five", "4294967297", "99999999999999999999"]
    {
        let refused = api.list(&format!("?PageSize={}", size.replace('+', "%2B"))).send().await.expect(400);
        assert!(refused.violations("Query")[0].starts_with("PageSize: "), "{size}");
    }
    let refused =
        api.list("?PageSize=0&PageSize=1&pagesize=1&SortDirection=asc&a%20b=1").send().await.expect(400);
    assert_eq!(
        refused.violations("Query"),
        [
            "PageSize: is given more than once",
            "pagesize: is not a known parameter",
            "?: is not a known parameter",
            "PageSize: must be at least 1",
            "SortDirection: must be one of ASC, DESC",
        ]
    );
    assert_eq!(refused.json()["RequestExtension"]["Query"][0]["Reason"], "DuplicateMember");
    for size in ["1", "100"] {
        api.list(&format!("?PageSize={size}")).send().await.expect(200);
    }
}

async fn a_list_is_ordered_by_creation_and_a_replaced_customer_keeps_its_place(engine: Engine) {
    let api = TestApi::start(engine).await;
    for id in ["b", "a", "c"] {
        api.put(id, &mia()).send().await.expect(201);
    }
    api.put("b", &full()).send().await.expect(204);
    assert_eq!(walk(&api, 100, "ASC").await.0, ["b", "a", "c"]);
    let items: Value = api.list("?SortDirection=ASC").send().await.expect(200).json();
    assert_eq!(items["Items"][0]["FullName"], full()["FullName"]);
}

on_each_engine! {
    pages_of_any_size_yield_the_same_customers_in_order,
    no_customer_is_missed_or_listed_twice_while_others_write,
    a_page_token_is_good_for_its_account_and_direction_alone,
    wrong_query_parameters_are_refused_all_at_once,
    a_list_is_ordered_by_creation_and_a_replaced_customer_keeps_its_place,
}
