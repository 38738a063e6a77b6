//! An operation of the contract: what the annotation of its handler states, and the handler itself.
//!
//! The routes, `Allow`, the names of actions and the OpenAPI document all come from here.

use std::{cell::Cell, rc::Rc};

use actix_web::{FromRequest, Handler, HttpMessage as _, HttpRequest, Responder, Route, http::Method, web};
use utoipa::{
    Path,
    openapi::{
        HttpMethod, PathItem, RefOr,
        path::{Operation as Annotation, Parameter, ParameterIn},
    },
};

/// An operation of the contract and its handler.
pub struct Operation {
    id: String,
    path: String,
    methods: Vec<Method>,
    parameters: Vec<Parameter>,
    has_body: bool,
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
        let annotation = A::operation();
        Self {
            id: annotation.operation_id.unwrap_or_default(),
            path: A::path(),
            methods: methods(&A::methods()),
            parameters: annotation.parameters.into_iter().flatten().filter_map(parameter).collect(),
            has_body: annotation.request_body.is_some(),
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

    /// Whether it has this parameter in the query.
    pub(super) fn has_query_parameter(&self, name: &str) -> bool {
        self.has_parameter(&ParameterIn::Query, |known| known == name)
    }

    /// Whether it has this header, whose name is not case-sensitive.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.has_parameter(&ParameterIn::Header, |known| known.eq_ignore_ascii_case(name))
    }

    /// Whether it has a body.
    pub(super) fn has_body(&self) -> bool {
        self.has_body
    }

    fn has_parameter(&self, location: &ParameterIn, is_named: impl Fn(&str) -> bool) -> bool {
        let mut parameters = self.parameters.iter();
        parameters.any(|parameter| parameter.parameter_in == *location && is_named(&parameter.name))
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

/// The operation that a request asks for, as soon as it is known. It outlives a request that is given up.
#[derive(Clone, Default)]
pub(super) struct Asked(Rc<Cell<Option<&'static Operation>>>);

impl Asked {
    /// Notes the operation of a request, if somebody wants to know it.
    pub(super) fn note(request: &HttpRequest) {
        if let Some(Self(asked)) = request.extensions().get() {
            asked.set(Operation::of(request));
        }
    }

    /// The operation, if it is known.
    pub(super) fn operation(&self) -> Option<&'static Operation> {
        self.0.get()
    }
}

/// Where there is GET, there is HEAD (RFC 9110, 9.3.2).
fn methods(annotated: &[HttpMethod]) -> Vec<Method> {
    let methods = annotated.iter().map(method);
    methods
        .flat_map(|method| if method == Method::GET { vec![method, Method::HEAD] } else { vec![method] })
        .collect()
}

fn parameter(parameter: RefOr<Parameter>) -> Option<Parameter> {
    match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
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
