//! Whether a repeated write is the one that was accepted: by caller, method and content. How long somebody
//! waits, by when something is to begin and what was read before are no content, and neither is a field that
//! says nothing. It must not know what a method does.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MapKey, ReflectMessage as _, Value,
};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, FILE_DESCRIPTOR_SET, Result, op};
use sha2::{Digest, Sha256};

use crate::store::Pruned;
use crate::store::operation::Operation;

/// The fields of a write request that are no content.
const NO_CONTENT: [&str; 5] = ["request_id", "wait", "validate_only", "start_before", "etag"];

/// How many fields are named that differ.
const NAMED: usize = 10;

static CONTRACT: LazyLock<std::result::Result<DescriptorPool, String>> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).map_err(|error| error.to_string())
});

/// What is kept of a request after its operation was removed.
pub(super) fn fingerprint(owner: &str, op: Op, request: &[u8]) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    part(&mut hash, b"content");
    part(&mut hash, owner.as_bytes());
    hash.update((op as i32).to_be_bytes());
    hash_message(&mut hash, &content(op, request)?);
    Ok(hash.finalize().into())
}

/// Shows the operation that a repeated write became, or refuses another write under its request id.
///
/// # Errors
///
/// REQUEST_ID_REUSED. Who owns the operation is told its name and the fields that differ.
pub(super) fn same(stored: Operation, given: &Operation) -> Result<Operation> {
    let error = |message: String| Error::new(ErrorReason::RequestIdReused, message);
    if stored.owner != given.owner {
        return Err(error("the request_id belongs to another request".to_owned()));
    }
    let name = format!("operations/{}", stored.request_id);
    let error = |message| error(message).with_metadata("operation", &name);
    if stored.op != given.op {
        let message =
            format!("the request_id belongs to {name}, which is of {}", method(stored.op));
        return Err(error(message));
    }
    let differing = differing(stored.op, &stored.request, &given.request)?;
    if differing.is_empty() {
        return Ok(stored);
    }
    let fields = differing.join(", ");
    let message = format!("the request_id belongs to {name}, which differs in {fields}");
    Err(error(message).with_metadata("fields", fields))
}

/// Refuses a write under the request id of an operation that was removed: the id stays taken, so that
/// repeating the request never buys again.
pub(super) fn removed(pruned: &Pruned, given: &Operation) -> Error {
    let is_same = [given.fingerprint, earlier_fingerprint(given)].contains(&pruned.fingerprint);
    let message = if is_same {
        format!(
            "the request_id was used: its operation ended at {} as {}, and was removed since; nothing is \
             sent again",
            pruned.end_time,
            pruned.state.as_str_name()
        )
    } else {
        "the request_id belongs to another request, whose operation was removed".to_owned()
    };
    Error::new(ErrorReason::RequestIdReused, message)
        .with_metadata("state", pruned.state.as_str_name())
        .with_metadata("end_time", pruned.end_time.to_string())
}

/// As earlier versions kept it: of every byte of the request.
fn earlier_fingerprint(operation: &Operation) -> [u8; 32] {
    let mut hash = Sha256::new();
    if operation.op == Op::AdoptService {
        part(&mut hash, b"Services.AdoptService");
        part(&mut hash, operation.owner.as_bytes());
        part(&mut hash, &operation.request);
    } else {
        part(&mut hash, operation.owner.as_bytes());
        hash.update((operation.op as i32).to_be_bytes());
        hash.update(&operation.request);
    }
    hash.finalize().into()
}

/// The fields in which two requests differ, by their paths.
fn differing(op: Op, one: &[u8], other: &[u8]) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    compare(&content(op, one)?, &content(op, other)?, "", &mut paths);
    paths.truncate(NAMED);
    Ok(paths)
}

