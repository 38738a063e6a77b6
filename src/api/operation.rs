//! An operation of the contract: what its annotation and its types state, and its handler.
//!
//! The routes, `Allow`, the names of actions, the OpenAPI document and what counts as undocumented all come from here.

use std::{cell::OnceCell, rc::Rc};

use actix_web::{HttpMessage as _, HttpRequest, Route, http::Method};
use utoipa::{
    Path,
    openapi::{
        HttpMethod, PathItem, RefOr, Required, Responses, Schema,
        path::{Operation as Annotation, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBody,
    },
};

/// An operation of the contract and its handler.
pub struct Operation {
    id: String,
    path: String,
    methods: Vec<HttpMethod>,
    inputs: Inputs,
    annotation: Annotation,
    route: MakeRoute,
}

/// Makes the route to the handler of an operation, which gets to know the operation here.
type MakeRoute = Box<dyn Fn(&'static Operation) -> Route + Send + Sync>;

/// What an operation takes from its requests. Everything else is undocumented.
#[derive(Default)]
pub(super) struct Inputs {
    parameters: Vec<Parameter>,
    pub(super) body: Option<RequestBody>,
}

/// The operation that a request asks for, as soon as it is known. The request carries it as an extension, and it outlives a
/// request that is given up.
pub(super) type OperationCell = Rc<OnceCell<&'static Operation>>;

impl Inputs {
    /// Adds a parameter.
    pub(super) fn add(
        &mut self,
        location: ParameterIn,
        name: &str,
        required: Required,
        schema: impl Into<RefOr<Schema>>,
    ) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(location).required(required);
        self.parameters.push(parameter.schema(Some(schema)).build());
    }

    fn names(&self, location: &ParameterIn) -> impl Iterator<Item = &str> {
        let parameters = self.parameters.iter().filter(move |parameter| parameter.parameter_in == *location);
        parameters.map(|parameter| parameter.name.as_str())
    }
}

impl Operation {
    /// The operation that `A` annotates. The annotation says nothing of `inputs`, and of `responses` only what is special.
    ///
    /// # Panics
    /// If the operation has no `operationId`, or if it does not take exactly the parameters that its path has.
    pub(super) fn new<A: Path>(
        tag: &str,
        inputs: Inputs,
        responses: Responses,
        route: impl Fn(&'static Self) -> Route + Send + Sync + 'static,
    ) -> Self {
        let (path, mut annotation) = (A::path(), A::operation());
        let id = annotation.operation_id.clone().unwrap_or_default();
        assert!(!id.is_empty(), "an operation of {path} has no operationId");
        let taken: Vec<_> = inputs.names(&ParameterIn::Path).collect();
        assert_eq!(parameters(&path), taken, "the parameters of the path of {id}, and those that it takes");
        annotation.tags = Some(vec![tag.to_owned()]);
        annotation.parameters = Some(inputs.parameters.iter().cloned().map(Into::into).collect());
        annotation.request_body = inputs.body.clone().map(Into::into);
        annotation.responses.responses.extend(responses.responses);
        Self { id, path, methods: A::methods(), inputs, annotation, route: Box::new(route) }
    }

    /// The `operationId`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path below the base path, its parameters by name.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Notes that a request asks for this operation, if somebody wants to know it.
    pub(super) fn note(&'static self, request: &HttpRequest) {
        if let Some(cell) = request.extensions().get::<OperationCell>() {
            cell.get_or_init(|| self);
        }
    }

    pub(super) fn has_query_parameter(&self, name: &str) -> bool {
        self.inputs.names(&ParameterIn::Query).any(|known| known == name)
    }

    /// Whether it has this header, whose name is not case-sensitive.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.inputs.names(&ParameterIn::Header).any(|known| known.eq_ignore_ascii_case(name))
    }

    pub(super) fn has_body(&self) -> bool {
        self.inputs.body.is_some()
    }

    /// Whether it changes nothing, so that a key may do it that may only read.
    pub(super) fn only_reads(&self) -> bool {
        only_reads(&self.methods)
    }

    /// Its methods, each with the route to the handler. Where there is GET, there is HEAD (RFC 9110, 9.3.2).
    pub(super) fn routes(&'static self) -> impl Iterator<Item = (Method, Route)> {
        let methods = self.methods.iter().flat_map(|method| match method {
            HttpMethod::Get => vec![Method::GET, Method::HEAD],
            HttpMethod::Post => vec![Method::POST],
            HttpMethod::Put => vec![Method::PUT],
            HttpMethod::Delete => vec![Method::DELETE],
            HttpMethod::Options => vec![Method::OPTIONS],
            HttpMethod::Head => vec![Method::HEAD],
            HttpMethod::Patch => vec![Method::PATCH],
            HttpMethod::Trace => vec![Method::TRACE],
        });
        methods.map(move |method| (method, (self.route)(self)))
    }

    pub(super) fn path_item(&self) -> PathItem {
        PathItem::from_http_methods(self.methods.iter().cloned(), self.annotation.clone())
    }
}

/// Whether operations with these methods change nothing.
pub(super) fn only_reads(methods: &[HttpMethod]) -> bool {
    methods.iter().all(|method| matches!(method, HttpMethod::Get | HttpMethod::Head))
}

/// The names of the parameters of a path such as `/customers/{CustomerID}`.
fn parameters(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::web;
    use utoipa::openapi::path::OperationBuilder;

    use super::*;

    struct Read;

    impl Path for Read {
        fn methods() -> Vec<HttpMethod> {
            vec![HttpMethod::Get]
        }

        fn path() -> String {
            "/things/{ThingID}".to_owned()
        }

        fn operation() -> Annotation {
            OperationBuilder::new().operation_id(Some("getThing")).build()
        }
    }

    fn operation(parameters: &[(ParameterIn, &str)]) -> Operation {
        let mut inputs = Inputs::default();
        for (location, name) in parameters {
            inputs.add(location.clone(), name, Required::True, Schema::default());
        }
        Operation::new::<Read>("Things", inputs, Responses::default(), |_| web::get())
    }

    #[test]
    fn what_an_operation_takes_is_what_it_has() {
        let operation = operation(&[(ParameterIn::Header, "If-Match"), (ParameterIn::Path, "ThingID")]);
        assert!(operation.has_header("if-match") && !operation.has_header("ThingID"));
        assert!(!operation.has_query_parameter("If-Match") && !operation.has_body());
    }

    #[test]
    #[should_panic(expected = "the parameters of the path of getThing")]
    fn an_operation_takes_every_parameter_of_its_path() {
        operation(&[(ParameterIn::Query, "ThingID")]);
    }

    #[test]
    #[should_panic(expected = "the parameters of the path of getThing")]
    fn an_operation_takes_no_parameter_that_its_path_lacks() {
        operation(&[(ParameterIn::Path, "ThingID"), (ParameterIn::Path, "OtherID")]);
    }
}
