//! A build of the server, and the database that it serves.

use std::{
    fs::{self, File},
    io::{BufWriter, IntoInnerError, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use customers_api::{
    account::Account,
    random,
    record::generate_key_line,
    signature::{Algorithm, PrivateKey},
};
use serde_json::Value;

use crate::{
    case::Case,
    client::{self, Pace},
    ids::Ids,
    options::Options,
    process::{Cores, Server},
    requests::{Keys, Plan},
    tls::{Certificate, Tls},
};

/// How many requests are made at once.
const CHUNK: usize = 50_000;

/// The most customers that are put over HTTP; more of them are imported, which is faster.
const HTTP_CUSTOMERS_MAX: usize = 100_000;

/// How many customers a page has while the middle of the list is looked for.
const WALK_ITEMS: usize = 100;

/// Over which connections customers are put before the measurement, and looked up after it.
const CONNECTIONS: usize = 64;

/// Longer than anything takes.
const NO_LIMIT: Duration = Duration::from_secs(86_400);

/// A build with its database. It is known by what a client and an operator know of it, so that older builds can be
/// compared.
pub(crate) struct Side {
    /// What the table calls it.
    pub(crate) name: &'static str,
    pub(crate) server: PathBuf,
    pub(crate) url: String,
    arguments: Vec<String>,
    seal_arguments: Vec<String>,
    tls: Option<Tls>,
    log: PathBuf,
    cores: Cores,
}

impl Side {
    pub(crate) fn new(
        name: &'static str,
        server: &Path,
        url: String,
        is_sealed: bool,
        (options, cores, directory): (&Options, Cores, &Path),
    ) -> anyhow::Result<Self> {
        let mut arguments = options.server_arguments.clone();
        let mut seal_arguments = Vec::new();
        if is_sealed {
            let keys = directory.join("seal-keys");
            if !keys.exists() {
                private_file(&keys)?.write_all(generate_key_line("load").as_bytes())?;
            }
            seal_arguments = vec!["--seal-keys".to_owned(), keys.display().to_string()];
            arguments.extend_from_slice(&seal_arguments);
        }
        let tls = if options.tls {
            let made = Certificate::make(directory);
            let paths = [&made.certificate, &made.key].map(|path| path.display().to_string());
            arguments.extend(["--tls-cert", &paths[0], "--tls-key", &paths[1]].map(str::to_owned));
            Some(Tls::trusting(&made)?)
        } else {
            None
        };
        let log = directory.join(format!("{name}.log"));
        Ok(Self { name, server: server.to_owned(), url, arguments, seal_arguments, tls, log, cores })
    }

    /// Starts it on the server's core.
    pub(crate) fn serve(&self) -> anyhow::Result<Server> {
        self.start(Command::new(&self.server))
    }

    /// Starts this program, which commits each write alone.
    pub(crate) fn serve_ungrouped(&self) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(crate::ungrouped::ARGUMENT);
        self.start(command)
    }

    /// Starts this program, which stores nothing.
    pub(crate) fn serve_bare(&self, algorithm: Algorithm) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([crate::bare::ARGUMENT, algorithm.name()]);
        self.start(command)
    }

    fn start(&self, command: Command) -> anyhow::Result<Server> {
        let arguments = ["--sandbox"].into_iter().chain(self.arguments.iter().map(String::as_str));
        let arguments: Vec<&str> = arguments.collect();
        self.cores
            .on_the_servers(|| Server::start(command, &self.url, &self.log, &arguments, self.tls.clone()))
    }

    /// Registers the keys that sign, and others until there are so many.
    pub(crate) fn register(&self, keys: &Keys, count: usize, directory: &Path) -> anyhow::Result<()> {
        for (id, key) in keys.iter() {
            self.register_key(id, key, directory)?;
        }
        for _ in keys.iter().count()..count {
            let key = PrivateKey::generate(Algorithm::Es384)?;
            self.register_key(&random::uuid().to_string(), &key, directory)?;
        }
        Ok(())
    }

    fn register_key(&self, id: &str, key: &PrivateKey, directory: &Path) -> anyhow::Result<()> {
        let file = directory.join("public.pem");
        fs::write(&file, key.public_key()?.to_pem())?;
        let account = Account::sandbox().to_string();
        let added = Command::new(&self.server)
            .args([
                "keys",
                "add",
                "--account",
                &account,
                "--key-id",
                id,
                "--database-url",
                &self.url,
                "--public-key",
            ])
            .arg(&file)
            .output()?;
        ensure!(added.status.success(), "keys add: {}", String::from_utf8_lossy(&added.stderr));
        Ok(())
    }

    /// Puts customers into the database, if they are not there.
    pub(crate) fn seed(&self, plan: &Plan) -> anyhow::Result<()> {
        let Some(last) = plan.customers.checked_sub(1) else { return Ok(()) };
        let server = self.serve()?;
        let (started, plan) = (Instant::now(), Rc::new(plan.clone()));
        let found = self.send(&server, vec![get(&Ids::SEEDED.id(last))])?;
        if found.statuses.contains_key(&200) {
            return server.stop();
        }
        if plan.customers > HTTP_CUSTOMERS_MAX {
            server.stop()?;
            self.import(|lines| {
                for number in 0..plan.customers {
                    serde_json::to_writer(&mut *lines, &plan.exported(&Ids::SEEDED.id(number), number))?;
                    lines.write_all(b"\n")?;
                }
                Ok(())
            })?;
            println!(
                "{}: {} customers were imported in {:.1?}",
                self.name,
                plan.customers,
                started.elapsed()
            );
            return Ok(());
        }
        for first in (0..plan.customers).step_by(CHUNK) {
            let numbers = first..plan.customers.min(first + CHUNK);
            let puts = numbers.map(|number| plan.put(&Ids::SEEDED.id(number), number));
            let answers = self.send(&server, puts.collect::<anyhow::Result<_>>()?)?;
            ensure!(answers.errors(|status| matches!(status, 201 | 204)) == 0, "{:?}", answers.statuses);
        }
        println!("{}: {} customers were put in {:.1?}", self.name, plan.customers, started.elapsed());
        server.stop()
    }

    /// Imports the lines that are written.
    pub(crate) fn import(
        &self,
        write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut command = Command::new(&self.server);
        command.args(["import", "--database-url", &self.url]).args(&self.seal_arguments);
        let mut import = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufWriter::new(import.stdin.take().context("no standard input")?);
        write(&mut lines)?;
        drop(lines.into_inner().map_err(IntoInnerError::into_error)?);
        let imported = import.wait_with_output()?;
        ensure!(imported.status.success(), "import: {}", String::from_utf8_lossy(&imported.stderr));
        Ok(())
    }

    /// That every one of these customers is there, after a restart of the server.
    pub(crate) fn check(&self, ids: &[String]) -> anyhow::Result<()> {
        let server = self.serve()?;
        for ids in ids.chunks(CHUNK) {
            let answers = self.send(&server, ids.iter().map(|id| get(id)).collect())?;
            let missing = answers.errors(|status| status == 200);
            ensure!(missing == 0, "{missing} customers were acknowledged, but are not in the database");
        }
        server.stop()
    }

    fn send(&self, server: &Server, requests: Vec<Vec<u8>>) -> anyhow::Result<client::Answers> {
        let pace =
            Pace { connections: CONNECTIONS, rate: None, limit: NO_LIMIT, reconnects: false, tell: None };
        let answers = client::drive(&server.target, move |number| Ok(requests.get(number).cloned()), 0, pace);
        answers.with_context(|| format!("see {}", self.log.display()))
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }
}

/// A plan whose requests are not signed.
pub(crate) fn unsigned(keys: &Rc<Keys>, customers: usize, identities: Option<usize>) -> Plan {
    let (keys, ids) = (Rc::clone(keys), Ids::SEEDED);
    Plan { case: Case::PutUnsigned, keys, ids, customers, identities, page_token: None }
}

/// The token of the page in the middle of the list: what a client finds that walks there.
pub(crate) fn middle(server: &Server, plan: &Plan) -> anyhow::Result<Option<String>> {
    let (mut pages, mut token) = (0, None);
    client::follow(&server.target, |body| {
        if pages > 0 {
            let page: Value = serde_json::from_slice(body)?;
            token = Some(page["PageToken"].as_str().context("the list is too short")?.to_owned());
        }
        pages += 1;
        let is_there = pages * WALK_ITEMS > plan.customers / 2;
        if is_there { Ok(None) } else { plan.page(WALK_ITEMS, token.as_deref()).map(Some) }
    })?;
    Ok(token)
}

fn get(id: &str) -> Vec<u8> {
    format!("GET /customers/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A new file that only its owner can read.
fn private_file(path: &Path) -> anyhow::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    Ok(File::options().write(true).create_new(true).mode(0o600).open(path)?)
}
