use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type, schema::RefBuilder},
};

/// The schema of what the service keeps, such as a `customer`: the members of its input, and two in front of them. utoipa's
/// derive would make an `allOf`, which a closed object cannot have.
pub(super) fn kept<Id: ToSchema, Input: PartialSchema>(what: &str) -> RefOr<Schema> {
    let mut schema = Input::schema();
    if let RefOr::T(Schema::Object(kept)) = &mut schema {
        kept.description = Some(format!("A {what}, as the service keeps it."));
        kept.required.splice(..0, [Id::name().into_owned(), "Created".to_owned()]);
        kept.properties.insert(Id::name().into_owned(), id::<Id>(what).into());
        kept.properties.insert("Created".to_owned(), created(what).into());
    }
    schema
}

fn id<Id: ToSchema>(what: &str) -> Ref {
    RefBuilder::new()
        .ref_location_from_schema_name(Id::name())
        .description(Some(format!("The identifier of the {what}.")))
        .build()
}

fn created(what: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some(format!("When the {what} was created, in UTC.")))
        .pattern(Some(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"))
        .examples(["2025-03-08T09:30:00.123456Z"])
}
