//! The URL of a Postgres database.

use std::error::Error as _;

use customers_api::{
    store::{Access, DatabaseUrl, InvalidDatabaseUrl, Store},
    telemetry::chain,
};

use crate::postgres_cluster::database;

fn parse(url: &str) -> Result<DatabaseUrl, InvalidDatabaseUrl> {
    url.parse()
}

#[test]
fn a_url_is_shown_without_credentials_and_parameters() {
    for (url, shown) in [
        ("postgres://u:secret@db.example/customers", "postgres://db.example:5432/customers"),
        (
            "postgresql://u:se?cret@db.example:5433/customers?sslmode=require",
            "postgres://db.example:5433/customers",
        ),
        (
            "postgres://u@one,two:6432,three/customers?password=secret",
            "postgres://one:5432,two:6432,three:5432/customers",
        ),
        ("postgres://u@%2Frun%2Fpostgresql/customers", "postgres:///run/postgresql:5432/customers"),
        ("postgres:///customers?host=/run/postgresql&user=u", "postgres:///run/postgresql:5432/customers"),
        ("postgres://u@/customers?hostaddr=10.0.0.1&port=6432", "postgres://10.0.0.1:6432/customers"),
        ("postgres://u@[::1]/customers", "postgres://[::1]:5432/customers"),
        ("postgres://u@[2001:db8::7]:6432,db/customers", "postgres://[2001:db8::7]:6432,db:5432/customers"),
        ("postgres://u@/customers?host=2001:db8::7", "postgres://[2001:db8::7]:5432/customers"),
        ("postgres://u@/customers?hostaddr=2001:db8::7&port=6432", "postgres://[2001:db8::7]:6432/customers"),
        (
            "postgres://u@db.example?options=-csearch_path%3Dx&load_balance_hosts=random",
            "postgres://db.example:5432/",
        ),
    ] {
        let parsed = parse(url).unwrap();
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(format!("{parsed:?}"), shown);
    }
}

#[test]
fn a_url_that_is_not_understood_whole_is_refused_without_being_shown() {
    for (url, words) in [
        ("postgres://u:secret@db.example/customers?sslcert=secret", "unknown option `sslcert`"),
        ("postgres://u:secret@db.example/customers?foo=secret", "unknown option `foo`"),
        (
            "postgres://u:secret@db.example/customers?connect_timeout=secret",
            "invalid value for option `connect_timeout`",
        ),
        ("postgres://u:secret@db.example/customers?sslmode=secret", "sslmode must be"),
        ("postgres://u:secret@db.example/customers?sslmode=allow", "sslmode must be"),
        ("postgres://u:secret@db.example/customers?sslmode=verify-full", "need sslrootcert=FILE"),
        ("postgres://u:secret@db.example/customers?sslmode=verify-ca", "need sslrootcert=FILE"),
        ("postgres://u:secret@/customers", "must name a host"),
        ("postgres://u:secret@one,two/customers?hostaddr=10.0.0.1", "must name a host"),
        ("postgres://u:se@cret@db.example/customers", "percent-encode"),
        ("postgres://u:secret@db.example:secret/customers", "invalid value for option `port`"),
        ("mysql://u:secret@db.example/customers", "unknown database"),
    ] {
        let refused = parse(url).unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
        for shown in [format!("{refused}"), format!("{refused:?}")] {
            assert!(!shown.contains("secret") && !shown.contains("cret@"), "{shown}");
        }
    }
}

#[test]
fn a_url_that_can_be_read_in_more_than_one_way_is_refused_with_what_to_do() {
    for url in [
        "postgres://app:Tr0ub@4dor/2024@db.invalid/customers",
        "postgres://app:Tr0ub@4dor@db.invalid/customers",
        "postgres://app:Tr0ub/4dor@db.invalid/customers",
        "postgres://app:Tr0ub?4dor=x@db.invalid/customers",
        "postgres://app:Tr0ub#4dor@db.invalid/customers",
        "postgres://app:Tr0ub%zz4dor@db.invalid/customers",
        "postgres://app:Tr0ub%@db.invalid/customers",
        "postgres://app:Tr0ub%004dor@db.invalid/customers",
        "postgres://app:Tr0ub 4dor@db.invalid/customers",
        "postgres://app:Tr0ub4dor@db.invalid/customers ",
        "postgres://app:Tr0ub4dor@db.invalid/customers\n",
        "postgres://:Tr0ub4dor@db.invalid/customers",
        "postgres://a?p:Tr0ub4dor@db.invalid/customers",
        "postgres://a/p:Tr0ub4dor@db.invalid/customers",
        "postgres://app@corp:Tr0ub4dor@db.invalid/customers",
        "postgres://app:Tr0ub4dor@db%40Tr0ub.invalid/customers",
        "postgres://app:Tr0ub4dor@db.invalid/a/Tr0ub",
        "postgres://app:Tr0ub4dor@db.invalid/a@Tr0ub",
        "postgres://app:Tr0ub4dor@db.invalid/a%40Tr0ub",
        "postgres://db.invalid/customers?password=Tr0ub@4dor",
        "postgres://db.invalid?user=app&password=Tr0ub@4dor",
        "postgres://db.invalid/customers?password=Tr0ub&4dor=x",
        "postgres://db.invalid/customers?user=app&Tr0ub=4dor",
        "postgres://db.invalid/customers?p%61ssword=Tr0ub&tr0ub=x",
        "postgres://db.invalid/customers?Tr0ub4dor=x",
        "postgres://db.invalid/customers?application_name=a%4dor&password=Tr0ub%zz",
        "postgres://db.invalid/?dbname=user%3Dapp%20password%3DTr0ub4dor",
        "postgres://db.invalid/?dbname=postgres%3A%2F%2Fapp%3ATr0ub4dor%40h%2Fd",
        "postgres:///customers?host=h%20password%3DTr0ub4dor",
        "postgres:///customers?host=%2Frun%2Fpassword%3DTr0ub4dor",
    ] {
        let refused = parse(url).expect_err(url);
        assert!(refused.to_string().contains("percent-encode"), "{url}: {refused}");
        is_not_shown(&refused);
    }
}

