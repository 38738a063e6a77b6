//! The operations over HTTP: answers, errors and which of them wins, preconditions.

use std::collections::BTreeSet;

use customers_api::scope::Scope;
use serde_json::json;

use crate::support::{Engine, TestApi, full, mia, on_each_engine, token_for};

async fn a_customer_is_created_read_replaced_and_deleted(engine: Engine) {
    let api = TestApi::start(engine).await;
    let created = api.put("c-1", &full()).send().await.expect(201);
    assert_eq!(created.header("location"), "./c-1");

    let read = api.get("c-1").send().await.expect(200);
    assert_eq!(read.header("etag"), created.header("etag"));
    let mut customer = read.json();
    let moment = customer["Created"].clone();
    for member in ["CustomerID", "Created"] {
        customer.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(customer, full(), "a customer comes out as it went in");

    let replaced = api.put("c-1", &mia()).send().await.expect(204);
    assert_ne!(replaced.header("etag"), created.header("etag"));
    let read = api.get("c-1").send().await.expect(200);
    assert_eq!(read.header("etag"), replaced.header("etag"));
    assert_eq!(read.json()["Created"], moment, "a replaced customer keeps its moment of creation");
    assert_eq!(read.json()["FullName"], mia()["FullName"], "what is left out is gone");

    api.delete("c-1").send().await.expect(204);
    api.get("c-1").send().await.expect(404);
    api.delete("c-1").send().await.expect(404);
}

async fn any_text_may_be_an_id(engine: Engine) {
    let api = TestApi::start(engine).await;
    for (sent, id) in [
        ("a", "a"),
        ("a%2Fb", "a/b"),
        ("%2E%2E", ".."),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("%25", "%"),
        ("%3F%23", "?#"),
        ("%C3%A9", "é"),
        ("%F0%9F%98%80", "\u{1F600}"),
        ("%0A", "\n"),
        ("e%CC%81", "e\u{301}"),
        ("A", "A"),
        ("%E2%80%AE", "\u{202e}"),
    ] {
        let created = api.put(sent, &mia()).send().await.expect(201);
        assert_eq!(created.header("location"), format!("./{sent}"));
        assert_eq!(api.get(sent).send().await.expect(200).json()["CustomerID"], id, "{sent}");
    }
    let wide = "%F0%9F%98%80";
    api.put(&wide.repeat(36), &mia()).send().await.expect(201);
    for (sent, description) in [
        (wide.repeat(37), "must have at most 36 characters"),
        ("%00".to_owned(), "must not contain U+0000"),
        ("a%00b".to_owned(), "must not contain U+0000"),
        ("%FF".to_owned(), "must be percent-encoded UTF-8"),
        ("%C3".to_owned(), "must be percent-encoded UTF-8"),
        ("%".to_owned(), "must be percent-encoded UTF-8"),
        ("a%4".to_owned(), "must be percent-encoded UTF-8"),
        ("%zz".to_owned(), "must be percent-encoded UTF-8"),
        ("a|b".to_owned(), "must be percent-encoded UTF-8"),
        ("a\"b".to_owned(), "must be percent-encoded UTF-8"),
    ] {
        let refused = api.get(&sent).send().await.expect(400);
        assert_eq!(refused.violations("Path"), [format!("CustomerID: {description}")], "{sent}");
    }
}

async fn all_violations_are_listed_with_their_full_path(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = json!({
        "FullName": { "FirstName": "", "MiddleName": null, "MidleName": "x", "not a name": 1 },
        "DateOfBirth": "2023-02-29",
        "Identities": [full()["Identities"][0], { "IssuingCountry": "XX", "IDNumber": "1".repeat(37), "IDType": "Visa" }],
        "PrimaryResidence": { "Street": "M", "City": "a\0b", "PostCode": "", "State": "US-CA", "Country": "US" }
    });
    let refused = api
        .put(&"x".repeat(37), &body)
        .header("if-match", "no tag")
        .header("if-none-match", "\"a\"")
        .send()
        .await
        .expect(400);
    let mut listed = refused.violations("Body");
    listed.sort();
    assert_eq!(
        listed,
        [
            "DateOfBirth: must be a calendar date, YYYY-MM-DD",
            "FullName.?: is not a known member",
            "FullName.FirstName: must not be empty",
            "FullName.LastName: is required",
            "FullName.MiddleName: must be a string",
            "FullName.MidleName: is not a known member",
            "Identities[1].IDNumber: must have at most 36 characters",
            "Identities[1].IDType: must be one of DrivingLicense, NationalIDCard, Passport, AddressProof, ResidencePermit, TaxID",
            "Identities[1].IssuingCountry: must be one of 249 values, from AD to ZW: ISO 3166-1 alpha-2 country code",
            "PrimaryResidence.City: must not contain U+0000",
            "PrimaryResidence.PostCode: must not be empty",
            "PrimaryResidence.State: must be one of 57 values, from AK to WY: ISO 3166-2 subdivision code without its country prefix",
            "PrimaryResidence.Street: must have at least 2 characters",
        ]
    );
    assert_eq!(refused.violations("Path"), ["CustomerID: must have at most 36 characters"]);
    assert_eq!(refused.violations("Header").len(), 2);
    assert_eq!(refused.detail(), "16 fields are invalid");
}

async fn an_error_repeats_nothing_personal(engine: Engine) {
    let api = TestApi::start(engine).await;
    let secret = "Zaphod-42";
    let mut body = full();
    body["FullName"]["FirstName"] = json!(secret.repeat(20));
    body["FullName"]["LastName"] = json!([secret]);
    body["DateOfBirth"] = json!(secret);
    body["PrimaryResidence"]["Country"] = json!(secret);
    body["PrimaryResidence"][format!("{secret} Beeblebrox")] = json!(secret);
    let refused = api.put("c-1", &body).send().await.expect(400);
    assert!(!String::from_utf8_lossy(&refused.body).contains(secret), "{}", refused.json());
    for bytes in [format!("{{\"FullName\": \"{secret}"), secret.to_owned(), format!("[\"{secret}\", ]")] {
        let refused = api.put("c-1", &mia()).bytes(bytes).send().await.expect(400);
        assert!(!String::from_utf8_lossy(&refused.body).contains(secret), "{}", refused.json());
    }
}

async fn at_most_a_thousand_violations_are_listed_and_more_are_not_counted(engine: Engine) {
    let api = TestApi::start(engine).await;
    let mut body = mia();
    for (identities, listed, detail) in [
        (333, 999, "999 fields are invalid"),
        (334, 1000, "more than 1000 fields are invalid; the first 1000 are listed"),
        (2000, 1000, "more than 1000 fields are invalid; the first 1000 are listed"),
    ] {
        body["Identities"] = json!(vec![json!({}); identities]);
        let refused = api.put("c-1", &body).send().await.expect(400);
        let violations = refused.violations("Body");
        assert_eq!(violations.len(), listed);
        assert!(violations.iter().any(|violation| violation == "Identities[332].IDType: is required"));
        assert_eq!(refused.detail(), detail);
    }
}

async fn a_body_that_is_no_json_is_refused_with_its_place(engine: Engine) {
    let api = TestApi::start(engine).await;
    let refused = api.put("c-1", &mia()).bytes("{\"FullName\": }").send().await.expect(400);
    assert_eq!(refused.json()["RequestExtension"]["Body"][0]["Reason"], "MalformedJSON");
    assert_eq!(refused.violations("Body"), [": is not valid JSON: expected value at line 1 column 14"]);
    let refused = api.put("c-1", &mia()).bytes(b"{\"a\": \"\xff\"}".to_vec()).send().await.expect(400);
    assert_eq!(refused.json()["RequestExtension"]["Body"][0]["Reason"], "MalformedJSON");
    let refused = api.request("PUT", "/customers/c-1").send().await.expect(400);
    assert_eq!(refused.violations("Body"), [": is required"]);
}

async fn a_body_that_is_not_read_is_refused_with_the_reason(engine: Engine) {
    let api = TestApi::start(engine).await;
    let good = mia().to_string();
    let with_number = |number: &str| good.replacen('{', &format!("{{\"Number\": {number}, "), 1).into_bytes();
    let nested = |depth: usize| with_number(&format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
    let utf16 = good.encode_utf16().flat_map(u16::to_le_bytes);
    for (body, description) in [
        (format!("\u{feff}{good}").into_bytes(), "begins with a byte order mark: send it without one"),
        ("\u{feff}".to_owned().into_bytes(), "begins with a byte order mark: send it without one"),
        ([0xff, 0xfe].into_iter().chain(utf16).collect(), "is not UTF-8 after byte 0"),
        ([good.as_bytes(), b"\xe9"].concat(), "is not UTF-8 after byte 215"),
        (with_number("1e400"), "has a number beyond the range of 64-bit floating point at line 1 column 16"),
        (
            with_number("[0, -2.5e999]"),
            "has a number beyond the range of 64-bit floating point at line 1 column 23",
        ),
        (nested(127), "nests deeper than 127 levels at line 1 column 138"),
        (b"[".repeat(200), "nests deeper than 127 levels at line 1 column 128"),
        (with_number("NaN"), "is not valid JSON: expected value at line 1 column 12"),
    ] {
        let refused = api.put("c-1", &mia()).bytes(body).send().await.expect(400);
        assert_eq!(refused.violations("Body"), [format!(": {description}")]);
        assert_eq!(refused.json()["RequestExtension"]["Body"][0]["Reason"], "MalformedJSON");
    }
    for body in [nested(126), with_number("1e-400"), with_number("123456789012345678901234567890")] {
        let refused = api.put("c-1", &mia()).bytes(body).send().await.expect(400);
        assert_eq!(refused.violations("Body"), ["Number: is not a known member"]);
    }
}

async fn the_location_of_a_new_customer_is_right_behind_a_proxy_that_strips_a_prefix(engine: Engine) {
    let api = TestApi::start(engine).await;
    for (sent, location) in [
        ("c-1", "./c-1"),
        ("a:b", "./a:b"),
        ("urn:x:1", "./urn:x:1"),
        ("a%2Fb", "./a%2Fb"),
        ("...", "./..."),
        ("a@b", "./a@b"),
        (";x=1", "./;x=1"),
    ] {
        let created = api.put(sent, &mia()).send().await.expect(201);
        assert_eq!(created.header("location"), location);
        // What is left of the path after the last slash is replaced (RFC 3986, 5.2.3).
        let read = api.request("GET", &format!("/customers{}", &location[1..])).send().await;
        read.expect(200);
    }
}

async fn a_duplicate_member_is_refused_by_its_name(engine: Engine) {
    let api = TestApi::start(engine).await;
    let body = full().to_string().replacen(
        "\"IDType\":\"Passport\"",
        "\"IDType\":\"Passport\",\"IDType\":\"TaxID\"",
        1,
    );
    let refused = api.put("c-1", &mia()).bytes(body).send().await.expect(400);
    assert_eq!(refused.violations("Body"), ["Identities[0].IDType: is given more than once"]);
    assert_eq!(refused.json()["RequestExtension"]["Body"][0]["Reason"], "DuplicateMember");
}

async fn another_media_type_is_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    let put = |media_type: &'static str| {
        api.request("PUT", "/customers/c-1").bytes(mia().to_string()).header("content-type", media_type)
    };
    for media_type in
        ["text/plain", "application/xml", "application/json5", "application/problem+json", "json", ""]
    {
        put(media_type).send().await.expect(415);
    }
    for media_type in [
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-16",
        "application/json; charset=\"\"",
        "application/json; charset=utf-8; charset=latin1",
        "application/json, application/json",
        "application/json; charset = utf-8",
        "application/json; charset",
        "application/json charset=utf-8",
    ] {
        put(media_type).send().await.expect(415);
    }
    put("application/json").header("content-type", "text/plain").send().await.expect(415);
    put("application/json").header("content-type", "application/json").send().await.expect(415);
    for coding in ["gzip", "identity, gzip", "br, ", "GZIP"] {
        put("application/json").header("content-encoding", coding).send().await.expect(415);
    }
    let twice = put("application/json").header("content-encoding", "identity");
    twice.header("content-encoding", "gzip").send().await.expect(415);
    api.request("PUT", "/customers/c-1").bytes(mia().to_string()).send().await.expect(415);
    put("application/json").header("content-encoding", "gzip").send().await.expect(415);
    put("application/json").send().await.expect(201);
    put("application/json; charset=utf-8").send().await.expect(204);
    put("Application/JSON").send().await.expect(204);
    for media_type in [
        "application/json ;charset=utf-8",
        "application/json;\tcharset=UTF-8",
        "application/json;;",
        "application/json; ; charset=utf-8 ;",
        "application/json;charset=\"utf-8\"",
        "application/json; version=1; q=\"a;b\"",
    ] {
        put(media_type).send().await.expect(204);
    }
    for coding in ["identity", "Identity", "", ",", "identity, identity"] {
        put("application/json").header("content-encoding", coding).send().await.expect(204);
    }
}

