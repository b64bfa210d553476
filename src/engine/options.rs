//! Options of order items against the product's JSON Schema 2020-12, before anything is sent.
//!
//! A schema comes from a plugin and is trusted no further than its size; it refers to nothing
//! outside itself. What is wrong is named by the field's path in the request, and the values
//! themselves, which may be keys or addresses, are not repeated.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use prost_types::value::Kind;
use prost_types::{Struct, Value as ProtoValue};
use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::{Error, Result};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

/// How deep options may be nested: more than any product needs, far below the stack.
const DEPTH: usize = 32;
/// How many values options may hold, so that checking them stays cheap.
const VALUES: usize = 10_000;
/// The most bytes of a schema.
const SCHEMA_BYTES: usize = 256 * 1024;
/// How many compiled schemas are kept; beyond that all are forgotten and compiled anew.
const KEPT: usize = 512;
/// The most mistakes of one item that are told.
const TOLD: usize = 100;
/// From here on a 64-bit float no longer tells neighbouring integers apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Compiled schemas by the hash of their text.
#[derive(Default)]
pub struct Schemas {
    compiled: Mutex<HashMap<[u8; 32], Arc<Validator>>>,
}

impl Schemas {
    /// What is wrong with `options`, which stand at `field` in the request.
    ///
    /// # Errors
    ///
    /// PLUGIN_FAULT for a schema that is none.
    pub fn check(
        &self,
        schema: &str,
        options: Option<&Struct>,
        field: &str,
    ) -> Result<Vec<FieldViolation>> {
        let instance = match document(options, field) {
            Ok(instance) => instance,
            Err(violation) => return Ok(vec![violation]),
        };
        if schema.is_empty() {
            let unknown = instance.as_object().into_iter().flat_map(Map::keys);
            return Ok(unknown
                .take(TOLD)
                .map(|key| violation(property(field, key), "the product takes no options"))
                .collect());
        }
        let validator = self.compiled(schema)?;
        let errors = validator.iter_errors(&instance).take(TOLD);
        Ok(errors.flat_map(|error| violations(&error, &instance, field)).collect())
    }

    fn compiled(&self, schema: &str) -> Result<Arc<Validator>> {
        let hash: [u8; 32] = Sha256::digest(schema).into();
        let kept = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(validator) = kept {
            return Ok(validator);
        }
        let validator = Arc::new(compile(schema)?);
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        compiled.insert(hash, Arc::clone(&validator));
        Ok(validator)
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas").finish_non_exhaustive()
    }
}

fn compile(schema: &str) -> Result<Validator> {
    if schema.len() > SCHEMA_BYTES {
        return Err(Error::fault("the product's options schema is too large"));
    }
    let schema: Value = serde_json::from_str(schema).map_err(|error| {
        Error::fault("the product's options schema is no JSON").with_source(error)
    })?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&schema)
        .map_err(|error| {
            Error::fault("the product's options schema is no JSON Schema")
                .with_source(error.to_string())
        })
}

/// The options as JSON, with whole numbers as integers.
fn document(options: Option<&Struct>, field: &str) -> Result<Value, FieldViolation> {
    let mut left = VALUES;
    match options {
        None => Ok(Value::Object(Map::new())),
        Some(options) => object(options, field, DEPTH, &mut left),
    }
}

fn object(
    options: &Struct,
    field: &str,
    depth: usize,
    left: &mut usize,
) -> Result<Value, FieldViolation> {
    let mut members = Map::new();
    for (key, member) in &options.fields {
        let path = property(field, key);
        let member = value(member, &path, depth, left)?;
        members.insert(key.clone(), member);
    }
    Ok(Value::Object(members))
}

fn value(
    given: &ProtoValue,
    field: &str,
    depth: usize,
    left: &mut usize,
) -> Result<Value, FieldViolation> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(violation(field, format!("is nested deeper than {DEPTH}")));
    };
    *left = left
        .checked_sub(1)
        .ok_or_else(|| violation(field, format!("is one of more than {VALUES} values")))?;
    match &given.kind {
        None => Err(violation(field, "has no value")),
        Some(Kind::NullValue(_)) => Ok(Value::Null),
        Some(Kind::BoolValue(given)) => Ok(Value::Bool(*given)),
        Some(Kind::StringValue(given)) => Ok(Value::String(given.clone())),
        Some(Kind::NumberValue(given)) => number(*given, field),
        Some(Kind::StructValue(given)) => object(given, field, depth, left),
        Some(Kind::ListValue(given)) => given
            .values
            .iter()
            .enumerate()
            .map(|(index, item)| value(item, &format!("{field}[{index}]"), depth, left))
            .collect::<Result<_, _>>()
            .map(Value::Array),
    }
}

/// A Struct has only floats: a whole number is meant as an integer, and one that a float cannot hold
/// exactly may already be another than the caller wrote.
fn number(given: f64, field: &str) -> Result<Value, FieldViolation> {
    if !given.is_finite() {
        return Err(violation(field, "is no finite number"));
    }
    if given.fract() != 0.0 {
        return Number::from_f64(given)
            .map(Value::Number)
            .ok_or_else(|| violation(field, "is no finite number"));
    }
    if given.abs() > EXACT {
        return Err(violation(field, "is a whole number beyond 2^53, which is not exact here"));
    }
    // Exact: the number is whole and its magnitude at most 2^53.
    #[allow(clippy::cast_possible_truncation)]
    let whole = given as i64;
    Ok(Value::Number(whole.into()))
}

fn violations(error: &ValidationError<'_>, instance: &Value, field: &str) -> Vec<FieldViolation> {
    let path = path_of(error.instance_path().as_str(), instance, field);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|key| violation(property(&path, key), "is not an option of this product"))
            .collect(),
        ValidationErrorKind::Required { property: Value::String(missing) } => {
            vec![violation(property(&path, missing), "is required")]
        }
        _ => vec![violation(path, error.masked_with("the value").to_string())],
    }
}

/// A JSON pointer into `instance` as a path below `field`: `.features.sshd.ip_allow[0]`.
fn path_of(pointer: &str, instance: &Value, field: &str) -> String {
    let mut path = field.to_owned();
    let mut here = Some(instance);
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        here = match here {
            Some(Value::Array(items)) => {
                path = format!("{path}[{part}]");
                part.parse::<usize>().ok().and_then(|index| items.get(index))
            }
            other => {
                path = property(&path, &part);
                other.and_then(|value| value.get(&part))
            }
        };
    }
    path
}

/// A member's path; a key that is no identifier stands in brackets.
fn property(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(plain) {
        format!("{path}.{key}")
    } else {
        format!("{path}[{key:?}]")
    }
}

fn violation(field: impl Into<String>, description: impl Into<String>) -> FieldViolation {
    FieldViolation { field: field.into(), description: description.into() }
}

#[cfg(test)]
mod tests;
