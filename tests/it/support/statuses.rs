//! A receiver of webhooks that needs no test's attention.

use actix_web::{App, HttpResponse, HttpServer, http::StatusCode, rt, web};

/// Starts a receiver that answers a POST with the status that the path names. Returns its URL, such as `http://127.0.0.1:40000`.
pub(crate) fn statuses() -> String {
    let answer =
        async |status: web::Path<u16>| HttpResponse::new(StatusCode::from_u16(status.into_inner()).unwrap());
    let app = move || App::new().route("/{status}", web::post().to(answer));
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    rt::spawn(server.run());
    url
}
