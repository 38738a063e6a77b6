//! An operation of the contract: what the annotation of its handler states, and the handler itself.
//!
//! The routes, `Allow`, the names of actions and the OpenAPI document all come from here.

use actix_web::{FromRequest, Handler, HttpRequest, Responder, Route, http::Method, web};
use utoipa::{
    Path,
    openapi::{HttpMethod, PathItem, path::Operation as Annotation},
};

/// An operation of the contract and its handler.
pub struct Operation {
    id: String,
    path: String,
    methods: Vec<Method>,
    tag: &'static str,
    annotation: fn() -> (Vec<HttpMethod>, Annotation),
    route: Box<dyn Fn() -> Route + Send + Sync>,
}

/// The operations of one path. Its resource carries them as data, so that a request finds its operation.
pub(super) struct PathOperations(pub(super) Vec<&'static Operation>);

impl Operation {
    /// The operation that `A` annotates, with its handler.
    pub(super) fn new<A, H, Args>(tag: &'static str, handler: H) -> Self
    where
        A: Path,
        H: Handler<Args, Output: Responder + 'static> + Send + Sync,
        Args: FromRequest + 'static,
    {
        Self {
            id: A::operation().operation_id.unwrap_or_default(),
            path: A::path(),
            methods: A::methods().iter().map(method).collect(),
            tag,
            annotation: || (A::methods(), A::operation()),
            route: Box::new(move || web::to(handler.clone())),
        }
    }

    /// The operation that a request asks for.
    pub(super) fn of(request: &HttpRequest) -> Option<&'static Self> {
        let PathOperations(operations) = request.app_data()?;
        operations.iter().find(|operation| operation.methods.contains(request.method())).copied()
    }

    /// The `operationId`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path below the base path, its parameters by name.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its methods, each with the route to the handler.
    pub(super) fn routes(&self) -> impl Iterator<Item = (Method, Route)> + '_ {
        self.methods.iter().map(|method| (method.clone(), (self.route)()))
    }

    /// The operation in the document.
    pub(super) fn path_item(&self) -> PathItem {
        let (methods, mut annotation) = (self.annotation)();
        annotation.tags = Some(vec![self.tag.to_owned()]);
        PathItem::from_http_methods(methods, annotation)
    }
}

fn method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}