async fn a_body_may_have_a_mebibyte_and_no_byte_more(engine: Engine) {
    const LIMIT: usize = 1024 * 1024;
    let api = TestApi::start(engine).await;
    let padded = |length: usize| {
        let body = mia().to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    api.put("c-1", &mia()).bytes(padded(LIMIT)).send().await.expect(201);
    api.put("c-1", &mia()).bytes(padded(LIMIT + 1)).send().await.expect(413);
    api.request("GET", "/customers/c-1").bytes(padded(LIMIT + 1)).send().await.expect(413);
}

async fn another_path_is_not_found_and_another_method_not_allowed(engine: Engine) {
    let api = TestApi::start(engine).await;
    for path in ["/nothing", "/customers/", "/customers/a/b", "/Customers", "/customers/a/", "//customers"] {
        let refused = api.request("GET", path).send().await.expect(404);
        assert_eq!(refused.json()["Type"], "ResourceNotFound", "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/customers/c-1", "GET, HEAD, PUT, DELETE"),
        ("PATCH", "/customers/c-1", "GET, HEAD, PUT, DELETE"),
        ("OPTIONS", "/customers/c-1", "GET, HEAD, PUT, DELETE"),
        ("TRACE", "/customers/c-1", "GET, HEAD, PUT, DELETE"),
        ("QUERY", "/customers/c-1", "GET, HEAD, PUT, DELETE"),
        ("POST", "/events", "GET, HEAD"),
        ("DELETE", "/events", "GET, HEAD"),
        ("POST", "/openapi.yaml", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD"),
    ] {
        let refused = api.request(method, path).send().await.expect(405);
        assert_eq!(refused.header("allow"), allow, "{method} {path}");
        assert_eq!(refused.json().get("Action"), None, "no operation was asked for");
    }
}

async fn the_first_error_of_the_list_wins(engine: Engine) {
    let api = TestApi::start(engine).await;
    let long = " ".repeat(1024 * 1024 + 1);
    let bad = || api.put(&"x".repeat(37), &json!({})).header("if-match", "\"a\"");
    api.request("POST", "/customers/c-1").bytes(long.clone()).unsigned().send().await.expect(405);
    bad().bytes(long.clone()).unsigned().send().await.expect(413);
    bad().header("content-type", "text/plain").unsigned().send().await.expect(401);
    let reader = api.register_limited("reader", Scope::Read, None).await;
    bad().bytes(long.clone()).signed_by(&reader).send().await.expect(413);
    let other = token_for(&reader, "PUT", "/customers/c-1", b"");
    bad().header("content-type", "text/plain").token(other).send().await.expect(401);
    bad().header("content-type", "text/plain").signed_by(&reader).send().await.expect(403);
    api.delete("%00").header("if-match", "no tag").signed_by(&reader).send().await.expect(403);
    api.request("PUT", "/customers/%00")
        .bytes("{}")
        .header("content-type", "text/plain")
        .send()
        .await
        .expect(415);
    bad().send().await.expect(400);
    api.delete("c-1").header("if-match", "no tag").send().await.expect(400);
    api.delete("c-1").header("if-match", "\"a\"").send().await.expect(404);
    api.put("c-1", &mia()).header("if-match", "\"a\"").send().await.expect(412);
}

async fn preconditions_guard_against_lost_updates(engine: Engine) {
    let api = TestApi::start(engine).await;
    api.put("c-1", &mia()).header("if-match", "*").send().await.expect(412);
    let first = api
        .put("c-1", &mia())
        .header("if-none-match", "*")
        .send()
        .await
        .expect(201)
        .header("etag")
        .to_owned();
    api.put("c-1", &full()).header("if-none-match", "*").send().await.expect(412);
    api.put("c-1", &full()).header("if-none-match", "*").header("if-match", "*").send().await.expect(412);

    let second =
        api.put("c-1", &full()).header("if-match", &first).send().await.expect(204).header("etag").to_owned();
    api.put("c-1", &mia()).header("if-match", &first).send().await.expect(412);
    api.put("c-1", &mia()).header("if-match", format!("W/{second}")).send().await.expect(412);
    api.put("c-1", &mia()).header("if-match", second.to_uppercase()).send().await.expect(412);
    let list = format!("\"other\", {first} ,W/\"x,y\",\t{second}");
    let third =
        api.put("c-1", &mia()).header("if-match", list).send().await.expect(204).header("etag").to_owned();
    api.put("c-1", &mia()).header("if-match", "*").send().await.expect(204);

    api.delete("c-1").header("if-match", &third).send().await.expect(412);
    let last = api.get("c-1").send().await.expect(200).header("etag").to_owned();
    api.delete("c-1").header("if-match", "\"a\"").header("if-match", &last).send().await.expect(204);
    assert_eq!(BTreeSet::from([first, second, third, last]).len(), 4, "every version has its own tag");
}

async fn an_entity_tag_never_comes_back(engine: Engine) {
    let api = TestApi::start(engine).await;
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let created = api.put("c-1", &mia()).send().await.expect(201);
        let replaced = api.put("c-1", &mia()).send().await.expect(204);
        assert!(
            seen.insert(created.header("etag").to_owned()) && seen.insert(replaced.header("etag").to_owned())
        );
        api.delete("c-1").send().await.expect(204);
    }
}

async fn an_unchanged_customer_is_not_sent_again(engine: Engine) {
    let api = TestApi::start(engine).await;
    let tag = api.put("c-1", &mia()).send().await.expect(201).header("etag").to_owned();
    for matching in [tag.clone(), format!("W/{tag}"), format!("\"a\", {tag}"), "*".to_owned()] {
        let answer = api.get("c-1").header("if-none-match", matching).send().await.expect(304);
        assert_eq!(answer.header("etag"), tag);
    }
    api.get("c-1").header("if-none-match", "\"a\"").send().await.expect(200);
    api.put("c-1", &mia()).send().await.expect(204);
    api.get("c-1").header("if-none-match", tag).send().await.expect(200);
}

async fn malformed_preconditions_are_refused(engine: Engine) {
    let api = TestApi::start(engine).await;
    for malformed in ["a", "\"a", "a\"", "\"a\" \"b\"", ",", "w/\"a\"", "W/a", "*, \"a\"", "\"a b\"", ""] {
        let refused = api.delete("c-1").header("if-match", malformed).send().await.expect(400);
        assert_eq!(refused.violations("Header").len(), 1, "{malformed}");
        api.get("c-1").header("if-none-match", malformed).send().await.expect(400);
    }
    api.put("c-1", &mia()).header("if-none-match", "\"a\"").send().await.expect(400);
}

async fn every_answer_has_a_request_id_of_its_own(engine: Engine) {
    let api = TestApi::start(engine).await;
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        for answer in [
            api.get("c-1").send().await,
            api.get("c-1").unsigned().send().await,
            api.request("GET", "/nothing").send().await,
            api.request("GET", "/openapi.yaml").send().await,
        ] {
            assert!(seen.insert(answer.header("x-request-id").to_owned()), "a request id is new");
        }
    }
}