/// The content of a request.
fn content(op: Op, request: &[u8]) -> Result<DynamicMessage> {
    let internal = |what: String| Error::new(ErrorReason::Internal, what);
    let name = format!("purveyor.v1.{}Request", method(op).rsplit('.').next().unwrap_or_default());
    let contract = CONTRACT.as_ref().map_err(|error| internal(error.clone()))?;
    let descriptor = contract.get_message_by_name(&name);
    let descriptor = descriptor.ok_or_else(|| internal(format!("there is no {name}")))?;
    let mut message = DynamicMessage::decode(descriptor, request)
        .map_err(|error| internal(format!("a stored {name} cannot be read: {error}")))?;
    for field in NO_CONTENT {
        message.clear_field_by_name(field);
    }
    // What an update changes carries its own.
    for (_, value) in message.fields_mut() {
        if let Value::Message(resource) = value {
            resource.clear_field_by_name("etag");
        }
    }
    prune(&mut message);
    Ok(message)
}

/// As the API names it.
fn method(op: Op) -> &'static str {
    op::info(op).map_or("", |info| info.method)
}

/// Takes away what says nothing.
fn prune(message: &mut DynamicMessage) {
    let mut empty = Vec::new();
    for (field, value) in message.fields_mut() {
        let says_nothing = prune_value(value);
        // In a choice the field itself says something.
        let chosen = field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic());
        if says_nothing && !chosen {
            empty.push(field);
        }
    }
    for field in empty {
        message.clear_field(&field);
    }
}

/// Whether nothing is left of a value.
fn prune_value(value: &mut Value) -> bool {
    match value {
        Value::Message(message) => {
            prune(message);
            is_null(message) || (is_structure(message) && message.fields().next().is_none())
        }
        Value::Map(entries) => {
            entries.retain(|_, value| !prune_value(value));
            entries.is_empty()
        }
        Value::List(rows) => {
            // Their positions mean something.
            for row in rows.iter_mut() {
                prune_value(row);
            }
            rows.is_empty()
        }
        _ => false,
    }
}

/// A moment or a length of zero says something.
fn is_structure(message: &DynamicMessage) -> bool {
    let descriptor = message.descriptor();
    descriptor.package_name() != "google.protobuf"
        || matches!(descriptor.name(), "Struct" | "FieldMask")
}

fn is_null(message: &DynamicMessage) -> bool {
    message.descriptor().full_name() == "google.protobuf.Value"
        && message.fields().all(|(field, _)| field.name() == "null_value")
}

fn compare(one: &DynamicMessage, other: &DynamicMessage, path: &str, found: &mut Vec<String>) {
    let fields = one.descriptor().fields().collect::<Vec<FieldDescriptor>>();
    for field in fields {
        let path = match (path, one.descriptor().full_name()) {
            ("", _) => field.name().to_owned(),
            // Its keys are its fields.
            (path, "google.protobuf.Struct") => path.to_owned(),
            (path, _) => format!("{path}.{}", field.name()),
        };
        match (one.has_field(&field), other.has_field(&field)) {
            (false, false) => {}
            (true, true) => {
                compare_values(&one.get_field(&field), &other.get_field(&field), path, found)
            }
            _ => found.push(path),
        }
    }
}

fn compare_values(one: &Value, other: &Value, path: String, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Message(one), Value::Message(other)) if is_structure(one) => {
            compare(one, other, &path, found);
        }
        (Value::List(one), Value::List(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare_values(one, other, format!("{path}[{index}]"), found);
            }
        }
        (Value::Map(one), Value::Map(other)) => {
            let keys = one.keys().chain(other.keys()).collect::<Vec<_>>();
            let differ = keys.into_iter().filter(|key| one.get(key) != other.get(key));
            let named = differ.filter_map(MapKey::as_str).map(|key| format!("{path}.{key}"));
            found.extend(named.collect::<BTreeSet<String>>());
        }
        (one, other) if one == other => {}
        _ => found.push(path),
    }
}

fn hash_message(hash: &mut Sha256, message: &DynamicMessage) {
    for (field, value) in message.fields() {
        hash.update(field.number().to_be_bytes());
        hash_value(hash, value);
    }
    hash.update(0_u32.to_be_bytes());
}

