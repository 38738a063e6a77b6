use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type},
};

/// The schema of what the service keeps, such as a customer: the members of its input, and two in front of them. utoipa's
/// derive would make an `allOf`, which a closed object cannot have.
pub(super) fn kept<Id: ToSchema, Input: PartialSchema>() -> RefOr<Schema> {
    let mut schema = Input::schema();
    if let RefOr::T(Schema::Object(kept)) = &mut schema {
        kept.required.splice(..0, [Id::name().into_owned(), "Created".to_owned()]);
        kept.properties.insert(Id::name().into_owned(), Ref::from_schema_name(Id::name()).into());
        kept.properties.insert("Created".to_owned(), created().into());
    }
    schema
}

fn created() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"))
}
