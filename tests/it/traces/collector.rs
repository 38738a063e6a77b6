//! A collector on loopback, which decodes what it gets.

use std::sync::{Arc, Mutex};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{self, Bytes, Data},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message as _;

/// What a collector got.
#[derive(Default)]
pub(super) struct Received {
    pub(super) bodies: Vec<Bytes>,
    /// The header `api-key` of each body.
    pub(super) api_keys: Vec<String>,
}

pub(super) struct Collector {
    pub(super) endpoint: String,
    received: Data<Mutex<Received>>,
    server: ServerHandle,
}

impl Collector {
    pub(super) fn start() -> Self {
        let received = Data::from(Arc::new(Mutex::new(Received::default())));
        let data = Data::clone(&received);
        let app =
            move || App::new().app_data(Data::clone(&data)).route("/v1/traces", web::post().to(receive));
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", server.addrs()[0]);
        let running = server.run();
        let server = running.handle();
        actix_web::rt::spawn(running);
        Self { endpoint, received, server }
    }

    pub(super) fn received<T>(&self, look: impl Fn(&Received) -> T) -> T {
        look(&self.received.lock().unwrap())
    }

    /// The spans, each with what all spans of its process say.
    pub(super) fn spans(&self) -> Vec<(Resource, Span)> {
        let bodies = self.received(|received| received.bodies.clone());
        let requests = bodies.into_iter().map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let spans = resources.flat_map(|spans| {
            let resource = spans.resource.unwrap();
            let spans = spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.map(move |span| (resource.clone(), span)).collect::<Vec<_>>()
        });
        spans.collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn receive(request: HttpRequest, body: Bytes, received: Data<Mutex<Received>>) -> HttpResponse {
    assert_eq!(request.headers().get("content-type").unwrap(), "application/x-protobuf");
    let api_key = request.headers().get("api-key").map(|key| key.to_str().unwrap().to_owned());
    let mut received = received.lock().unwrap();
    received.bodies.push(body);
    received.api_keys.extend(api_key);
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

/// Attributes as text, in the order of their names.
pub(super) fn texts(attributes: &[KeyValue]) -> Vec<String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => format!("{}={text}", attribute.key),
        Value::IntValue(number) => format!("{}={number}", attribute.key),
        other => panic!("{other:?}"),
    };
    let mut texts: Vec<_> = attributes.iter().map(text).collect();
    texts.sort();
    texts
}
