use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// An answer that the contract documents.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn detail(&self) -> String {
        self.json()["Detail"].as_str().unwrap().to_owned()
    }

    /// The violations of a part of the request as `Field: Description`.
    #[track_caller]
    pub(crate) fn violations(&self, part: &str) -> Vec<String> {
        let answer = self.json();
        let items = answer["RequestExtension"][part].as_array().cloned().unwrap_or_default();
        let line = |item: &Value| {
            format!("{}: {}", item["Field"].as_str().unwrap(), item["Description"].as_str().unwrap())
        };
        items.iter().map(line).collect()
    }
}
