//! What an operation takes from a request, as types: each is read, and stands in the document, as it says here.

use std::{fmt::Display, str::FromStr};

use serde::de::DeserializeOwned;
use utoipa::{
    ToSchema,
    openapi::{Ref, RefOr, Required, Schema, path::ParameterIn, request_body::RequestBodyBuilder},
};

use super::reading::{Location, Reading};
use crate::api::{
    document::{JSON, content},
    operation::Inputs,
};

/// Something that an operation takes from a request: a parameter, several that belong together, the body, or all of it.
pub(crate) trait Input: Sized + 'static {
    /// Adds it to what the operation documents.
    fn document(inputs: &mut Inputs);

    /// Reads it. Notes its violations; if they leave no value, it is `None`.
    fn read(reading: &mut Reading<'_>) -> Option<Self>;
}

/// A parameter of the path. It has the name of its schema, and is always there.
pub(crate) trait PathParameter: FromStr<Err: Display> + ToSchema + 'static {}

/// A parameter that may be absent.
pub(crate) trait OptionalParameter: FromStr<Err: Display> + 'static {
    const LOCATION: Location;

    /// Its name, as the contract writes it.
    const NAME: &'static str;

    fn schema() -> RefOr<Schema>;
}

/// The body, whose schema is that of `T`.
pub(crate) struct Body<T>(pub(crate) T);

/// Defines a type whose fields are what an operation takes from a request.
macro_rules! input {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident { $($field:ident: $part:ty,)+ }) => {
        $(#[$attribute])*
        $visibility struct $name {
            $($field: $part,)+
        }

        impl $crate::api::request::input::Input for $name {
            fn document(inputs: &mut $crate::api::operation::Inputs) {
                $(<$part as $crate::api::request::input::Input>::document(inputs);)+
            }

            fn read(reading: &mut $crate::api::request::reading::Reading<'_>) -> Option<Self> {
                // All fields are read, also after one that has no value, so that all violations are noted.
                $(let $field = <$part as $crate::api::request::input::Input>::read(reading);)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
}

pub(crate) use input;

impl<P: PathParameter> Input for P {
    fn document(inputs: &mut Inputs) {
        inputs.add(ParameterIn::Path, &P::name(), Required::True, Ref::from_schema_name(P::name()));
    }

    fn read(reading: &mut Reading<'_>) -> Option<Self> {
        reading.path_value(&P::name())
    }
}

impl<P: OptionalParameter> Input for Option<P> {
    fn document(inputs: &mut Inputs) {
        let location = match P::LOCATION {
            Location::Query => ParameterIn::Query,
            Location::Header => ParameterIn::Header,
        };
        inputs.add(location, P::NAME, Required::False, P::schema());
    }

    fn read(reading: &mut Reading<'_>) -> Option<Self> {
        Some(reading.value(P::LOCATION, P::NAME, str::parse))
    }
}

impl<T: DeserializeOwned + ToSchema + 'static> Input for Body<T> {
    fn document(inputs: &mut Inputs) {
        let body = RequestBodyBuilder::new().required(Some(Required::True));
        inputs.body = Some(body.content(JSON, content(&T::name())).build());
    }

    fn read(reading: &mut Reading<'_>) -> Option<Self> {
        reading.body().map(Self)
    }
}
