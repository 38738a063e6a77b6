//! HEAD in the document: each path with GET has it, with the same parameters and headers, and without content (RFC 9110, 9.3.2).

use std::collections::BTreeMap;

use utoipa::openapi::{OpenApi, RefOr, Response, path::Operation};

type Responses = BTreeMap<String, RefOr<Response>>;

/// Adds HEAD to every path with GET.
pub(super) fn add(document: &mut OpenApi) {
    let shared =
        document.components.as_ref().map(|components| components.responses.clone()).unwrap_or_default();
    for item in document.paths.paths.values_mut() {
        item.head = item.get.as_ref().map(|get| head(get, &shared));
    }
}

fn head(get: &Operation, shared: &Responses) -> Operation {
    let mut head = get.clone();
    let id = get.operation_id.as_deref().unwrap_or_default();
    let resource = id.trim_start_matches(|letter: char| letter.is_ascii_lowercase());
    head.operation_id = Some(format!("head{resource}"));
    for response in head.responses.responses.values_mut() {
        *response = without_content(response, shared).into();
    }
    head
}

/// The response itself, not a reference: clients that are generated from the document expect what it documents.
fn without_content(response: &RefOr<Response>, shared: &Responses) -> Response {
    let mut response = match response {
        RefOr::T(response) => response.clone(),
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            match shared.get(name) {
                Some(RefOr::T(response)) => response.clone(),
                _ => Response::default(),
            }
        }
    };
    response.content.clear();
    response.links.clear();
    response
}
