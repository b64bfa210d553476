//! What the upstream says of a thing: its identifiers, which are one as a rule.

use crate::v1::UpstreamRef;

impl UpstreamRef {
    /// A thing that is one upstream object; one without an identifier where `id` is empty.
    pub fn of(id: impl Into<String>) -> Self {
        Self { ids: Self::ids_of(id), ..Self::default() }
    }

    /// The list that holds one identifier, or none where `id` is empty.
    pub fn ids_of(id: impl Into<String>) -> Vec<String> {
        Some(id.into()).filter(|id| !id.is_empty()).into_iter().collect()
    }

    /// The identifier of a thing that is one upstream object, and the first of one that is several; empty
    /// where there is none.
    pub fn id(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }

    /// Whether an upstream object is the thing, or one of the several that it is.
    pub fn names(&self, id: &str) -> bool {
        self.ids.iter().any(|it| it == id)
    }
}