fn hash_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Bool(value) => part(hash, &[u8::from(*value)]),
        Value::I32(value) | Value::EnumNumber(value) => part(hash, &value.to_be_bytes()),
        Value::I64(value) => part(hash, &value.to_be_bytes()),
        Value::U32(value) => part(hash, &value.to_be_bytes()),
        Value::U64(value) => part(hash, &value.to_be_bytes()),
        Value::F32(value) => part(hash, &value.to_bits().to_be_bytes()),
        Value::F64(value) => part(hash, &value.to_bits().to_be_bytes()),
        Value::String(text) => part(hash, text.as_bytes()),
        Value::Bytes(bytes) => part(hash, bytes),
        Value::Message(message) => hash_message(hash, message),
        Value::List(rows) => {
            hash.update((rows.len() as u64).to_be_bytes());
            rows.iter().for_each(|row| hash_value(hash, row));
        }
        Value::Map(entries) => {
            let mut sorted: Vec<(&MapKey, &Value)> = entries.iter().collect();
            sorted.sort_by_key(|(key, _)| format!("{key:?}"));
            hash.update((sorted.len() as u64).to_be_bytes());
            for (key, value) in sorted {
                part(hash, format!("{key:?}").as_bytes());
                hash_value(hash, value);
            }
        }
    }
}

