//! The options of an item: as JSON for the upstream, and checked for what a schema cannot say. Each
//! mistake is named by its path; values, which may be keys and addresses, are not repeated.

mod access;

use std::collections::BTreeMap;

use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{Struct, Value as Given};
use purveyor_sdk::serde_json::{Map, Number, Value};

use access::{check_addresses, check_keys, check_ports};

/// The options of a VPS, JSON Schema 2020-12.
pub(crate) const VPS_SCHEMA: &str = include_str!("options/vps.json");

/// How deep options may be nested: more than any product needs.
const MAX_DEPTH: usize = 32;

/// From here on a double no longer tells neighbouring whole numbers apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What is wrong with a value, or nothing.
type Test = fn(&Value) -> Result<(), String>;

/// An object's members, with those that it has to have.
struct Shape {
    required: &'static [&'static str],
    members: &'static [(&'static str, Member)],
}

enum Member {
    Is(Test),
    Object(&'static Shape),
}

static OPTIONS: Shape = Shape {
    required: &["quantity_ram_gb", "quantity_cpu", "quantity_storage_gb", "os"],
    members: &[
        ("quantity_ram_gb", Member::Is(positive)),
        ("quantity_cpu", Member::Is(|value| whole(value, 1))),
        ("quantity_storage_gb", Member::Is(|value| whole(value, 1))),
        ("os", Member::Is(|value| whole(value, 0).or_else(|_| text(value).map(|_| ())))),
        ("os_version", Member::Is(|value| text(value).map(|_| ()))),
        ("antiaffinity", Member::Is(|value| whole(value, 0))),
        ("firewall_id", Member::Is(|value| whole(value, 1))),
        ("firewall_addme", Member::Is(flag)),
        ("features", Member::Object(&FEATURES)),
    ],
};
static FEATURES: Shape = Shape {
    required: &[],
    members: &[
        ("ipv4", Member::Is(|value| whole(value, 0))),
        ("cloud_init_url", Member::Is(|value| check_url(text(value)?))),
        ("sshd", Member::Object(&SSHD)),
    ],
};
static SSHD: Shape = Shape {
    // Later editions of the document call it required.
    required: &["ip_allow"],
    members: &[
        ("authorized_keys", Member::Is(|value| check_keys(text(value)?))),
        ("ip_allow", Member::Is(|value| check_addresses(text(value)?))),
        ("public_ports_allow", Member::Is(|value| check_ports(text(value)?))),
    ],
};

/// The options as the upstream is sent them. `strict`: the plugin knows all there are, and which of them
/// are needed; else only what it knows is checked.
///
/// # Errors
///
/// Every mistake, by its path below `path`.
pub(crate) fn check(
    options: Option<&Struct>,
    path: &str,
    strict: bool,
) -> Result<Map<String, Value>, Vec<FieldViolation>> {
    let mut mistakes = Mistakes { strict, found: Vec::new() };
    let fields = options.map_or(&BTreeMap::new(), |options| &options.fields).clone();
    let members = mistakes.members(&fields, path, MAX_DEPTH);
    mistakes.shape(&members, &OPTIONS, path);
    if mistakes.found.is_empty() { Ok(members) } else { Err(mistakes.found) }
}

struct Mistakes {
    strict: bool,
    found: Vec<FieldViolation>,
}

impl Mistakes {
    fn add(&mut self, field: &str, description: impl Into<String>) {
        let description = description.into();
        self.found.push(FieldViolation { field: field.to_owned(), description });
    }

    fn members(
        &mut self,
        fields: &BTreeMap<String, Given>,
        path: &str,
        depth: usize,
    ) -> Map<String, Value> {
        let mut members = Map::new();
        for (name, given) in fields {
            if let Some(value) = self.value(given, &format!("{path}.{name}"), depth) {
                members.insert(name.clone(), value);
            }
        }
        members
    }

