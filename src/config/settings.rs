//! A plugin's own table: carried over to JSON, which is what its schema speaks of, with the line of
//! each value remembered for mistakes that are found later.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use toml::de::DeValue;

use super::document::{Found, Place, whole};

/// The line of each key that is checked again once plugins are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(BTreeMap<String, usize>);

impl Lines {
    pub(crate) fn note(&mut self, place: Option<Place<'_>>) {
        if let Some(place) = place {
            self.0.insert(place.key, place.line);
        }
    }

    /// The line of a key, or of the nearest table around it.
    pub(crate) fn of(&self, key: &str) -> usize {
        let mut key = key;
        loop {
            if let Some(line) = self.0.get(key) {
                return *line;
            }
            match key.rsplit_once('.') {
                Some((outer, _)) => key = outer,
                None => return 1,
            }
        }
    }
}

/// The table as a JSON object.
pub(crate) fn read(entries: Vec<(String, Found<'_, &DeValue<'_>>)>, lines: &mut Lines) -> Value {
    let mut object = Map::new();
    for (key, found) in entries {
        object.extend(json(found.value, &found.place, lines).map(|value| (key, value)));
    }
    Value::Object(object)
}

fn json(value: &DeValue<'_>, place: &Place<'_>, lines: &mut Lines) -> Option<Value> {
    lines.note(Some(place.clone()));
    match value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Boolean(truth) => Some(Value::Bool(*truth)),
        DeValue::Integer(integer) => {
            let number = whole(integer);
            if number.is_none() {
                place.refuse("is a number of more than 64 bits");
            }
            number.map(Value::from)
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            if number.is_none() {
                place.refuse("is no number that JSON can carry");
            }
            number.map(Value::Number)
        }
        DeValue::Datetime(_) => {
            place.refuse_with("is a date or time, which plugins do not take", "write it as a text");
            None
        }
        DeValue::Array(items) => {
            let items = items.iter().enumerate().filter_map(|(index, item)| {
                json(item.get_ref(), &place.below(&index.to_string(), &item.span()), lines)
            });
            Some(Value::Array(items.collect()))
        }
        DeValue::Table(table) => {
            let mut object = Map::new();
            for (key, value) in table {
                let below = place.below(key.get_ref(), &key.span());
                let value = json(value.get_ref(), &below, lines);
                object.extend(value.map(|value| (key.get_ref().to_string(), value)));
            }
            Some(Value::Object(object))
        }
    }
}