/// With its length, so that no two sequences of parts are one.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use prost::Message;
    use prost_types::value::Kind;
    use prost_types::{Duration, FieldMask, Struct, Value as Json};
    use purveyor_sdk::v1::operation::State;
    use purveyor_sdk::v1::payment::Choice;
    use purveyor_sdk::v1::{
        CreateOrderRequest, Money, Order, OrderItem, OrderPricing, PayOrderRequest, Payment,
        PaymentMethod, Service, Term, UpdateServiceRequest,
    };

    use super::{Op, Pruned, differing, earlier_fingerprint, fingerprint, removed, same};
    use crate::engine::made_here::tests::operation;
    use crate::store::operation::Operation;

    fn json(kind: Kind) -> Json {
        Json { kind: Some(kind) }
    }

    fn order() -> CreateOrderRequest {
        let options = [("size".to_owned(), json(Kind::StringValue("small".into())))];
        let item = OrderItem {
            product: "providers/acme/products/vm".into(),
            quantity: 1,
            options: Some(Struct { fields: options.into() }),
            ..OrderItem::default()
        };
        CreateOrderRequest {
            parent: "providers/acme".into(),
            order: Some(Order { items: vec![item], ..Order::default() }),
            ..CreateOrderRequest::default()
        }
    }

    fn changed(change: impl FnOnce(&mut CreateOrderRequest, &mut OrderItem)) -> Vec<u8> {
        let mut request = order();
        let mut item = request.order.as_mut().unwrap().items.remove(0);
        change(&mut request, &mut item);
        request.order.get_or_insert_default().items.push(item);
        request.encode_to_vec()
    }

    #[test]
    fn deadlines_and_fields_that_say_nothing_make_no_other_request() {
        let check = |other: Vec<u8>| {
            let first = order().encode_to_vec();
            assert_eq!(differing(Op::CreateOrder, &first, &other).unwrap(), [""; 0]);
            let of = |request: &[u8]| fingerprint("ann", Op::CreateOrder, request).unwrap();
            assert_eq!(of(&first), of(&other));
        };
        check(changed(|request, _| request.start_before = Some(at(Timestamp::UNIX_EPOCH))));
        check(changed(|request, _| request.wait = Some(Duration { seconds: 7, nanos: 0 })));
        check(changed(|_, item| item.term = Some(Term::default())));
        check(changed(|_, item| {
            item.pricing = Some(OrderPricing::default());
        }));
        check(changed(|_, item| {
            let null = json(Kind::NullValue(0));
            item.options.as_mut().unwrap().fields.insert("nothing".into(), null);
        }));
        let mask = |update_mask| {
            let service = Some(Service { display_name: "web".into(), ..Service::default() });
            UpdateServiceRequest { service, update_mask, ..UpdateServiceRequest::default() }
        };
        let (without, empty) = (mask(None), mask(Some(FieldMask::default())));
        let mut read = without.clone();
        read.service.as_mut().unwrap().etag = "W/1".into();
        for other in [empty, read] {
            let (one, other) = (without.encode_to_vec(), other.encode_to_vec());
            assert_eq!(differing(Op::UpdateService, &one, &other).unwrap(), [""; 0]);
        }
    }

    fn at(time: Timestamp) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds: time.as_second(), nanos: 0 }
    }

    #[test]
    fn what_differs_is_named_by_its_path() {
        let check = |other: Vec<u8>, expected: &[&str]| {
            let first = order().encode_to_vec();
            assert_eq!(differing(Op::CreateOrder, &first, &other).unwrap(), expected);
            let of = |request: &[u8]| fingerprint("ann", Op::CreateOrder, request).unwrap();
            assert_ne!(of(&first), of(&other));
        };
        check(changed(|_, item| item.quantity = 2), &["order.items[0].quantity"]);
        let price = Money { currency_code: "EUR".into(), units: 5, nanos: 0 };
        check(changed(|request, _| request.max_price = Some(price)), &["max_price"]);
        check(
            changed(|_, item| {
                let large = json(Kind::StringValue("large".into()));
                item.options.as_mut().unwrap().fields.insert("size".into(), large);
            }),
            &["order.items[0].options.size"],
        );
        check(changed(|request, _| request.parent = "providers/other".into()), &["parent"]);
        let item = OrderItem { quantity: 3, ..OrderItem::default() };
        check(
            changed(|request, _| request.order.as_mut().unwrap().items.push(item)),
            &["order.items"],
        );
        // Which of several is chosen says something, though it holds nothing.
        let by = |choice| {
            let payment = Some(Payment { choice: Some(choice) });
            PayOrderRequest { payment, ..PayOrderRequest::default() }.encode_to_vec()
        };
        let (invoice, none) = (
            by(Choice::Method(PaymentMethod::default())),
            PayOrderRequest::default().encode_to_vec(),
        );
        assert_eq!(differing(Op::PayOrder, &invoice, &none).unwrap(), ["payment"]);
    }

    fn accepted(owner: &str, request: Vec<u8>) -> Operation {
        let mut operation = operation(Op::CreateOrder, State::Accepted);
        operation.owner = owner.into();
        operation.fingerprint = fingerprint(owner, Op::CreateOrder, &request).unwrap();
        operation.request = request;
        operation
    }

    #[test]
    fn owner_alone_is_told_what_differs() {
        let stored = || accepted("ann", order().encode_to_vec());
        let other = changed(|_, item| item.quantity = 2);
        let error = same(stored(), &accepted("ann", other.clone())).unwrap_err();
        assert_eq!(error.metadata["fields"], "order.items[0].quantity");
        assert_eq!(error.metadata["operation"], format!("operations/{}", stored().request_id));
        let error = same(stored(), &accepted("bob", other)).unwrap_err();
        assert!(error.metadata.is_empty() && !error.message.contains("operations/"), "{error:?}");
        assert!(same(stored(), &accepted("bob", order().encode_to_vec())).is_err());
        assert_eq!(same(stored(), &stored()).unwrap().request_id, stored().request_id);
        let payment = Operation { op: Op::PayOrder, ..stored() };
        assert!(same(stored(), &payment).unwrap_err().message.contains("Orders.CreateOrder"));
    }

    #[test]
    fn request_id_of_a_removed_operation_is_known_by_both_fingerprints() {
        let later = changed(|request, _| request.start_before = Some(at(Timestamp::UNIX_EPOCH)));
        let (first, later) = (accepted("ann", order().encode_to_vec()), accepted("ann", later));
        let check = |fingerprint: [u8; 32], given: &Operation, same: bool| {
            let (state, end_time) = (State::Succeeded, Timestamp::UNIX_EPOCH);
            let pruned = Pruned { fingerprint, state, end_time };
            let message = removed(&pruned, given).message;
            assert_eq!(message.contains("was used"), same, "{message}");
        };
        check(first.fingerprint, &first, true);
        check(first.fingerprint, &later, true);
        check(earlier_fingerprint(&first), &first, true);
        check([7; 32], &first, false);
    }
}