/// No part of the password is shown.
fn is_not_shown(refused: &InvalidDatabaseUrl) {
    for shown in [format!("{refused}"), format!("{refused:?}")] {
        let shown = shown.to_lowercase();
        assert!(!shown.contains("tr0ub") && !shown.contains("4dor") && !shown.contains("troub"), "{shown}");
    }
}

#[test]
fn a_credential_is_not_shown_wherever_libpq_takes_one() {
    for url in [
        "postgres://db.invalid/customers?password=Tr0ub4dor&foo",
        "postgres://db.invalid/customers?user=Tr0ub4dor&user=Tr0ub4dor",
        "postgres://Tr0ub4dor@db.invalid/customers?user=app",
        "postgres://app:Tr0ub4dor@db.invalid/customers?password=Tr0ub4dor",
        "postgres://app:Tr0ub4dor@db.invalid/customers?host=other.invalid",
        "postgres://app:Tr0ub4dor@db.invalid/customers?dbname=other",
        "postgres://app:Tr0ub4dor@db.invalid/customers?sslmode=disable&sslmode=require",
        "postgres://db.invalid/customers?password=",
        "postgres://db.invalid/customers?sslpassword=Tr0ub4dor",
        "postgres://db.invalid/customers?sslpassword=Tr0ub&troub=Tr0ub",
        "postgres://db.invalid/customers?password=Tr0ub&connect_timeout=4dor",
        "postgres://db.invalid/customers?passfile=Tr0ub4dor",
        "postgres://db.invalid/customers?sslkey=Tr0ub4dor",
        "postgres://db.invalid/customers?oauth_client_secret=Tr0ub4dor",
        "postgres://db.invalid/customers?scram_client_key=Tr0ub4dor",
        "postgres://db.invalid/customers?service=Tr0ub4dor",
        "postgres://app:Tr0ub4dor",
        "postgres://app:Tr0ub/4dor",
        "host=db.invalid user=app password=Tr0ub4dor dbname=customers",
        "user='app' password='Tr0ub4dor'",
        "sqlite:postgres://app:Tr0ub4dor@db.invalid/customers",
        "app:Tr0ub4dor@db.invalid/customers",
    ] {
        is_not_shown(&parse(url).expect_err(url));
    }
    for url in [
        "postgres://app:Tr0ub%404dor%2F2024@db.invalid/customers",
        "postgres://Tr0ub4dor:x@db.invalid/customers",
        "postgres://app:Tr0ub:4dor@db.invalid/customers",
        "postgres://app:Tr0ub?4dor@db.invalid/customers",
        "postgres://app:Tr0ub&4dor=$!*'(),;@db.invalid/customers",
        "postgres://db.invalid/customers?user=Tr0ub4dor&password=Tr0ub%264dor%3D",
        "postgres://db.invalid/customers?%70assword=Tr0ub4dor",
        "postgresql://db.invalid/customers?application_name=Tr0ub4dor&options=-ca%3DTr0ub4dor",
    ] {
        let parsed = parse(url).unwrap_or_else(|refused| panic!("{url}: {refused}"));
        assert_eq!(parsed.to_string(), "postgres://db.invalid:5432/customers", "{url}");
        assert_eq!(format!("{parsed:?}"), "postgres://db.invalid:5432/customers", "{url}");
    }
}

#[test]
fn a_file_is_named_by_its_path_alone() {
    for (url, shown) in [
        ("sqlite:customers.db", "sqlite:customers.db"),
        ("sqlite://customers.db", "sqlite:customers.db"),
        ("sqlite:///var/lib/my customers.db", "sqlite:/var/lib/my customers.db"),
    ] {
        assert_eq!(parse(url).unwrap().to_string(), shown);
    }
    for url in [
        "sqlite:",
        "sqlite://",
        "sqlite: ",
        "sqlite: customers.db",
        "sqlite:customers.db ",
        "sqlite:customers.db\r",
        "sqlite:-",
        "sqlite::memory:",
        "sqlite:file:customers.db",
        "sqlite:customers.db?mode=ro",
        "sqlite:customers.db#x",
        "sqlite:http://db.invalid/x",
        "customers.db",
        "SQLITE:customers.db",
        "",
        " ",
        "\"sqlite:customers.db\"",
    ] {
        assert!(parse(url).is_err(), "{url}");
    }
}

#[actix_web::test]
async fn what_the_server_says_is_shown_without_the_user() {
    let url = database().await.replace("//postgres@", "//Tr0ub:4dor@");
    let Err(refused) = Store::open(&parse(&url).unwrap(), Access::Existing).await else {
        panic!("there is no such role")
    };
    let shown = chain(refused.source().unwrap());
    assert!(shown.contains("role \"…\" does not exist"), "{shown}");
    assert!(!shown.contains("Tr0ub"), "{shown}");
}