    /// A value as JSON. A whole number is sent without a fraction.
    fn value(&mut self, given: &Given, path: &str, depth: usize) -> Option<Value> {
        let Some(depth) = depth.checked_sub(1) else {
            self.add(path, "is nested too deep");
            return None;
        };
        match given.kind.as_ref() {
            None | Some(Kind::NullValue(_)) => {
                self.add(path, "has no value");
                None
            }
            Some(Kind::BoolValue(truth)) => Some(Value::Bool(*truth)),
            Some(Kind::StringValue(text)) => Some(Value::String(text.clone())),
            Some(Kind::NumberValue(given)) => match number(*given) {
                Ok(number) => Some(Value::Number(number)),
                Err(description) => {
                    self.add(path, description);
                    None
                }
            },
            Some(Kind::StructValue(fields)) => {
                Some(Value::Object(self.members(&fields.fields, path, depth)))
            }
            Some(Kind::ListValue(list)) => {
                let values = list.values.iter().enumerate();
                let values = values
                    .filter_map(|(index, one)| self.value(one, &format!("{path}[{index}]"), depth));
                Some(Value::Array(values.collect()))
            }
        }
    }

    fn shape(&mut self, members: &Map<String, Value>, shape: &Shape, path: &str) {
        for (name, value) in members {
            let path = format!("{path}.{name}");
            let known = shape.members.iter().find(|(known, _)| known == name);
            match (known, value) {
                (Some((_, Member::Is(test))), value) => {
                    if let Err(description) = test(value) {
                        self.add(&path, description);
                    }
                }
                (Some((_, Member::Object(shape))), Value::Object(members)) => {
                    self.shape(members, shape, &path);
                }
                (Some((_, Member::Object(_))), _) => self.add(&path, "must be an object"),
                (None, _) if self.strict => self.add(&path, "is not an option of this product"),
                (None, _) => {}
            }
        }
        if !self.strict {
            return;
        }
        for name in shape.required.iter().filter(|name| !members.contains_key(**name)) {
            let path = format!("{path}.{name}");
            // A value that was no JSON has been told of already.
            if !self.found.iter().any(|found| found.field == path) {
                self.add(&path, "is required");
            }
        }
    }
}

fn number(given: f64) -> Result<Number, &'static str> {
    if !given.is_finite() {
        return Err("is no finite number");
    }
    if given.fract() != 0.0 {
        return Number::from_f64(given).ok_or("is no finite number");
    }
    if given.abs() > EXACT {
        return Err("is a whole number beyond 2^53, which is not exact here");
    }
    // Exact: the number is whole and its magnitude at most 2^53.
    #[allow(clippy::cast_possible_truncation)]
    let whole = given as i64;
    Ok(Number::from(whole))
}

fn positive(value: &Value) -> Result<(), String> {
    let good = value.as_f64().is_some_and(|number| number > 0.0);
    if good { Ok(()) } else { Err("must be a number above 0".to_owned()) }
}

fn whole(value: &Value, least: i64) -> Result<(), String> {
    let good = value.as_i64().is_some_and(|number| number >= least);
    if good { Ok(()) } else { Err(format!("must be a whole number, at least {least}")) }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| "must be a text".to_owned())
}

fn flag(value: &Value) -> Result<(), String> {
    let good = matches!(value.as_str(), Some("0" | "1"));
    if good { Ok(()) } else { Err("must be \"0\" or \"1\"".to_owned()) }
}

