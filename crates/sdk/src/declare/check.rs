//! What is wrong with a declaration, found while the plugin is compiled: `#[provider]` calls these in
//! constants. What cannot be told here, `manifest::validate` tells.

use super::{Call, Method, Proof};
use crate::op::OpKind;
use crate::v1::Effect;

/// Fails to compile unless names are unique, every proof that is named is declared, everything but a
/// read has a shape of success, and no two calls can be taken for one another.
pub const fn tables(calls: &[Call], proofs: &[Proof]) {
    let mut index = 0;
    while index < calls.len() {
        let call = &calls[index];
        one_call(call, proofs);
        let mut other = index + 1;
        while other < calls.len() {
            assert!(!same(call.name, calls[other].name), "two calls have the same name");
            assert!(
                !same_request(call, &calls[other]),
                "two calls have the same method, path and word"
            );
            other += 1;
        }
        index += 1;
    }
    let mut index = 0;
    while index < proofs.len() {
        let mut other = index + 1;
        while other < proofs.len() {
            assert!(!same(proofs[index].name, proofs[other].name), "two proofs have the same name");
            other += 1;
        }
        index += 1;
    }
}

const fn one_call(call: &Call, proofs: &[Proof]) {
    assert!(!call.method.is_empty(), "a call has no HTTP method: say get, post or another");
    if !matches!(call.effect, Effect::Read) {
        assert!(call.success.is_some(), "a call that is no read has no shape of success");
    }
    let mut index = 0;
    while index < call.proofs.len() {
        assert!(
            declares_proof(proofs, call.proofs[index]),
            "a call names a proof that is not declared"
        );
        index += 1;
    }
}

/// Fails to compile unless a call of this name is declared and the method may make it.
pub const fn call_of(method: &Method, calls: &[Call], name: &str) {
    let mut index = 0;
    while index < calls.len() {
        if same(calls[index].name, name) {
            let effect = calls[index].effect;
            let allowed = matches!(
                (method.kind(), effect),
                (OpKind::Write, _) | (_, Effect::Read) | (OpKind::Engine, Effect::Prepare)
            );
            assert!(allowed, "only a write may make a call that changes something");
            return;
        }
        index += 1;
    }
    panic!("CALLS has no call of this name");
}

/// Fails to compile unless a write changes something and says how a lost answer is found out, and
/// nothing else says so.
pub const fn method(method: &Method, calls: &[Call]) {
    let says = !matches!(method.evidence, crate::v1::Evidence::Unspecified);
    match method.kind() {
        OpKind::Write => {
            assert!(says, "a write has to say its evidence");
            assert!(changes(method, calls), "a write has to make a call that is more than a read");
        }
        OpKind::Read | OpKind::Engine => assert!(!says, "only writes have evidence"),
    }
}

const fn changes(method: &Method, calls: &[Call]) -> bool {
    let mut index = 0;
    while index < calls.len() {
        if !matches!(calls[index].effect, Effect::Read) && contains(method.calls, calls[index].name)
        {
            return true;
        }
        index += 1;
    }
    false
}

const fn declares_proof(proofs: &[Proof], name: &str) -> bool {
    let mut index = 0;
    while index < proofs.len() {
        if same(proofs[index].name, name) {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether one and the same request could be sent under either name.
const fn same_request(left: &Call, right: &Call) -> bool {
    if !same(left.method, right.method) || !same(left.path, right.path) {
        return false;
    }
    if left.words.is_empty() || right.words.is_empty() {
        return true;
    }
    let mut index = 0;
    while index < left.words.len() {
        if contains(right.words, left.words[index]) {
            return true;
        }
        index += 1;
    }
    false
}

const fn contains(words: &[&str], word: &str) -> bool {
    let mut index = 0;
    while index < words.len() {
        if same(words[index], word) {
            return true;
        }
        index += 1;
    }
    false
}

const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}
