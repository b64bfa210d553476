//! The options of a VPS: what they may say, and what they cost a month. It must not know orders.
//!
//! Assumptions: the members of the published examples are all there are; whole quantities are written
//! without a fraction; prices, in NOK, are the simulator's own.

use serde_json::{Map, Value};

use crate::money::Cents;

const RAM_GB: Cents = Cents::new(4000);
const CPU: Cents = Cents::new(3000);
const STORAGE_GB: Cents = Cents::new(100);
const IPV4: Cents = Cents::new(1000);

/// What one member may hold.
type Test = fn(&Value) -> bool;

const OPTIONS: &[(&str, Test)] = &[
    ("quantity_ram_gb", |value| thousandths(value).is_some_and(|ram| ram > 0)),
    ("quantity_cpu", |value| whole(value).is_some_and(|count| count > 0)),
    ("quantity_storage_gb", |value| whole(value).is_some_and(|count| count > 0)),
    ("os", |value| whole(value).is_some() || filled(value)),
    ("os_version", filled),
    ("antiaffinity", |value| whole(value).is_some()),
    ("firewall_id", |value| whole(value).is_some()),
    ("firewall_addme", Value::is_string),
    ("features", Value::is_object),
];
const FEATURES: &[(&str, Test)] = &[
    ("ipv4", |value| whole(value).is_some()),
    ("sshd", Value::is_object),
    ("cloud_init_url", filled),
];
const SSHD: &[(&str, Test)] =
    &[("authorized_keys", filled), ("ip_allow", filled), ("public_ports_allow", Value::is_string)];
const REQUIRED: [&str; 4] = ["quantity_ram_gb", "quantity_cpu", "quantity_storage_gb", "os"];

/// What a server with these options costs a month, or the member that is wrong.
pub(super) fn price(options: &Map<String, Value>) -> Result<Cents, String> {
    check("options", options, OPTIONS)?;
    if let Some(missing) = REQUIRED.into_iter().find(|name| !options.contains_key(*name)) {
        return Err(format!("options.{missing} is missing"));
    }
    let mut ipv4 = 0;
    if let Some(Value::Object(features)) = options.get("features") {
        check("options.features", features, FEATURES)?;
        ipv4 = features.get("ipv4").and_then(whole).unwrap_or(0);
        if let Some(Value::Object(sshd)) = features.get("sshd") {
            check("options.features.sshd", sshd, SSHD)?;
        }
    }
    let count = |name: &str| options.get(name).and_then(whole).unwrap_or(0);
    let ram = options.get("quantity_ram_gb").and_then(thousandths).unwrap_or(0);
    let parts = [
        CPU.times(count("quantity_cpu")),
        STORAGE_GB.times(count("quantity_storage_gb")),
        IPV4.times(ipv4),
        Some(RAM_GB.share(ram, 1000)),
    ];
    let sum = parts.into_iter().map(|part| part.map(Cents::hundredths)).sum::<Option<i64>>();
    sum.map(Cents::new).ok_or_else(|| "options are too large".to_owned())
}

fn check(place: &str, members: &Map<String, Value>, known: &[(&str, Test)]) -> Result<(), String> {
    for (name, value) in members {
        let Some((_, test)) = known.iter().find(|(known, _)| known == name) else {
            return Err(format!("{place}.{name} is unknown"));
        };
        if !test(value) {
            return Err(format!("{place}.{name} is invalid"));
        }
    }
    Ok(())
}

fn filled(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// At most a million: nobody rents more of anything.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().filter(|number| (0..=1_000_000).contains(number))
}

/// A number of at most three decimals, in thousandths.
fn thousandths(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    let text = number.to_string();
    let (units, decimals) = text.split_once('.').unwrap_or((&text, "0"));
    if decimals.len() > 3 || !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let units = units.parse::<i64>().ok().filter(|units| (0..=1_000_000).contains(units))?;
    Some(units * 1000 + format!("{decimals:0<3}").parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::price;

    #[test]
    fn prices_and_refusals() {
        let check = |change: Value, expected: Result<i64, &str>| {
            let mut options = json!({
                "quantity_ram_gb": 0.5, "quantity_cpu": 9, "quantity_storage_gb": 25, "os": 2,
            });
            for (name, value) in change.as_object().unwrap() {
                options[name] = value.clone();
            }
            let told = price(options.as_object().unwrap()).map(|amount| amount.hundredths());
            assert_eq!(told, expected.map_err(str::to_owned), "{change}");
        };
        check(json!({}), Ok(31_500));
        check(json!({ "features": { "ipv4": 2 } }), Ok(33_500));
        check(json!({ "quantity_ram_gb": 4 }), Ok(45_500));
        check(json!({ "os": "Debian", "os_version": "10.4" }), Ok(31_500));
        check(json!({ "quantity_cpu": 9.0 }), Err("options.quantity_cpu is invalid"));
        check(json!({ "quantity_cpu": 0 }), Err("options.quantity_cpu is invalid"));
        check(json!({ "quantity_ram_gb": "1" }), Err("options.quantity_ram_gb is invalid"));
        check(json!({ "quantity_ram_gb": 0.0001 }), Err("options.quantity_ram_gb is invalid"));
        check(json!({ "os": true }), Err("options.os is invalid"));
        check(json!({ "colour": 1 }), Err("options.colour is unknown"));
        let keys = json!({ "features": { "sshd": { "keys": "x" } } });
        check(keys, Err("options.features.sshd.keys is unknown"));
    }
}
