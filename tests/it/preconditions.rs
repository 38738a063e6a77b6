//! Preconditions as RFC 9110, 13 has them, beside those in `api`.

use std::time::SystemTime;

use actix_web::http::header::HttpDate;
use futures_util::future::join_all;

use crate::support::{Answer, Engine, TestApi, eventually, full, mia, on_each_engine};

#[track_caller]
fn date(answer: &Answer, name: &str) -> SystemTime {
    answer.header(name).parse::<HttpDate>().unwrap().into()
}

async fn empty_elements_of_a_list_are_ignored(engine: Engine) {
    let api = TestApi::start(engine).await;
    let mut tag = api.put("c-1", &mia()).send().await.expect(201).header("etag").to_owned();
    let lists = [
        |tag: &str| format!("{tag},"),
        |tag: &str| format!(",{tag}"),
        |tag: &str| format!(", ,\t,{tag} ,,, ,"),
        |tag: &str| format!("\"a\",,{tag}"),
        |tag: &str| format!("\"a\" , , W/\"b\",{tag}\t,"),
        |tag: &str| format!(",\"a,\",{tag}"),
    ];
    for list in lists {
        api.get("c-1").header("if-none-match", list(&tag)).send().await.expect(304);
        let replaced = api.put("c-1", &mia()).header("if-match", list(&tag)).send().await.expect(204);
        api.delete("c-1").header("if-match", list(&tag)).send().await.expect(412);
        replaced.header("etag").clone_into(&mut tag);
    }
    let lines = api.get("c-1").header("if-none-match", "").header("if-none-match", &tag);
    lines.header("if-none-match", "").send().await.expect(304);
    for nothing in [",", ",,", ", \t,", "*,", ",*", "\"a\"\"b\"", "\"a\" \"b\",", ",\"a\" b"] {
        let refused = api.delete("c-1").header("if-match", nothing).send().await.expect(400);
        assert_eq!(refused.violations("Header").len(), 1, "{nothing}");
    }
}

async fn a_customer_that_was_not_changed_since_a_date_is_not_sent_again(engine: Engine) {
    let api = TestApi::start(engine).await;
    let tag = api.put("c-1", &mia()).send().await.expect(201).header("etag").to_owned();
    let ask = |since: &str| api.get("c-1").header("if-modified-since", since);
    for past in
        ["Sat, 01 Jan 2000 00:00:00 GMT", "Saturday, 01-Jan-00 00:00:00 GMT", "Sat Jan  1 00:00:00 2000"]
    {
        ask(past).send().await.expect(200);
    }
    for future in ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri Dec 31 23:59:59 9999"] {
        let answer = ask(future).send().await.expect(304);
        assert_eq!(answer.header("etag"), tag, "{future}");
    }
    let future = "Fri, 31 Dec 9999 23:59:59 GMT";
    for ignored in ["", "tomorrow", "9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59", "253402300799", "*"]
    {
        ask(ignored).send().await.expect(200);
    }
    ask(future).header("if-modified-since", future).send().await.expect(200);
    ask(future).header("if-none-match", "\"a\"").send().await.expect(200);
    ask("Sat, 01 Jan 2000 00:00:00 GMT").header("if-none-match", &tag).send().await.expect(304);
    api.get("c-2").header("if-modified-since", future).send().await.expect(404);
}

async fn a_change_is_never_hidden_by_a_date(engine: Engine) {
    let api = TestApi::start(engine).await;
    api.put("c-1", &mia()).send().await.expect(201);
    for _ in 0..40 {
        let read = api.get("c-1").send().await.expect(200);
        api.put("c-1", &full()).send().await.expect(204);
        let since = read.header("last-modified");
        let again = api.get("c-1").header("if-modified-since", since).send().await.expect(200);
        assert_ne!(again.header("etag"), read.header("etag"), "changed since {since}");
    }
    eventually("an old customer is known by its date", || async {
        let read = api.get("c-1").send().await.expect(200);
        let since = read.header("last-modified").to_owned();
        api.get("c-1").header("if-modified-since", since).send().await.status == 304
    })
    .await;
}

async fn the_last_modification_is_never_later_than_the_date(engine: Engine) {
    let api = TestApi::start(engine).await;
    for _ in 0..200 {
        let put = api.put("c-1", &mia()).send().await;
        assert!(put.status.is_success());
        let read = api.get("c-1").send().await.expect(200);
        let unchanged = api.get("c-1").header("if-none-match", "*").send().await.expect(304);
        for answer in [read, unchanged] {
            assert!(date(&answer, "last-modified") <= date(&answer, "date"), "{:?}", answer.headers);
        }
    }
    // The clock of another replica may be ahead.
    let day = 86_400_000_000_i64;
    api.database.execute(&format!("UPDATE customers SET updated_at = updated_at + {day}")).await;
    let read = api.get("c-1").send().await.expect(200);
    assert_eq!(read.header("last-modified"), read.header("date"));
    api.get("c-1").header("if-modified-since", read.header("date")).send().await.expect(200);
}

async fn of_64_writers_that_create_one_id_exactly_one_succeeds(engine: Engine) {
    let api = TestApi::start(engine).await;
    let answers = join_all((0..64).map(|_| api.put("c-1", &mia()).header("if-none-match", "*").send())).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.status == 412).count();
    assert_eq!((created, refused), (1, 63));

    let answers = join_all((0..64).map(|_| api.put("c-2", &mia()).send())).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let replaced = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!((created, replaced), (1, 63), "without a precondition, one creates and the others replace");
}

async fn of_64_writers_that_replace_one_version_exactly_one_succeeds(engine: Engine) {
    let api = TestApi::start(engine).await;
    let tag = api.put("c-1", &mia()).send().await.expect(201).header("etag").to_owned();
    let answers = join_all((0..64).map(|_| api.put("c-1", &full()).header("if-match", &tag).send())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 412).count(), 63);
}

on_each_engine! {
    of_64_writers_that_replace_one_version_exactly_one_succeeds,
    of_64_writers_that_create_one_id_exactly_one_succeeds,
    empty_elements_of_a_list_are_ignored,
    a_customer_that_was_not_changed_since_a_date_is_not_sent_again,
    a_change_is_never_hidden_by_a_date,
    the_last_modification_is_never_later_than_the_date,
}
