//! Checks of parameters, each with the fault code the upstream's scheme gives it. It must not
//! look at state: what depends on an account or a product is checked where it is used.

use std::collections::BTreeMap;

use dxr::Value;

use super::fault_code::{Cause, GandiFault, Object};
use super::xmlrpc::{string, structure};

/// The members of a struct parameter, taken out one by one while mistakes are collected.
#[derive(Debug, Default)]
pub(super) struct Members {
    left: BTreeMap<String, Value>,
    mistakes: Vec<Mistake>,
}

/// One thing wrong with one member.
#[derive(Clone, Debug)]
pub(super) struct Mistake {
    field: String,
    field_type: &'static str,
    fault: GandiFault,
}

/// Checks how many parameters a method got, the API key counted.
pub(super) fn check_count(params: &[Value], least: usize, most: usize) -> Result<(), GandiFault> {
    let detail = format!("expected {least} to {most} parameters, got {}", params.len());
    if params.len() < least {
        return Err(GandiFault::caller(Object::Method, Cause::Expected, detail));
    }
    if params.len() > most {
        return Err(GandiFault::caller(Object::Method, Cause::Unexpected, detail));
    }
    Ok(())
}

pub(super) fn integer(value: &Value) -> Result<i32, GandiFault> {
    match value {
        Value::Integer(number) => Ok(*number),
        _ => Err(GandiFault::caller(Object::Integer, Cause::Type, "an int is due")),
    }
}

/// An int that is at least `least`.
pub(super) fn natural(value: &Value, least: usize) -> Result<usize, GandiFault> {
    let number = usize::try_from(integer(value)?).ok().filter(|number| *number >= least);
    number.ok_or_else(|| {
        GandiFault::caller(Object::Integer, Cause::Value, format!("must be at least {least}"))
    })
}

pub(super) fn text(value: &Value) -> Result<&str, GandiFault> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(GandiFault::caller(Object::String, Cause::Type, "a string is due")),
    }
}

/// The API key: a string of 24 lower-case letters and digits. Its text is never repeated.
pub(super) fn api_key(params: &[Value]) -> Result<&str, GandiFault> {
    let Some(key) = params.first() else {
        return Err(GandiFault::caller(Object::Method, Cause::Expected, "an API key is due"));
    };
    let key = text(key)?;
    let well_formed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if key.len() != 24 || !key.bytes().all(well_formed) {
        let detail = "API key does not match ^[a-z0-9]{24}$";
        return Err(GandiFault::caller(Object::String, Cause::BadParameter, detail));
    }
    Ok(key)
}

impl Members {
    /// The members of a struct; nothing given is a struct without members.
    pub(super) fn of(value: Option<&Value>) -> Result<Self, GandiFault> {
        let left = match value {
            None | Some(Value::Nil) => BTreeMap::new(),
            Some(Value::Struct(members)) => members.clone(),
            Some(_) => {
                return Err(GandiFault::caller(Object::Struct, Cause::Type, "a struct is due"));
            }
        };
        Ok(Self { left, mistakes: Vec::new() })
    }

    /// Takes a member that may be absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| *value != Value::Nil)
    }

    /// Takes a member that must be there and reads it; a mistake is kept for the end.
    pub(super) fn require<T>(
        &mut self,
        name: &str,
        field_type: &'static str,
        read: impl FnOnce(&Value) -> Result<T, GandiFault>,
    ) -> Option<T> {
        let missing = || GandiFault::caller(Object::Struct, Cause::Expected, name);
        let value = self.take(name).ok_or_else(missing);
        match value.and_then(|value| read(&value)) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.mistakes.push(Mistake { field: name.to_owned(), field_type, fault });
                None
            }
        }
    }

    /// All mistakes, members nobody took among them, which come first.
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let unexpected = self.left.into_keys().map(|field| {
            let fault = GandiFault::caller(Object::Struct, Cause::Unexpected, &field);
            Mistake { field, field_type: "Any", fault }
        });
        unexpected.chain(self.mistakes).collect()
    }

    /// The first mistake, as a fault.
    pub(super) fn finish(self) -> Result<(), GandiFault> {
        Mistake::first(self.into_mistakes())
    }
}

impl Mistake {
    /// A mistake that is about the whole call.
    pub(super) fn whole(fault: GandiFault) -> Self {
        Self { field: String::new(), field_type: "Struct", fault }
    }

    pub(super) fn first(mistakes: Vec<Self>) -> Result<(), GandiFault> {
        mistakes.into_iter().next().map_or(Ok(()), |mistake| Err(mistake.fault))
    }

    /// The form a dry run answers in.
    /// Assumption: the shape is recorded for contact.create only, and `error` holds the cause's
    /// name, since the upstream's own names of errors are not documented.
    pub(super) fn value(&self) -> Value {
        structure([
            ("attr", Value::Array(vec![string(self.field.as_str())])),
            ("error", string(self.fault.cause)),
            ("field", string(self.field.as_str())),
            ("field_type", string(self.field_type)),
            ("reason", string(self.fault.text.as_str())),
        ])
    }
}
