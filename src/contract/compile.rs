use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

/// What the schemas call the document that they are in.
const URI: &str = "urn:contract";

/// Compiles schemas of one document, which is read once for all of them.
pub(super) struct Compiler<'a> {
    pub(super) document: &'a Value,
    registry: Registry<'a>,
}

#[allow(
    clippy::expect_used,
    reason = "the contract is part of the binary, and a test compiles every schema of it"
)]
impl<'a> Compiler<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        let registry = Registry::new().add(URI, document).and_then(jsonschema::RegistryBuilder::prepare);
        Self { document, registry: registry.expect("the contract is a document") }
    }

    /// The schema at a JSON pointer.
    pub(super) fn compile(&self, pointer: &str) -> Validator {
        let pointer = pointer.replace('{', "%7B").replace('}', "%7D");
        jsonschema::draft202012::options()
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .build(&json!({ "$ref": format!("{URI}#{pointer}") }))
            .expect("the schema compiles")
    }
}
