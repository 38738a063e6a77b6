//! What HTTP costs by itself: a server on the same framework that reads a request, verifies one signature and answers with a
//! fixed text. No product on this framework can be faster.

use std::thread::available_parallelism;

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{Bytes, Data, to},
};
use anyhow::Context as _;
use clap::Parser as _;
use tokio::task::yield_now;

use crate::{floor::Floor, serve::Serve};

/// With this argument first, the program is the server, and takes its arguments. The algorithm comes next.
pub(crate) const ARGUMENT: &str = "--serve-bare";

/// As long as the answer to a GET.
const ANSWER_BYTES: usize = 600;

/// Serves until SIGTERM.
pub(crate) fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let (algorithm, arguments) = arguments.split_first().context("no algorithm is given")?;
    let floor = Data::new(Floor::new(algorithm.parse()?)?);
    let Serve { listen, .. } = Serve::parse_from(arguments);
    let workers = available_parallelism().map_or(1, usize::from);
    actix_web::rt::System::new().block_on(async move {
        let app = move || App::new().app_data(Data::clone(&floor)).default_service(to(answer));
        let server = HttpServer::new(app).workers(workers).bind(listen)?;
        let address = server.addrs().first().copied().context("no address")?;
        println!("ready at http://{address}/");
        Ok(server.run().await?)
    })
}

/// All requests that came together are verified before the first is answered, and the answers leave together: one after the
/// other, each would wake the client.
async fn answer(floor: Data<Floor>, body: Bytes) -> HttpResponse {
    let is_valid = floor.verify_one(body.len());
    yield_now().await;
    yield_now().await;
    if is_valid {
        HttpResponse::Ok().content_type("application/json").body(vec![b' '; ANSWER_BYTES])
    } else {
        HttpResponse::Unauthorized().finish()
    }
}
