//! Swagger UI: its own files come from the vendored package, the files beside this one replace or extend them.

mod content_coding;

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
    web::{Bytes, Data, Path},
};
use serde_json::json;
use utoipa_swagger_ui::{Config, SwaggerFile};

use crate::api::{error::ApiError, state::Api};

/// No foreign content, no inline code, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static VENDORED: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::default()));

/// Sends one of the files of the page.
pub(crate) async fn file(
    request: HttpRequest,
    name: Path<String>,
    api: Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"));
    if let Some((media_type, text)) = own_file(&name, &api) {
        return Ok(response.insert_header((CONTENT_TYPE, media_type)).body(text));
    }
    let vendored = utoipa_swagger_ui::serve(&name, Arc::clone(&VENDORED));
    let vendored = vendored.map_err(|error| ApiError::Internal(error.to_string().into()))?;
    let SwaggerFile { bytes, content_type, gzpipped, .. } = vendored.ok_or(ApiError::RouteNotFound)?;
    response.insert_header((CONTENT_TYPE, content_type));
    let bytes = match bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    if !gzpipped {
        return Ok(response.body(bytes));
    }
    response.insert_header((VARY, "Accept-Encoding"));
    if content_coding::asks_for_gzip(&request) {
        return Ok(response.insert_header((CONTENT_ENCODING, "gzip")).body(bytes));
    }
    Ok(response.body(content_coding::without_gzip(name.into_inner(), bytes).await?))
}

/// The files that replace or extend the vendored ones.
fn own_file(name: &str, api: &Api) -> Option<(&'static str, Bytes)> {
    let (media_type, text) = match name {
        "" | "index.html" => ("text/html; charset=utf-8", include_str!("index.html")),
        "initializer.js" => ("text/javascript; charset=utf-8", include_str!("initializer.js")),
        "accessible.js" => ("text/javascript; charset=utf-8", include_str!("accessible.js")),
        "accessible.css" => ("text/css; charset=utf-8", include_str!("accessible.css")),
        "signing.js" => ("text/javascript; charset=utf-8", include_str!("signing.js")),
        "signing.css" => ("text/css; charset=utf-8", include_str!("signing.css")),
        // Browsers show plain text, and download Markdown.
        "signing.md" => ("text/plain; charset=utf-8", include_str!("../../../docs/signing.md")),
        "config.json" => return Some(("application/json", config(api).into())),
        _ => return None,
    };
    Some((media_type, Bytes::from_static(text.as_bytes())))
}

/// What the page must know to sign requests, and to say where it is.
fn config(api: &Api) -> String {
    let settings = &api.settings;
    json!({
        "Audience": settings.audience,
        "BasePath": settings.base_path.to_string(),
        "Sandbox": settings.sandbox,
        "Version": env!("CARGO_PKG_VERSION"),
    })
    .to_string()
}
