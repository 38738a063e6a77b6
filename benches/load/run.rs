//! One case after the other, each on servers of its own.

use std::{rc::Rc, thread, time::Duration};

use anyhow::ensure;
use customers_api::signature::Algorithm;

use crate::{
    case::{Case, Work},
    client::{self, Answers, Pace},
    flood,
    floor::Floor,
    ids::Ids,
    options::Options,
    process::{Cores, Server},
    report::{Figure, Report},
    requests::{Keys, Plan},
    side::{self, Side, unsigned},
    sqlite::{Upserts, commit_micros, used_signatures},
};

/// How often a case is interrupted to measure the floor, because a machine's speed is not the same from one second to
/// the next.
const ROUNDS: u32 = 5;

/// How long the floor is measured, before a round and after it.
const FLOOR_TIME: Duration = Duration::from_millis(250);

/// How long SQLite alone is measured.
const UPSERT_TIME: Duration = Duration::from_secs(1);

/// How long a server is left alone before it counts as idle.
const IDLE_TIME: Duration = Duration::from_millis(300);

const SOAK_MINUTES: u64 = 10;
const STEADY_MINUTES: u64 = 15;
const STEADY_RATE: f64 = 5_000.0;

/// Of the customers that a long case put, each of so many is looked up afterwards.
const LONG_CHECK: usize = 50;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let cores = Cores::choose(options.pin)?;
    // From here on, whatever this process starts is on the load's core.
    cores.on_the_servers(|| ());
    let url = |given: &Option<String>, name: &str| {
        given.clone().unwrap_or_else(|| format!("sqlite:{}", directory.path().join(name).display()))
    };
    let around = (options, cores, directory.path());
    let first =
        Side::new("new", &options.server, url(&options.database_url, "new.db"), !options.plain, around)?;
    let mut sides = vec![first];
    let compared = url(&options.compare_database_url, "old.db");
    if let Some(server) = &options.compare {
        sides.push(Side::new("old", server, compared, !options.plain, around)?);
    } else if options.compare_plain {
        sides.push(Side::new("plain", &options.server, compared, false, around)?);
    }
    let keys = Rc::new(Keys::generate()?);
    for side in &sides {
        side.register(&keys, options.keys, directory.path())?;
        side.seed(&unsigned(&keys, options.customers, options.identities))?;
    }
    let upserts = Upserts::new(directory.path())?;
    let floors = [Floor::new(Algorithm::Es384)?, Floor::new(Algorithm::Es256)?];
    let report = Report::new(options, commit_micros(directory.path())?);
    let mut bench = Bench { options, cores, sides, keys, floors, upserts, report };
    let cases = if options.cases.is_empty() { &Case::SHORT[..] } else { &options.cases };
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
    sides: Vec<Side>,
    keys: Rc<Keys>,
    floors: [Floor; 2],
    upserts: Upserts,
    report: Report,
}

/// What one side does in a case.
struct Run {
    server: Server,
    plan: Plan,
    prepared: Rc<[Vec<u8>]>,
    idle_mib: f64,
    cpu: f64,
    /// How many verifications the core would have done in the time.
    verifications: f64,
    answers: Answers,
    /// Requests a second, of each round.
    rounds: Vec<f64>,
}

