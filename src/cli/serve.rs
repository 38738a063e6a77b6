use std::{convert::Infallible, future::pending, io, thread::available_parallelism, time::Duration};

use anyhow::{Context as _, anyhow};
use clap::{Args, builder::BoolishValueParser};
use tokio::time::timeout;

use super::{
    database::Database,
    endpoint_options::EndpointOptions,
    listen::Listen,
    output,
    seal_options::SealOptions,
    stop::{self, Signals, Stop},
    supervisor, tls_options,
    webhook_options::WebhookOptions,
};
use crate::{
    api::{self, Admin, Api, BasePath, Certificate, Server, Settings, Sockets},
    record::Records,
    registry::Registry,
    store::{Access, Store},
    telemetry::{self, LogFilter, LogFormat, Traces, WebhookMetrics, chain},
    webhooks::{self, Webhooks},
};

/// How long the end of the service may take once all requests have their answers.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// Serve the API and Swagger UI
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    seal: SealOptions,
    #[command(flatten)]
    endpoint: EndpointOptions,
    /// The audience that signatures must name (`aud`)
    #[arg(long, env = "CUSTOMERS_AUDIENCE", default_value = "customers-api", value_name = "NAME")]
    audience: String,
    /// Accept requests without a signature, as the account `sandbox`: only to try the service, never in production
    #[arg(long, env = "CUSTOMERS_SANDBOX", value_parser = BoolishValueParser::new())]
    sandbox: bool,
    /// The number of threads that serve requests [default: one per processor]
    #[arg(long, env = "CUSTOMERS_WORKERS", value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// The maximum number of open connections; for one more, the one that has waited longest for its client is closed
    #[arg(long, env = "CUSTOMERS_MAX_CONNECTIONS", default_value_t = 512, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// How many days events are kept
    #[arg(long, env = "CUSTOMERS_EVENTS_DAYS", default_value_t = 400, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    events_days: u32,
    #[command(flatten)]
    webhooks: WebhookOptions,
    #[command(flatten)]
    stop: Stop,
    /// The format of log lines
    #[arg(long, env = "CUSTOMERS_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
    /// What to log: a level (off, error, warn, info, debug, trace), and directives such as `customers_api=debug`
    #[arg(long, env = "CUSTOMERS_LOG", default_value = "info", value_name = "FILTER")]
    log: LogFilter,
}

const EXAMPLES: &str = "\
Examples:
  customers-api serve --sandbox
  customers-api serve --listen 0.0.0.0:80 --database-url sqlite:/var/lib/customers/customers.db --log-format json";

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self {
            database,
            seal,
            endpoint,
            audience,
            sandbox,
            workers,
            max_connections,
            events_days,
            webhooks,
            stop,
            log_format,
            log,
        } = self;
        let EndpointOptions { listen, tls, admin_listen, base_path } = endpoint;
        telemetry::start(log_format, log);
        let _traces = Traces::start()?;
        let address = listen.resolve().with_context(|| format!("cannot listen on {listen}"))?;
        let certificate = tls.read()?;
        let settings = Settings { audience, base_path: base_path.clone(), sandbox };
        let mut signals = Signals::listen()?;
        let (store, records, api) = tokio::select! {
            started = start(&database, &seal, settings) => started?,
            () = signals.next() => stop::end_before_ready(),
        };
        if let Some(certificate) = &certificate {
            api.metrics().show_certificate(certificate.expiry())?;
        }
        let webhooks = start_webhooks(&webhooks, &store, &records, &api)?;
        let registry = api.registry().clone();
        let workers = workers.map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from);
        let connections_max = usize::try_from(max_connections)?;
        let tls = certificate.clone();
        let server = api::run(api, Sockets { listen: address, workers, connections_max, tls })
            .with_context(|| format!("cannot listen on {listen}"))?;
        let admin = admin_listen.map(|listen| start_admin(&server, &listen)).transpose()?;
        warn(sandbox, &records);
        announce(&server, admin.as_ref(), &base_path, sandbox, &database);
        let stopper = server.stopper();
        tokio::select! {
            stopped = server.stopped() => stopped.context("the server failed")?,
            () = stop.run(signals, stopper, &webhooks) => {}
            thread = store.ended() => return Err(fatal(thread)),
            never = follow(&records, &store, certificate.as_ref()) => match never {},
            stopped = admin_stopped(admin) => stopped.context("the admin listener failed")?,
            never = store.keep_events(events_days) => match never {},
            thread = webhooks.ended() => return Err(fatal(thread)),
            () = registry.ended() => return Err(fatal("registry")),
        }
        finish(&registry, &records, &store).await;
        Ok(())
    }
}

