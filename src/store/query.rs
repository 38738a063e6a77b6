//! Queries that are written once for both engines: the same words of diesel are synchronous on SQLite and asynchronous on
//! Postgres.

/// Runs what is written on a connection of the engine that is open. On Postgres it may be run again. In it, `run!` gives the
/// result of a statement, and `each!` is a loop over the rows of one, as they come.
macro_rules! either {
    ($store:ident.transaction(|$connection:ident| $body:expr)) => {
        either!(
            @ $store, engine,
            engine.query(move |connection| connection.immediate_transaction(|$connection| $body)),
            engine.query(async move |connection| connection.transaction(async |$connection| $body).await)
        )
    };
    ($store:ident.$call:ident(|$($argument:ident),+| $body:expr)) => {
        either!(
            @ $store, engine,
            engine.$call(move |$($argument),+| $body),
            engine.$call(async move |$($argument),+| $body)
        )
    };
    (@ $store:ident, $engine:ident, $sqlite:expr, $postgres:expr) => {
        match &$store.engine {
            $crate::store::engine::Engine::Sqlite($engine) => {
                #[allow(unused_imports, reason = "few queries need all of them")]
                use diesel::{Connection as _, RunQueryDsl as _};
                #[allow(unused_macros, reason = "not each query needs it")]
                macro_rules! run {
                    ($query:expr) => {
                        $query
                    };
                }
                #[allow(unused_macros, reason = "few queries need it")]
                macro_rules! each {
                    ($rows:expr, $connection:ident, |$row:ident: $type:ty| $then:block) => {
                        for $row in $rows.load_iter::<$type, diesel::connection::DefaultLoadingMode>($connection)? {
                            let $row = $row?;
                            $then
                        }
                    };
                }
                $sqlite.await
            }
            $crate::store::engine::Engine::Postgres($engine) => {
                #[allow(unused_imports, reason = "few queries need all of them")]
                use {
                    diesel_async::{AsyncConnection as _, RunQueryDsl as _},
                    futures_util::TryStreamExt as _,
                };
                #[allow(unused_macros, reason = "not each query needs it")]
                macro_rules! run {
                    ($query:expr) => {
                        $query.await
                    };
                }
                #[allow(unused_macros, reason = "few queries need it")]
                macro_rules! each {
                    ($rows:expr, $connection:ident, |$row:ident: $type:ty| $then:block) => {
                        let mut rows = std::pin::pin!($rows.load_stream::<$type>($connection).await?);
                        while let Some($row) = rows.try_next().await? {
                            $then
                        }
                    };
                }
                $postgres.await
            }
        }
    };
}

/// Runs one query on keys, secrets and the like, which may be repeated. `then` is done with its result on the connection.
macro_rules! query {
    ($store:ident, |$connection:ident| $query:expr) => {
        either!($store.query(|$connection| run!($query)))
    };
    ($store:ident, |$connection:ident| $query:expr, then $then:expr) => {
        either!($store.query(|$connection| $then(run!($query))))
    };
}

/// Runs statements in one transaction. If the first one changes nothing, the others are left out. Gives whether it changed
/// something.
macro_rules! statements {
    ($store:ident, $first:expr, $($next:expr),+) => {
        either!($store.transaction(|connection| {
            if run!($first.execute(connection))? == 0 {
                return Ok(false);
            }
            $(run!($next.execute(connection))?;)+
            Ok(true)
        }))
    };
}

pub(super) use {either, query, statements};
