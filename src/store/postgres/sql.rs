//! The statements that write, and what is bound to them.
//!
//! Plain enough for distributed engines that speak the protocol. There, and whatever the database's collation, keys
//! are ordered byte by byte because every comparison says so: a column that says so would be refused by CockroachDB.

use chrono::NaiveDate;
use tokio_postgres::types::ToSql;

use super::super::row::NewCustomer;

/// Puts customers: one array for each column, the last one the moments. Returns keys, and whether each is new: an
/// update leaves the moment of creation behind, an insert has both moments at once.
pub(super) const PUT: &str = "\
    INSERT INTO customers (account, customer_id, first_name, last_name, middle_name, date_of_birth, identities, \
        street, street2, city, post_code, state, country, version, created_at, updated_at) \
    SELECT account, customer_id, first_name, last_name, middle_name, date_of_birth, identities, \
        street, street2, city, post_code, state, country, version, moment, moment \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::date[], $7::text[], \
        $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::bigint[]) \
        AS new (account, customer_id, first_name, last_name, middle_name, date_of_birth, identities, \
        street, street2, city, post_code, state, country, version, moment) \
    ORDER BY account COLLATE \"C\", customer_id COLLATE \"C\" \
    ON CONFLICT (account, customer_id) DO UPDATE SET \
        first_name = excluded.first_name, last_name = excluded.last_name, middle_name = excluded.middle_name, \
        date_of_birth = excluded.date_of_birth, identities = excluded.identities, street = excluded.street, \
        street2 = excluded.street2, city = excluded.city, post_code = excluded.post_code, \
        state = excluded.state, country = excluded.country, version = excluded.version, \
        updated_at = greatest(excluded.updated_at, customers.updated_at + 1) \
    RETURNING account, customer_id, created_at = updated_at";

/// Puts a customer that is not there yet.
pub(super) const INSERT: &str = "\
    INSERT INTO customers (account, customer_id, first_name, last_name, middle_name, date_of_birth, identities, \
        street, street2, city, post_code, state, country, version, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15) \
    ON CONFLICT (account, customer_id) DO NOTHING";

/// Puts a customer that is there, in one of these versions if any are given.
pub(super) const UPDATE: &str = "\
    UPDATE customers SET first_name = $3, last_name = $4, middle_name = $5, date_of_birth = $6, identities = $7, \
        street = $8, street2 = $9, city = $10, post_code = $11, state = $12, country = $13, version = $14, \
        updated_at = greatest($15, updated_at + 1) \
    WHERE account = $1 AND customer_id = $2 AND ($16::bytea[] IS NULL OR version = ANY ($16::bytea[]))";

/// Deletes a customer, in one of these versions if any are given.
pub(super) const DELETE: &str = "\
    DELETE FROM customers \
    WHERE account = $1 AND customer_id = $2 AND ($3::bytea[] IS NULL OR version = ANY ($3::bytea[]))";

/// Whether a customer is there.
pub(super) const EXISTS: &str =
    "SELECT EXISTS (SELECT 1 FROM customers WHERE account = $1 AND customer_id = $2)";

/// What is bound to a statement.
pub(super) type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// The columns of one row, without its moment.
pub(super) fn parameters(row: &NewCustomer) -> Parameters<'_> {
    let NewCustomer {
        account,
        customer_id,
        first_name,
        last_name,
        middle_name,
        date_of_birth,
        identities,
        street,
        street2,
        city,
        post_code,
        state,
        country,
        version,
    } = row;
    vec![
        account,
        customer_id,
        first_name,
        last_name,
        middle_name,
        date_of_birth,
        identities,
        street,
        street2,
        city,
        post_code,
        state,
        country,
        version,
    ]
}

/// The columns of many rows: one array each, in the order of the table.
pub(super) struct Columns<'a> {
    texts: [Vec<Option<&'a str>>; 12],
    dates: Vec<NaiveDate>,
    versions: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(rows: &[&'a NewCustomer]) -> Self {
        let mut columns =
            Self { texts: Default::default(), dates: Vec::with_capacity(rows.len()), versions: Vec::new() };
        for row in rows {
            columns.push(row);
        }
        columns
    }

    fn push(&mut self, row: &'a NewCustomer) {
        let NewCustomer {
            account,
            customer_id,
            first_name,
            last_name,
            middle_name,
            date_of_birth,
            identities,
            street,
            street2,
            city,
            post_code,
            state,
            country,
            version,
        } = row;
        let texts = [
            Some(account.as_str()),
            Some(customer_id),
            Some(first_name),
            Some(last_name),
            middle_name.as_deref(),
            Some(identities),
            Some(street),
            street2.as_deref(),
            Some(city),
            Some(post_code),
            Some(state),
            Some(country),
        ];
        for (column, text) in std::iter::zip(&mut self.texts, texts) {
            column.push(text);
        }
        self.dates.push(*date_of_birth);
        self.versions.push(version);
    }

    pub(super) fn parameters<'b>(&'b self, moments: &'b Vec<i64>) -> Parameters<'b> {
        let Self { texts, dates, versions } = self;
        let (before, after) = texts.split_at(5);
        let mut parameters: Parameters<'b> = Vec::with_capacity(15);
        parameters.extend(before.iter().map(|column| column as &(dyn ToSql + Sync)));
        parameters.push(dates);
        parameters.extend(after.iter().map(|column| column as &(dyn ToSql + Sync)));
        parameters.push(versions);
        parameters.push(moments);
        parameters
    }
}
