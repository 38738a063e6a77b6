//! One account among many: it sends as fast as it can, the others at a tenth of that. How long do the others wait?

use std::{io::Write, thread, time::Duration};

use anyhow::{anyhow, ensure};
use customers_api::signature::Algorithm;
use serde_json::json;

use crate::{
    case::Case,
    client::{self, Answers, Pace},
    ids::Ids,
    requests::{Keys, Plan},
    side::Side,
};

const ACCOUNTS: usize = 1000;

/// Over how many connections the one account sends, and all others together.
const CONNECTIONS: usize = 64;

/// Which part of the most that the server can do the others send, all together, evenly over time.
const PART_OF_OTHERS: f64 = 0.1;

/// What 99 of 100 requests of the others may take, in milliseconds.
const P99_MAX: f64 = 50.0;

/// Measures it, where `floor` is the most that the server can answer in a second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
pub(crate) fn measure(side: &Side, seconds: f64, floor: f64) -> anyhow::Result<()> {
    let accounts: Vec<Keys> =
        (0..ACCOUNTS).map(|_| Keys::one(Algorithm::Es384)).collect::<anyhow::Result<_>>()?;
    side.import(|lines| write(&accounts, lines))?;
    let plans: Vec<Plan> = accounts.into_iter().map(plan).collect();
    let rate = floor * PART_OF_OTHERS;
    let requests = |rate: f64, plan: &dyn Fn(usize) -> usize| -> anyhow::Result<Vec<Vec<u8>>> {
        (0..(rate * seconds) as usize).map(|number| plans[plan(number)].request(number)).collect()
    };
    let flood = requests(floor, &|_| 0)?;
    let others = requests(rate, &|number| 1 + number % (ACCOUNTS - 1))?;
    let server = side.serve()?;
    let (target, limit) = (server.target.clone(), Duration::from_secs_f64(seconds));
    let pace = move |rate| Pace { connections: CONNECTIONS, rate, limit, reconnects: false, tell: None };
    let flooded = target.clone();
    let flooding = thread::spawn(move || {
        client::drive(&flooded, move |number| Ok(flood.get(number).cloned()), 0, pace(None))
    });
    let others = client::drive(&target, move |number| Ok(others.get(number).cloned()), 0, pace(Some(rate)))?;
    let flood = flooding.join().map_err(|_| anyhow!("the flood has failed"))??;
    server.stop()?;
    ensure!(flood.errors(|status| matches!(status, 201 | 503)) == 0, "{:?}", flood.statuses);
    tell("the account that floods", &flood);
    tell("all others together", &others);
    let p99 = millis(&others, 0.99);
    let mark = if p99 < P99_MAX { "" } else { "  MISSED" };
    println!("  the others' p99 in ms is to be < {P99_MAX:.0}: {p99:.2}{mark}");
    ensure!(others.errors(|status| status == 201) == 0, "the others got {:?}", others.statuses);
    Ok(())
}

fn tell(who: &str, answers: &Answers) {
    println!(
        "  {who}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, {:?}",
        answers.rate(),
        millis(answers, 0.5),
        millis(answers, 0.99),
        answers.statuses
    );
}

#[allow(clippy::cast_precision_loss, reason = "microseconds of a minute")]
fn millis(answers: &Answers, quantile: f64) -> f64 {
    answers.latencies.value_at_quantile(quantile) as f64 / 1e3
}

fn plan(keys: Keys) -> Plan {
    let ids = Ids::fresh(false);
    let case = Case::OneAccountFloods;
    Plan { case, keys: keys.into(), ids, customers: 0, identities: None, page_token: None }
}

/// Writes the accounts' keys as an import reads them.
fn write(accounts: &[Keys], lines: &mut dyn Write) -> anyhow::Result<()> {
    for (number, keys) in accounts.iter().enumerate() {
        for (key_id, key) in keys.iter() {
            let line = json!({ "Key": {
                "Account": format!("account-{number}"), "KeyID": key_id, "Algorithm": key.algorithm().name(),
                "PublicKey": key.public_key()?.to_pem(), "Created": "2026-01-31T12:00:00.000000Z"
            } });
            writeln!(lines, "{line}")?;
        }
    }
    Ok(())
}
