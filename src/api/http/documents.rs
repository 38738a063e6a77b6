//! The contract as files, each with the address of this service in it.

use std::sync::OnceLock;

use actix_web::{
    HttpResponse,
    http::header::CONTENT_TYPE,
    web::{Bytes, Data},
};

use crate::contract;

/// The files. Each is made when it is asked for first.
pub(super) struct Documents {
    base_path: String,
    yaml: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
    json_3_0: OnceLock<Bytes>,
}

impl Documents {
    pub(super) fn new(base_path: &str) -> Self {
        let base_path = base_path.to_owned();
        Self { base_path, yaml: OnceLock::new(), json: OnceLock::new(), json_3_0: OnceLock::new() }
    }
}

pub(super) async fn openapi_yaml(documents: Data<Documents>) -> HttpResponse {
    let make = || contract::yaml_at(&documents.base_path).into_owned().into();
    // RFC 9512
    answer("application/yaml", documents.yaml.get_or_init(make))
}

pub(super) async fn openapi_json(documents: Data<Documents>) -> HttpResponse {
    let make = || contract::json_at(&documents.base_path, contract::document()).into();
    answer("application/json", documents.json.get_or_init(make))
}

pub(super) async fn openapi_3_0_json(documents: Data<Documents>) -> HttpResponse {
    let make = || contract::json_at(&documents.base_path, contract::document_3_0()).into();
    answer("application/json", documents.json_3_0.get_or_init(make))
}

fn answer(media_type: &'static str, text: &Bytes) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, media_type)).body(text.clone())
}
