//! The URL of a Postgres database.

use customers_api::store::{DatabaseUrl, InvalidDatabaseUrl};

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
