use crate::model::{Reason, RequestExtensionItem};

/// A value that does not match its schema.
pub(super) fn violation(field: &str, description: &str) -> RequestExtensionItem {
    RequestExtensionItem {
        field: field.to_owned(),
        reason: Reason::SchemaValidation,
        description: description.to_owned(),
    }
}
