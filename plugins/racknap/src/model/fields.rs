//! Parameters as they are sent, in both encodings. An amount is its digits in both, never a float.

use purveyor_sdk::names::encode;
use purveyor_sdk::serde_json::Value;

/// The parameters of one call, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(&'static str, Field)>);

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// Digits, which JSON writes without quotes.
    Number(String),
    /// Text.
    Text(String),
}

impl Fields {
    /// Adds a number.
    pub(crate) fn number(self, name: &'static str, number: impl ToString) -> Self {
        self.field(name, Field::Number(number.to_string()))
    }

    /// Adds a text.
    pub(crate) fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.field(name, Field::Text(text.into()))
    }

    /// Adds a value.
    pub(crate) fn field(mut self, name: &'static str, value: Field) -> Self {
        self.0.push((name, value));
        self
    }

    /// A JSON object. It is put together as text, because numbers of a JSON library are floats.
    pub(crate) fn to_json(&self) -> String {
        let members = self.0.iter().map(|(name, value)| match value {
            Field::Number(digits) => format!("\"{name}\":{digits}"),
            Field::Text(text) => format!("\"{name}\":{}", Value::from(text.as_str())),
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// A form.
    pub(crate) fn to_form(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| match value {
            Field::Number(text) | Field::Text(text) => format!("{name}={}", encode(text)),
        });
        pairs.collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn both_encodings_keep_digits_and_letters() {
        let fields = Fields::default()
            .number("amount", "528.10")
            .text("regdate", "23/07/2019")
            .text("slserverid", "a \"b\"&=é")
            .number("pid", 0);
        let json = r#"{"amount":528.10,"regdate":"23/07/2019","slserverid":"a \"b\"&=é","pid":0}"#;
        assert_eq!(fields.to_json(), json);
        let form = "amount=528.10&regdate=23%2F07%2F2019&slserverid=a%20%22b%22%26%3D%C3%A9&pid=0";
        assert_eq!(fields.to_form(), form);
        assert_eq!(Fields::default().to_json(), "{}");
    }
}