impl Bench<'_> {
    fn measure(&mut self, case: Case, connections: usize) -> anyhow::Result<()> {
        if connections == 1 && (matches!(case, Case::PutEs384Half | Case::OneAccountFloods) || case.is_long())
        {
            return Ok(());
        }
        let floor = self.floor(case)?;
        if case == Case::OneAccountFloods {
            println!("{} on {}", case.name(), self.sides[0].name);
            return flood::measure(&self.sides[0], self.options.seconds, floor);
        }
        let pace = self.pace(case, connections, floor);
        let ids = Ids::fresh(case.is_ascending());
        let upserts = if case == Case::PutUnsigned { self.raw_upserts()? } else { 0.0 };
        let runs: anyhow::Result<Vec<Run>> =
            self.sides.iter().map(|side| self.prepare(side, case, ids, pace, floor)).collect();
        let mut runs = runs?;
        self.drive(case, &mut runs, pace)?;
        let first = runs[0].rounds.clone();
        for (side, run) in self.sides.iter().zip(runs) {
            let Run { server, plan, idle_mib, cpu, verifications, answers, rounds, .. } = run;
            let (peak_mib, ready) = (server.memory().mib("VmHWM")?, server.ready);
            server.stop()?;
            if let (Case::Steady, Some(path)) = (case, side.url.strip_prefix("sqlite:")) {
                let (entries, bytes) = used_signatures(path)?;
                println!("  {entries} used signatures occupy {bytes} bytes of the file");
            }
            let name = case.name();
            ensure!(answers.errors(|status| case.expects(status)) == 0, "{name}: {:?}", answers.statuses);
            let step = if case.is_long() { LONG_CHECK } else { 1 };
            let put: Vec<String> =
                (0..answers.sent).step_by(step).filter_map(|number| plan.put_id(number)).collect();
            side.check(&put)?;
            let floor = verifications / answers.elapsed.as_secs_f64();
            let times =
                first.iter().zip(&rounds).map(|(new, old)| new / old).filter(|times| times.is_finite());
            self.report.add(Figure {
                case,
                side: side.name,
                connections,
                floor,
                upserts,
                answers,
                cpu,
                rows: put.len(),
                idle_mib,
                peak_mib,
                ready,
                is_postgres: side.is_postgres(),
                times: times.collect(),
            });
        }
        Ok(())
    }

    fn prepare(&self, side: &Side, case: Case, ids: Ids, pace: Pace, floor: f64) -> anyhow::Result<Run> {
        let server = match (case.work(), case.algorithm()) {
            (Work::Bare, Some(algorithm)) => side.serve_bare(algorithm)?,
            _ if case.is_ungrouped() => side.serve_ungrouped()?,
            _ => side.serve()?,
        };
        thread::sleep(IDLE_TIME);
        let idle_mib = server.memory().mib("VmRSS")?;
        let (customers, identities) = (self.options.customers, self.options.identities);
        let mut plan =
            Plan { case, keys: Rc::clone(&self.keys), ids, customers, identities, page_token: None };
        if case.work() == Work::ListDeep {
            plan.page_token = side::middle(&server, &plan)?;
        }
        let count = if case.is_long() { 0 } else { count(case, pace, floor) };
        let prepared = (0..count).map(|number| plan.request(number)).collect::<anyhow::Result<_>>()?;
        let answers = Answers::empty()?;
        Ok(Run {
            server,
            plan,
            prepared,
            idle_mib,
            cpu: 0.0,
            verifications: 0.0,
            answers,
            rounds: Vec::new(),
        })
    }

    /// Drives all sides in turn, and the other way round in every second round. The floor that is measured before and
    /// after a round counts for as long as the round took.
    fn drive(&self, case: Case, runs: &mut [Run], pace: Pace) -> anyhow::Result<()> {
        let rounds = if case.is_long() { 1 } else { ROUNDS };
        let pace = Pace { limit: pace.limit / rounds, ..pace };
        let mut before = self.floor(case)?;
        for round in 0..rounds {
            let mut order: Vec<&mut Run> = runs.iter_mut().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for run in order {
                let cpu = run.server.cpu_seconds()?;
                let answers = client::drive(&run.server.target, run.source(), run.answers.sent, pace)?;
                run.cpu += run.server.cpu_seconds()? - cpu;
                run.rounds.push(answers.rate());
                run.answers.add(&answers)?;
                let after = self.floor(case)?;
                run.verifications += f64::midpoint(before, after) * answers.elapsed.as_secs_f64();
                before = after;
            }
        }
        Ok(())
    }

    fn floor(&self, case: Case) -> anyhow::Result<f64> {
        let [es384, es256] = &self.floors;
        let floor = if case.algorithm() == Some(Algorithm::Es256) { es256 } else { es384 };
        self.cores.on_the_servers(|| floor.measure(FLOOR_TIME))
    }

    fn raw_upserts(&mut self) -> anyhow::Result<f64> {
        let upserts = &mut self.upserts;
        self.cores.on_the_servers(|| upserts.measure(UPSERT_TIME))
    }

    fn pace(&self, case: Case, connections: usize, floor: f64) -> Pace {
        let max = self.report.rate(Case::PutEs384).unwrap_or(floor);
        let minutes = self.options.minutes.unwrap_or(match case {
            Case::Soak => SOAK_MINUTES,
            _ => STEADY_MINUTES,
        });
        Pace {
            connections,
            rate: match case {
                Case::PutEs384Half => Some(max / 2.0),
                Case::Steady => Some(STEADY_RATE),
                _ => None,
            },
            limit: if case.is_long() {
                Duration::from_secs(60 * minutes)
            } else {
                Duration::from_secs_f64(self.options.seconds)
            },
            reconnects: case.is_reconnecting(),
            tell: case.is_long().then_some(Duration::from_secs(60)),
        }
    }
}

impl Run {
    /// The requests of a long case are made while they are sent.
    fn source(&self) -> impl Fn(usize) -> anyhow::Result<Option<Vec<u8>>> + 'static {
        let (plan, prepared) = (self.plan.clone(), Rc::clone(&self.prepared));
        move |number| {
            if plan.case.is_long() {
                plan.request(number).map(Some)
            } else {
                Ok(prepared.get(number).cloned())
            }
        }
    }
}

/// How many requests to make, so that they last, even if the core is faster later than when the floor was measured.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
fn count(case: Case, pace: Pace, floor: f64) -> usize {
    let margin = if pace.connections == 1 { 0.7 } else { 1.2 };
    (pace.rate.unwrap_or(case.rate_max(floor) * margin) * pace.limit.as_secs_f64()) as usize
}