/// An address that the new server could read: a scheme it speaks, a host, no blanks.
fn check_url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let plain = text.chars().all(|c| c.is_ascii_graphic());
    let good = plain && host.is_some_and(|host| !host.is_empty() && !host.contains('@'));
    if good { Ok(()) } else { Err("must be an http:// or https:// address".to_owned()) }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::prost_types::{ListValue, Struct, Value as Given};
    use purveyor_sdk::serde_json::{Value, from_str, json};

    use super::{Kind, OPTIONS, VPS_SCHEMA, check};

    fn given(value: &Value) -> Given {
        let kind = match value {
            Value::Null => Kind::NullValue(0),
            Value::Bool(truth) => Kind::BoolValue(*truth),
            Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            Value::String(text) => Kind::StringValue(text.clone()),
            Value::Array(values) => {
                Kind::ListValue(ListValue { values: values.iter().map(given).collect() })
            }
            Value::Object(_) => Kind::StructValue(fields(value)),
        };
        Given { kind: Some(kind) }
    }

    fn fields(value: &Value) -> Struct {
        let members = value.as_object().unwrap().iter();
        Struct { fields: members.map(|(name, value)| (name.clone(), given(value))).collect() }
    }

    fn vps(change: Value) -> Value {
        let mut options = json!({
            "quantity_ram_gb": 0.5, "quantity_cpu": 9, "quantity_storage_gb": 25, "os": 2,
        });
        for (name, value) in change.as_object().unwrap() {
            options[name] = value.clone();
        }
        options
    }

    #[test]
    fn what_is_sent_is_what_was_given() {
        for options in [
            vps(json!({})),
            vps(json!({ "quantity_ram_gb": 4, "os": "Debian", "os_version": "10.4" })),
            vps(json!({ "antiaffinity": 0, "firewall_id": 7, "firewall_addme": "1" })),
            vps(json!({ "features": { "ipv4": 0, "cloud_init_url": "https://a.example/b",
                "sshd": { "ip_allow": "fec0:aaa:1:2::ff,192.168.0.0/24",
                    "public_ports_allow": "80,443,12000:12010" } } })),
        ] {
            let sent = check(Some(&fields(&options)), "o", true).unwrap();
            assert_eq!(Value::Object(sent).to_string(), options.to_string());
        }
    }

    #[test]
    fn every_mistake_has_its_path() {
        fn wrong(options: &Value, strict: bool) -> Vec<String> {
            let found = check(Some(&fields(options)), "o", strict).unwrap_err();
            found.into_iter().map(|violation| violation.field).collect()
        }
        fn refused(change: Value, expected: &str) {
            assert_eq!(wrong(&vps(change.clone()), true), [expected], "{change}");
        }
        refused(json!({ "quantity_ram_gb": 0 }), "o.quantity_ram_gb");
        refused(json!({ "quantity_ram_gb": "1" }), "o.quantity_ram_gb");
        refused(json!({ "quantity_cpu": 1.5 }), "o.quantity_cpu");
        refused(json!({ "quantity_storage_gb": 1e17 }), "o.quantity_storage_gb");
        refused(json!({ "os": "" }), "o.os");
        refused(json!({ "os": true }), "o.os");
        refused(json!({ "firewall_addme": 1 }), "o.firewall_addme");
        refused(json!({ "colour": "red" }), "o.colour");
        refused(json!({ "features": 1 }), "o.features");
        refused(json!({ "features": { "ipv6": 1 } }), "o.features.ipv6");
        refused(json!({ "features": { "ipv4": null } }), "o.features.ipv4");
        refused(
            json!({ "features": { "cloud_init_url": "ftp://a" } }),
            "o.features.cloud_init_url",
        );
        refused(json!({ "features": { "sshd": {} } }), "o.features.sshd.ip_allow");
        let sshd = |name: &str, value: &str| {
            let mut sshd = json!({ "ip_allow": "10.0.0.1" });
            sshd[name] = json!(value);
            json!({ "features": { "sshd": sshd } })
        };
        refused(sshd("ip_allow", "10.0.0.1/33"), "o.features.sshd.ip_allow");
        refused(sshd("public_ports_allow", "0"), "o.features.sshd.public_ports_allow");
        refused(sshd("authorized_keys", "ssh-rsa ..."), "o.features.sshd.authorized_keys");
        assert_eq!(wrong(&json!({}), true).len(), 4);
        // A configured schema says what else there is and what is needed.
        let own = json!({ "colour": "red", "quantity_cpu": 0 });
        assert_eq!(wrong(&own, false), ["o.quantity_cpu"]);
    }

    #[test]
    fn the_schema_knows_what_is_checked() {
        let schema: Value = from_str(VPS_SCHEMA).unwrap();
        let mut checked: Vec<_> = OPTIONS.members.iter().map(|(name, _)| *name).collect();
        checked.sort_unstable();
        let told: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(checked, told);
        assert_eq!(schema["required"], json!(OPTIONS.required));
    }
}
