//! One schema, written down three times.

use std::{collections::BTreeSet, fs, path::Path};

use customers_api::store::{Access, Store};
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _, connection::SimpleConnection as _, sql_types,
    sqlite::SqliteConnection,
};

use crate::postgres_cluster::{connect, database};

/// Table, column, type and whether it may be null; or table, column and `KEY n`.
type Facts = BTreeSet<(String, String, String)>;

fn names(engine: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn both_engines_have_the_same_migrations() {
    assert_eq!(names("sqlite"), names("postgres"));
}

/// What `schema.rs` says.
fn written() -> Facts {
    let mut facts = Facts::new();
    let text = include_str!("../../../src/store/schema.rs");
    for table in text.split("diesel::table! {").skip(1) {
        let (head, columns) = table.trim().split_once(") {").unwrap();
        let (name, key) = head.split_once(" (").unwrap();
        for (position, column) in key.split(", ").enumerate() {
            facts.insert((name.to_owned(), column.to_owned(), format!("KEY {}", position + 1)));
        }
        for column in columns.lines().filter(|line| line.contains("->")) {
            let (column, kind) = column.trim().trim_end_matches(',').split_once(" -> ").unwrap();
            facts.insert((name.to_owned(), column.to_owned(), kind.to_owned()));
        }
    }
    assert_eq!(
        facts.len(),
        (8 + 6 + 4 + 2 + 2 + 2 + 3 + 3 + 8 + 6 + 16 + 6 + 6) + 18,
        "the file is understood whole"
    );
    facts
}

fn kind(name: &str, is_nullable: bool) -> String {
    let kind = match name.to_lowercase().as_str() {
        "text" => "Text",
        "bigint" | "integer" => "BigInt",
        "blob" | "bytea" => "Binary",
        other => panic!("the type {other}"),
    };
    if is_nullable { format!("Nullable<{kind}>") } else { kind.to_owned() }
}

#[actix_web::test]
async fn the_schema_is_that_of_postgres() {
    let client = connect(&database().await).await;
    let columns = "SELECT c.table_name::text, c.column_name::text, c.data_type::text, c.is_nullable = 'YES', \
        (SELECT k.ordinal_position::int FROM information_schema.key_column_usage k \
         WHERE k.table_name = c.table_name AND k.column_name = c.column_name AND k.constraint_name LIKE '%pkey') \
        FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name NOT LIKE '\\_\\_%' AND c.table_name <> 'outbox' \
        AND c.column_name NOT IN ('created_in', 'imported_at')";
    let mut found = Facts::new();
    for row in client.query(columns, &[]).await.unwrap() {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        if let Some(position) = row.get::<_, Option<i32>>(4) {
            found.insert((table.clone(), column.clone(), format!("KEY {position}")));
        }
        found.insert((table, column, kind(row.get(2), row.get(3))));
    }
    assert_eq!(found, written());
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = sql_types::Text)]
    table_name: String,
    #[diesel(sql_type = sql_types::Text)]
    name: String,
    #[diesel(sql_type = sql_types::Text)]
    kind: String,
    #[diesel(sql_type = sql_types::Bool)]
    is_nullable: bool,
    #[diesel(sql_type = sql_types::Integer)]
    key: i32,
}

#[actix_web::test]
async fn the_schema_is_that_of_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("customers.db").to_str().unwrap().to_owned();
    drop(Store::open(&format!("sqlite:{path}").parse().unwrap(), Access::Create).await.unwrap());
    let columns = "SELECT t.name AS table_name, c.name, c.type AS kind, NOT c.\"notnull\" AS is_nullable, \
        coalesce((SELECT part.seqno + 1 FROM pragma_index_list(t.name) i, pragma_index_info(i.name) part \
            WHERE i.\"unique\" AND part.name = c.name), 0) AS key \
        FROM sqlite_schema t, pragma_table_info(t.name) c \
        WHERE t.type = 'table' AND t.name NOT IN ('high_water', 'garbage') \
        AND c.name <> 'seq' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\'";
    let mut connection = SqliteConnection::establish(&path).unwrap();
    // The store may still be closing.
    connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    let mut found = Facts::new();
    for column in diesel::sql_query(columns).load::<Column>(&mut connection).unwrap() {
        let Column { table_name, name, kind: type_name, is_nullable, key } = column;
        if key > 0 {
            found.insert((table_name.clone(), name.clone(), format!("KEY {key}")));
        }
        found.insert((table_name, name, kind(&type_name, is_nullable)));
    }
    assert_eq!(found, written());
}
