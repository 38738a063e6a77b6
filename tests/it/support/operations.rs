//! The operations of the contract, and a good request of each.

use customers_api::contract;
use serde_json::Value;

use super::api::{Request, TestApi};

/// An operation as the contract states it.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    path: &'static str,
    pub(crate) method: &'static str,
    stated: &'static Value,
}

/// Every operation of the contract.
pub(crate) fn operations() -> impl Iterator<Item = Operation> {
    let paths = contract::document()["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, stated)| Operation { path, method, stated })
    })
}

impl Operation {
    /// The `operationId`.
    pub(crate) fn id(self) -> &'static str {
        self.stated["operationId"].as_str().unwrap()
    }

    /// The statuses that it documents.
    pub(crate) fn statuses(self) -> impl Iterator<Item = u16> {
        self.stated["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap())
    }

    /// Whether it has a body.
    pub(crate) fn has_body(self) -> bool {
        self.stated.get("requestBody").is_some()
    }

    /// Whether it has this header.
    pub(crate) fn has_header(self, name: &str) -> bool {
        self.parameters("header").any(|parameter| parameter["name"] == name)
    }

    /// A request of it, made of the contract's examples, with more behind its path.
    pub(crate) fn request<'a>(self, api: &'a TestApi, more: &str) -> Request<'a> {
        let path = self.parameters("path").fold(self.path.to_owned(), |path, parameter| {
            let name = parameter["name"].as_str().unwrap();
            path.replace(&format!("{{{name}}}"), parameter["example"].as_str().unwrap())
        });
        let request = api.request(&self.method.to_uppercase(), &format!("{path}{more}"));
        if self.has_body() { request.json(self.example()) } else { request }
    }

    fn parameters(self, place: &'static str) -> impl Iterator<Item = &'static Value> {
        let parameters = self.stated["parameters"].as_array().unwrap().iter();
        parameters.filter(move |parameter| parameter["in"] == place)
    }

    /// The first example of a body.
    fn example(self) -> &'static Value {
        let examples = &self.stated["requestBody"]["content"]["application/json"]["examples"];
        &examples.as_object().unwrap().values().next().unwrap()["value"]
    }
}
