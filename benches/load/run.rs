//! One case after the other, each on a server of its own.

use std::{
    env,
    path::PathBuf,
    process::Command,
    rc::Rc,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use customers_api::{random, signature::Algorithm};
use serde_json::Value;

use crate::{
    case::{Case, Work},
    client::{self, Answers, Pace},
    data::{Data, commit_micros},
    floor::Floor,
    options::Options,
    process::{Cores, Server},
    report::{Figure, Report},
    requests::{Plan, Requests},
    ungrouped,
};

/// How often a case is interrupted to measure the floor, because a machine's speed is not the same from one second to
/// the next.
const ROUNDS: u32 = 5;

/// How long the floor is measured, before a round and after it.
const FLOOR_TIME: Duration = Duration::from_millis(250);

/// How long a server is left alone before it counts as idle.
const IDLE_TIME: Duration = Duration::from_millis(300);

const SOAK: Duration = Duration::from_secs(600);
const SOAK_SAMPLE: Duration = Duration::from_secs(30);
const SOAK_REQUESTS: usize = 100_000;

/// How many customers a page has while the middle of the list is looked for.
const WALK_ITEMS: usize = 100;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let url = match &options.database_url {
        Some(url) => url.clone(),
        None => format!("sqlite:{}", directory.path().join("load.db").display()),
    };
    let cores = Cores::choose(options.pin)?;
    // From here on, whatever this process starts is on the load's core.
    cores.on_the_servers(|| ());
    let data = Data::prepare(url, options.customers, options.identities, options.keys)?;
    let mut bench = Bench {
        options,
        cores,
        data,
        floors: [Floor::new(Algorithm::Es384)?, Floor::new(Algorithm::Es256)?],
        log: directory.path().join("server.log"),
        report: Report::new(options, commit_micros(directory.path())?),
    };
    let cases = if options.cases.is_empty() { &Case::ALL[..] } else { &options.cases };
    for &case in cases {
        for &connections in &options.connections {
            bench.measure(case, connections)?;
        }
    }
    bench.report.finish(&options.server)
}

struct Bench<'a> {
    options: &'a Options,
    cores: Cores,
    data: Data,
    floors: [Floor; 2],
    log: PathBuf,
    report: Report,
}