async fn probes_tell_whether_the_service_is_alive_and_ready(engine: Engine) {
    let api = TestApi::start(engine).await;
    for path in ["/livez", "/readyz"] {
        api.request("GET", path).unsigned().send().await.expect(204);
        let refused = api.request("POST", path).unsigned().send().await.expect(405);
        assert_eq!(refused.header("allow"), "GET, HEAD");
    }
}

on_each_engine! {
    probes_tell_whether_the_service_is_alive_and_ready,
    a_customer_is_created_read_replaced_and_deleted,
    any_text_may_be_an_id,
    all_violations_are_listed_with_their_full_path,
    an_error_repeats_nothing_personal,
    at_most_a_thousand_violations_are_listed_and_more_are_not_counted,
    a_body_that_is_no_json_is_refused_with_its_place,
    a_body_that_is_not_read_is_refused_with_the_reason,
    the_location_of_a_new_customer_is_right_behind_a_proxy_that_strips_a_prefix,
    a_duplicate_member_is_refused_by_its_name,
    another_media_type_is_refused,
    a_body_may_have_a_mebibyte_and_no_byte_more,
    another_path_is_not_found_and_another_method_not_allowed,
    the_first_error_of_the_list_wins,
    preconditions_guard_against_lost_updates,
    an_entity_tag_never_comes_back,
    an_unchanged_customer_is_not_sent_again,
    malformed_preconditions_are_refused,
    every_answer_has_a_request_id_of_its_own,
}