/// Opens the database, and reads from it what is needed to serve.
async fn start(
    database: &Database,
    seal: &SealOptions,
    settings: Settings,
) -> anyhow::Result<(Store, Records, Api)> {
    let store = database.open(Access::Create).await?;
    let records = seal.start(&store).await?;
    let api = Api::new(settings, store.clone(), records.clone()).await.context("cannot read the database")?;
    Ok((store, records, api))
}

/// What an operator must know.
fn warn(sandbox: bool, records: &Records) {
    if sandbox {
        tracing::warn!("SANDBOX: requests without a signature are accepted. Never do this in production.");
    } else if !records.are_sealed() {
        tracing::warn!("records are not sealed: give --seal-keys to seal them");
    }
}

/// Takes over each change of the files, and tells systemd that the process is alive.
async fn follow(records: &Records, store: &Store, certificate: Option<&Certificate>) -> Infallible {
    tokio::select! {
        never = records.follow(store) => never,
        never = tls_options::follow_files(certificate) => never,
        never = supervisor::stay_alive() => never,
    }
}

fn start_webhooks(
    options: &WebhookOptions,
    store: &Store,
    records: &Records,
    api: &Api,
) -> anyhow::Result<Webhooks> {
    let metrics = WebhookMetrics::new()?;
    api.metrics().show_webhooks(&metrics)?;
    let settings = webhooks::Settings { allowed: options.allowed(), ..Default::default() };
    Ok(Webhooks::start(store.clone(), records.clone(), settings, metrics)?)
}

fn start_admin(server: &Server, listen: &Listen) -> anyhow::Result<Admin> {
    let admin = listen.resolve().and_then(|address| server.admin(address));
    admin.with_context(|| format!("cannot listen on {listen}"))
}

/// Waits for the end of the admin listener, if there is one.
async fn admin_stopped(admin: Option<Admin>) -> io::Result<()> {
    match admin {
        Some(admin) => admin.stopped().await,
        None => pending().await,
    }
}

/// Tells the database that this process is gone, and which keys were used, and leaves no deleted row in the files, as far
/// as there is time.
async fn finish(registry: &Registry, records: &Records, store: &Store) {
    let erased = async {
        records.end(store).await;
        store.erase().await
    };
    let finished = async { tokio::join!(erased, registry.write_uses()).0 };
    if let Ok(Err(error)) = timeout(FINISH_TIMEOUT, finished).await {
        tracing::warn!(cause = %chain(&error), "deleted rows are not erased from the files yet");
    }
}

/// The process cannot do its work any more. It ends, and a supervisor starts it again.
fn fatal(part: &str) -> anyhow::Error {
    tracing::error!(part, "a part of the service ended that it needs: the process ends");
    anyhow!("a part of the service ended that it needs: {part}")
}

/// One line in the log, one on standard output, and a message to systemd. The service runs even if they cannot be written.
fn announce(
    server: &Server,
    admin: Option<&Admin>,
    base_path: &BasePath,
    sandbox: bool,
    database: &Database,
) {
    let (engine, version) = (database.database_url.engine(), env!("CARGO_PKG_VERSION"));
    let Server { address, scheme, .. } = *server;
    let admin_address = admin.map(|admin| admin.address);
    tracing::info!(
        %address,
        admin_address = admin_address.map(display),
        %base_path,
        scheme,
        engine,
        version,
        sandbox,
        "listening"
    );
    let url = format!("{scheme}://{address}{}", base_path.with_slash());
    supervisor::ready(&format!("serving {url}"));
    let admin =
        admin_address.map(|address| format!(", metrics at http://{address}/metrics")).unwrap_or_default();
    let mode = if sandbox { " (SANDBOX: signatures are optional)" } else { "" };
    let line = format!("customers-api is ready at {url}{admin}{mode}");
    if let Err(error) = output::print(line) {
        tracing::warn!(cause = format!("{error:#}"), "the line that the service is ready was not printed");
    }
}