impl Bench<'_> {
    fn measure(&mut self, case: Case, connections: usize) -> anyhow::Result<()> {
        if matches!(case, Case::PutEs384Half | Case::Soak) && connections == 1 {
            return Ok(());
        }
        let before = self.floor(case)?;
        let server = self.serve(case)?;
        thread::sleep(IDLE_TIME);
        let idle_mib = server.memory().mib("VmRSS")?;
        let plan = self.plan(case, &server)?;
        let pace = self.pace(case, connections, before);
        let Requests { bytes, puts } = plan.requests(count(case, pace, before))?;

        let (cpu, sampler) = (server.cpu_seconds()?, (case == Case::Soak).then(|| Sampler::start(&server)));
        let (floor, answers) = self.drive(case, &server, &bytes.into(), pace)?;
        let cpu = server.cpu_seconds()? - cpu;
        drop(sampler);

        let (peak_mib, ready) = (server.memory().mib("VmHWM")?, server.ready);
        server.stop()?;
        ensure!(answers.errors() == 0, "{}: {:?}", case.name(), answers.statuses);
        let put: Vec<String> = puts.into_iter().take(answers.sent).flatten().collect();
        self.data.check(Data::account(case.algorithm()), &put)?;
        let rows = put.len();
        let is_postgres = self.data.url.starts_with("postgres");
        self.report.add(Figure {
            case,
            connections,
            floor,
            answers,
            cpu,
            rows,
            idle_mib,
            peak_mib,
            ready,
            is_postgres,
        });
        Ok(())
    }

    /// Gives the floor, too: that of each round counts for as long as the round took.
    fn drive(
        &self,
        case: Case,
        server: &Server,
        requests: &Rc<[Vec<u8>]>,
        pace: Pace,
    ) -> anyhow::Result<(f64, Answers)> {
        let rounds = if case == Case::Soak { 1 } else { ROUNDS };
        let pace = Pace { limit: pace.limit / rounds, ..pace };
        let (mut before, mut verifications, mut answers) = (self.floor(case)?, 0.0, Answers::none()?);
        for _ in 0..rounds {
            let round = client::drive(server.address, requests, answers.sent, pace)?;
            answers.add(&round)?;
            let after = self.floor(case)?;
            verifications += f64::midpoint(before, after) * round.elapsed.as_secs_f64();
            before = after;
        }
        Ok((verifications / answers.elapsed.as_secs_f64(), answers))
    }

    fn serve(&self, case: Case) -> anyhow::Result<Server> {
        let besides = self.options.server_arguments.iter().map(String::as_str);
        let besides = besides.filter(|_| !case.is_ungrouped());
        let arguments: Vec<&str> = case.server_arguments().iter().copied().chain(besides).collect();
        let command = if case.is_ungrouped() {
            let mut command = Command::new(env::current_exe()?);
            command.arg(ungrouped::ARGUMENT);
            command
        } else {
            Command::new(&self.options.server)
        };
        self.cores.on_the_servers(|| Server::start(command, &self.data.url, &self.log, &arguments))
    }

    fn floor(&self, case: Case) -> anyhow::Result<f64> {
        let [es384, es256] = &self.floors;
        let floor = if case.algorithm() == Some(Algorithm::Es256) { es256 } else { es384 };
        self.cores.on_the_servers(|| floor.measure(FLOOR_TIME))
    }

    fn pace(&self, case: Case, connections: usize, floor: f64) -> Pace {
        let max = self.report.rate(Case::PutEs384).unwrap_or(floor);
        Pace {
            connections,
            rate: (case == Case::PutEs384Half).then_some(max / 2.0),
            limit: if case == Case::Soak { SOAK } else { Duration::from_secs_f64(self.options.seconds) },
            cycle: case == Case::Soak,
        }
    }

    fn plan(&self, case: Case, server: &Server) -> anyhow::Result<Plan<'_>> {
        let (data, identities) = (&self.data, self.options.identities);
        let run = random::uuid().simple().to_string()[..8].to_owned();
        let mut plan = Plan { case, data, identities, run, page_token: None };
        if case.work() == Work::ListDeep {
            plan.page_token = middle(&plan, server)?;
        }
        Ok(plan)
    }
}

/// The token of the page in the middle of the list: what a client finds that walks there.
fn middle(plan: &Plan<'_>, server: &Server) -> anyhow::Result<Option<String>> {
    let (mut pages, mut token) = (0, None);
    client::follow(server.address, |body| {
        if pages > 0 {
            let page: Value = serde_json::from_slice(body)?;
            token = Some(page["PageToken"].as_str().context("the list is too short")?.to_owned());
        }
        pages += 1;
        let is_there = pages * WALK_ITEMS > plan.data.customers as usize / 2;
        if is_there { Ok(None) } else { plan.page(WALK_ITEMS, token.as_deref()).map(Some) }
    })?;
    Ok(token)
}

/// Prints the memory of a server now and then, until it is dropped.
struct Sampler {
    _stop: Sender<()>,
}

impl Sampler {
    fn start(server: &Server) -> Self {
        let (stop, stopped) = mpsc::channel();
        let memory = server.memory();
        thread::spawn(move || {
            let started = Instant::now();
            while stopped.recv_timeout(SOAK_SAMPLE) == Err(RecvTimeoutError::Timeout) {
                match memory.mib("VmRSS") {
                    Ok(mib) => println!("  soak, {:>4} s: {mib:.1} MiB", started.elapsed().as_secs()),
                    Err(error) => println!("  soak: {error}"),
                }
            }
        });
        Self { _stop: stop }
    }
}

/// How many requests to make, so that they last.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
fn count(case: Case, pace: Pace, floor: f64) -> usize {
    if pace.cycle {
        return SOAK_REQUESTS;
    }
    let alone = if pace.connections == 1 { 0.6 } else { 1.0 };
    (pace.rate.unwrap_or(case.rate_max(floor) * alone) * pace.limit.as_secs_f64()) as usize
}
