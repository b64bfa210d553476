//! The table of methods and the way through it: key, account, limit, then the method. Each method
//! is one function over a [`Visit`]; none of them knows HTTP.

use dxr::Value;
use sha2::{Digest, Sha256};

use super::account::Account;
use super::fault_code::{Cause, GandiFault, Object};
use super::params;
use super::state::{Moment, World};
use super::xmlrpc::{Call, canonical, string, structure};
use super::{listing, purchase};

/// One authenticated call.
pub(super) struct Visit<'a> {
    pub(super) world: &'a mut World,
    pub(super) moment: Moment<'a>,
    /// Position of the caller's account.
    pub(super) position: usize,
    /// The parameters, the API key first.
    pub(super) params: &'a [Value],
    pub(super) fingerprint: String,
}

impl Visit<'_> {
    pub(super) fn account(&self) -> Result<&Account, GandiFault> {
        let account = self.world.accounts.get(self.position);
        account.ok_or_else(|| GandiFault::internal("account is gone"))
    }
}

/// A method that needs an account.
struct Method {
    name: &'static str,
    /// Types of its answer and parameters, as system.methodSignature tells them.
    signature: &'static [&'static str],
    help: &'static str,
    run: fn(&mut Visit<'_>) -> Result<Value, GandiFault>,
}

static METHODS: [Method; 14] = [
    Method {
        name: "catalog.list",
        signature: &["array", "string", "struct", "string", "string"],
        help: "List prices.",
        run: |visit| {
            params::check_count(visit.params, 2, 5)?;
            let opts = visit.params.get(1..).unwrap_or_default();
            visit.world.catalog.list(visit.world.mode.catalog, opts)
        },
    },
    Method {
        name: "contact.balance",
        signature: &["struct", "string"],
        help: "Tell the balance of the prepaid account.",
        run: |visit| {
            params::check_count(visit.params, 1, 1)?;
            Ok(visit.account()?.contact())
        },
    },
    Method {
        name: "contact.info",
        signature: &["struct", "string"],
        help: "Tell about the contact that owns the API key.",
        run: |visit| {
            params::check_count(visit.params, 1, 2)?;
            Ok(visit.account()?.contact())
        },
    },
    Method {
        name: "hosting.account.info",
        signature: &["struct", "string"],
        help: "Tell about the hosting account, its products and resources.",
        run: |visit| {
            params::check_count(visit.params, 1, 1)?;
            let account = visit.account()?;
            let rating = visit.world.mode.rating || account.rating;
            Ok(account.value(visit.moment.now, &visit.world.zone, rating))
        },
    },
    Method {
        name: "hosting.product.create",
        signature: &["struct", "string", "struct"],
        help: "Create a hosting product. Not free.",
        run: purchase::create,
    },
    Method {
        name: "hosting.product.delete",
        signature: &["struct", "string", "int"],
        help: "Delete a hosting product.",
        run: purchase::delete,
    },
    Method {
        name: "hosting.product.renew",
        signature: &["struct", "string", "int", "struct"],
        help: "Renew a hosting product. Not free.",
        run: purchase::renew,
    },
    Method {
        name: "hosting.product.update",
        signature: &["struct", "string", "int", "struct"],
        help: "Change the quantity of a hosting product. Not free.",
        run: purchase::update,
    },
    Method {
        name: "hosting.rating.list",
        signature: &["array", "string"],
        help: "List the use of credits.",
        // Assumption: an account that uses no credits has an empty list.
        run: |visit| {
            params::check_count(visit.params, 1, 2)?;
            Ok(Value::Array(Vec::new()))
        },
    },
    Method {
        name: "operation.cancel",
        signature: &["boolean", "string", "int"],
        help: "Cancel an operation that has not begun.",
        run: listing::cancel,
    },
    Method {
        name: "operation.count",
        signature: &["int", "string", "struct"],
        help: "Count operations.",
        run: listing::count,
    },
    Method {
        name: "operation.info",
        signature: &["struct", "string", "int"],
        help: "Tell about an operation.",
        run: listing::info,
    },
    Method {
        name: "operation.list",
        signature: &["array", "string", "struct"],
        help: "List operations.",
        run: listing::list,
    },
    Method {
        name: "version.info",
        signature: &["struct", "string"],
        help: "Tell the version of the API.",
        run: |visit| {
            params::check_count(visit.params, 1, 1)?;
            Ok(structure([("api_version", string(visit.world.mode.api_version.as_str()))]))
        },
    },
];

/// The methods about methods, which need no account.
const SYSTEM: [&str; 3] = ["system.listMethods", "system.methodHelp", "system.methodSignature"];

/// The older spelling of the product methods, which is served too.
const SHORT: &str = "product.";

/// What a call answered: a value in the null style of the day, or `<nil/>` whatever the style.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Value(Value),
    Emptied,
}

/// Answers one call, with everything it changes.
pub(super) fn answer(
    world: &mut World,
    moment: Moment<'_>,
    call: &Call,
) -> Result<Answer, GandiFault> {
    world.settle(moment)?;
    if SYSTEM.contains(&call.method.as_str()) {
        return system(call).map(Answer::Value);
    }
    let method = find(&call.method).ok_or_else(|| GandiFault::unknown_method(&call.method))?;
    let position = authenticate(world, &call.params)?;
    if world.mode.rate_limit
        && let Some(account) = world.accounts.get_mut(position)
    {
        account.count_call(moment.now)?;
    }
    let rating = world.accounts.get(position).is_some_and(|account| account.rating);
    let gone = world.mode.emptied || world.mode.rating || rating;
    if gone && method.name.starts_with("hosting.product.") {
        return Ok(Answer::Emptied);
    }
    let fingerprint = fingerprint(method.name, &call.params);
    let mut visit = Visit { world, moment, position, params: &call.params, fingerprint };
    (method.run)(&mut visit).map(Answer::Value)
}

fn find(name: &str) -> Option<&'static Method> {
    let spelled = |method: &Method| {
        let short = method.name.strip_prefix("hosting.").filter(|rest| rest.starts_with(SHORT));
        method.name == name || short == Some(name)
    };
    METHODS.iter().find(|method| spelled(method))
}

fn authenticate(world: &World, params: &[Value]) -> Result<usize, GandiFault> {
    let key = params::api_key(params)?;
    let position = world.accounts.iter().position(|account| account.api_key == key);
    position.ok_or_else(|| GandiFault::caller(Object::Account, Cause::NoRight, "Invalid API key"))
}

/// Assumption: the methods about methods take an API key or none, and do not check it.
fn system(call: &Call) -> Result<Value, GandiFault> {
    if call.method == "system.listMethods" {
        let names = METHODS.iter().flat_map(|method| {
            let short = method.name.strip_prefix("hosting.");
            [Some(method.name), short.filter(|rest| rest.starts_with(SHORT))]
        });
        let names = names.flatten().chain(SYSTEM);
        return Ok(Value::Array(names.map(string).collect()));
    }
    let name = call.params.last().map_or(Ok(""), params::text)?;
    let method = find(name).ok_or_else(|| GandiFault::unknown_method(name))?;
    if call.method == "system.methodHelp" {
        return Ok(string(method.help));
    }
    let types = method.signature.iter().copied().map(string).collect();
    Ok(Value::Array(vec![Value::Array(types)]))
}

/// The same for two calls that ask for the same thing, whoever asks.
fn fingerprint(method: &str, params: &[Value]) -> String {
    let mut hash = Sha256::new();
    hash.update(method.as_bytes());
    for value in params.iter().skip(1) {
        hash.update(canonical(value).as_bytes());
    }
    hex::encode(hash.finalize())
}
