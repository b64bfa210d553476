//! The upstream's operations: what they are about and how far they are. What a step means for an
//! order or a renewal is said where those are made.

use purveyor_sdk::Result;
use purveyor_sdk::prost_types::{Struct, Timestamp};
use purveyor_sdk::rows::Gaps;
use purveyor_sdk::time::Zone;
use purveyor_sdk::v1::UpstreamRef;
use purveyor_sdk::xmlrpc::Value;

use super::field;

/// What an operation does; `type` upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Add,
    Renew,
    Update,
    Delete,
}

/// How far an operation is; `step` upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// BILL, WAIT, RUN.
    Open,
    Done,
    Error,
    /// A person has to ask the upstream's support, which goes on with it.
    Support,
    Cancelled,
    /// A word that is not known: not ended, as far as can be told.
    Unknown,
}

/// One operation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Operation {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) step: String,
    pub(crate) last_error: String,
    pub(crate) created: Option<Timestamp>,
    /// `date_created` as the upstream wrote it, by its own clock and in its own zone.
    pub(crate) created_text: Option<String>,
    /// When its step was last changed: for one that is done, when that was.
    pub(crate) updated: Option<Timestamp>,
    /// Seconds that the upstream expects it to take; negative when they have passed.
    pub(crate) eta: Option<i64>,
    pub(crate) product_name: Option<String>,
    /// The product that it says it is about, by a member that cannot mean anything else.
    pub(crate) product_id: Option<i64>,
    /// The identifier in `infos`, which is the product's as far as domain operations show.
    pub(crate) subject_id: Option<i64>,
    pub(crate) quantity: Option<i64>,
    pub(crate) duration: Option<String>,
    /// All other members, and those that could not be read.
    pub(crate) attributes: Struct,
    /// What of it could not be read.
    pub(crate) gaps: Gaps,
}

impl Kind {
    /// The upstream's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Add => "hosting_account_product_add",
            Self::Renew => "hosting_account_product_renew",
            Self::Update => "hosting_account_product_update",
            Self::Delete => "hosting_account_product_delete",
        }
    }
}

impl Operation {
    /// The members that have a place in [`UpstreamRef`].
    const PLACED: [&str; 4] = ["id", "type", "step", "last_error"];

    /// Reads an operation struct. Each member that cannot be read is a gap, and stands in the attributes as
    /// it came.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it has no identifier.
    pub(crate) fn read(value: &Value, zone: &Zone) -> Result<Self> {
        let id = field::int(value, "id")?.filter(|id| *id > 0);
        let id = id.ok_or_else(|| field::not_understood("id"))?;
        // Of these the documents tell nothing: what is of an unexpected type there is not told, and
        // stands in the attributes as it came.
        let inside = |name: &str| value.get(name).unwrap_or(&Value::Nil);
        let (infos, params) = (inside("infos"), inside("params"));
        let int = |value: &Value, name: &str| field::int(value, name).ok().flatten();
        let text =
            |value: &Value, name: &str| field::text(value, name).ok().flatten().map(str::to_owned);
        let mut gaps = Gaps::default();
        let mut word =
            |name: &str| gaps.keep(name, field::text(value, name)).unwrap_or_default().to_owned();
        let (kind, step, last_error) = (word("type"), word("step"), word("last_error"));
        let created = gaps.keep("date_created", field::moment(value, "date_created", zone));
        // A text that is no time must not be compared with times.
        let created_text = field::moment_text(value, "date_created").ok().flatten();
        let placed: Vec<_> = Self::PLACED.into_iter().filter(|name| !gaps.has(name)).collect();
        Ok(Self {
            id,
            kind,
            step,
            last_error,
            created,
            created_text: created_text.filter(|_| created.is_some()).map(str::to_owned),
            updated: field::moment(value, "date_updated", zone).ok().flatten(),
            eta: int(value, "eta"),
            product_name: text(params, "product_name").or_else(|| text(infos, "product_name")),
            product_id: int(value, "product_id").or_else(|| int(params, "product_id")),
            subject_id: int(infos, "id"),
            quantity: int(params, "quantity").or_else(|| int(infos, "quantity")),
            duration: text(params, "duration"),
            attributes: field::rest(value, &placed),
            gaps,
        })
    }

    /// One that the upstream does not know (any more).
    pub(crate) fn unknown(id: i64) -> Self {
        Self { id, ..Self::default() }
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.kind == kind.word()
    }

    /// Whether it may be of this kind: what it is cannot be read.
    pub(crate) fn may_be_any(&self) -> bool {
        self.gaps.has("type")
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.step.as_str() {
            "BILL" | "WAIT" | "RUN" => Stage::Open,
            "DONE" => Stage::Done,
            "ERROR" => Stage::Error,
            "SUPPORT" => Stage::Support,
            "CANCEL" => Stage::Cancelled,
            _ => Stage::Unknown,
        }
    }

    /// Whether the upstream, or its support, goes on with it.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.stage(), Stage::Open | Stage::Support)
    }

    /// Whether it goes no further.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.stage(), Stage::Done | Stage::Error | Stage::Cancelled)
    }

    /// How far it is, in words.
    pub(crate) fn word(&self) -> String {
        match (self.stage(), self.step.as_str()) {
            (Stage::Unknown, "") => format!("the upstream does not know operation {}", self.id),
            (Stage::Unknown, step) => {
                format!("operation {} is {step}, which is not known", self.id)
            }
            (_, step) => format!("operation {} is {step}", self.id),
        }
    }

    /// The product that it tells, by whatever member.
    pub(crate) fn told_product(&self) -> Option<i64> {
        self.product_id.or(self.subject_id)
    }

    /// What the upstream says of it, verbatim.
    pub(crate) fn upstream(&self) -> UpstreamRef {
        UpstreamRef {
            ids: vec![self.id.to_string()],
            r#type: self.kind.clone(),
            state: self.step.clone(),
            message: self.last_error.clone(),
        }
    }

    /// Whole, as an attribute of what it changes.
    pub(crate) fn as_attribute(&self) -> Struct {
        let UpstreamRef { r#type, state, message, .. } = self.upstream();
        let id = self.id.to_string();
        let mut all = self.attributes.clone();
        for (name, text) in [("id", id), ("type", r#type), ("step", state), ("last_error", message)]
        {
            let told = || field::attribute(&Value::from(text));
            all.fields.entry(name.to_owned()).or_insert_with(told);
        }
        field::nested("operation", all)
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Stage};
    use purveyor_sdk::time::Zone;
    use purveyor_sdk::xmlrpc::Value;

    /// As recorded in 2011, where nothing is the empty string.
    fn recorded(step: &str, infos: Value) -> Value {
        Value::from([
            ("id", Value::Int(637_366)),
            ("type", "hosting_account_product_add".into()),
            ("step", step.into()),
            ("source", "AB3917-GANDI".into()),
            ("date_created", Value::DateTime("20110324T15:49:50".to_owned())),
            ("date_start", "".into()),
            ("last_error", "".into()),
            ("eta", Value::Int(-1_863_666)),
            ("infos", infos),
        ])
    }

    #[test]
    fn recorded_operations_are_read() {
        let infos = Value::from([
            ("product_name", "shares".into()),
            ("quantity", "".into()),
            ("id", Value::Nil),
        ]);
        let operation = Operation::read(&recorded("WAIT", infos), &Zone::UTC).unwrap();
        assert_eq!(operation.product_name.as_deref(), Some("shares"));
        assert_eq!(
            (operation.quantity, operation.product_id, operation.subject_id),
            (None, None, None)
        );
        assert_eq!(operation.created.unwrap().seconds, 1_300_981_790);
        assert_eq!(operation.eta, Some(-1_863_666));
        assert_eq!(operation.upstream().state, "WAIT");
        assert!(operation.attributes.fields.contains_key("source"));
        assert!(!operation.attributes.fields.contains_key("step"));
    }

    #[test]
    fn times_are_of_the_accounts_zone() {
        let paris = Zone::new("Europe/Paris").unwrap();
        let operation = Operation::read(&recorded("RUN", Value::from("")), &paris).unwrap();
        assert_eq!(operation.created.unwrap().seconds, 1_300_981_790 - 3600);
    }

    #[test]
    fn steps() {
        fn check(step: &str, expected: Stage, ended: bool) {
            let operation = Operation::read(&recorded(step, Value::Nil), &Zone::UTC).unwrap();
            assert_eq!((operation.stage(), operation.has_ended()), (expected, ended), "{step}");
        }
        check("BILL", Stage::Open, false);
        check("WAIT", Stage::Open, false);
        check("RUN", Stage::Open, false);
        check("DONE", Stage::Done, true);
        check("ERROR", Stage::Error, true);
        check("SUPPORT", Stage::Support, false);
        check("CANCEL", Stage::Cancelled, true);
        check("DEL", Stage::Unknown, false);
        check("done", Stage::Unknown, false);
        check("", Stage::Unknown, false);
    }

    #[test]
    fn what_the_documents_do_not_tell_of_is_not_relied_upon() {
        let infos = Value::from([
            ("product_name", Value::Int(3)),
            ("quantity", "2".into()),
            ("id", Value::Array(vec![])),
        ]);
        let operation = Operation::read(&recorded("WAIT", infos), &Zone::UTC).unwrap();
        let told = (operation.product_name, operation.quantity, operation.subject_id);
        assert_eq!(told, (None, None, None));
        assert!(operation.attributes.fields.contains_key("infos"));
    }

    #[test]
    fn what_is_no_operation_is_refused() {
        fn check(value: Value) {
            assert!(Operation::read(&value, &Zone::UTC).is_err(), "{value:?}");
        }
        check(Value::Nil);
        check(Value::from(""));
        check(Value::Double("0.5".to_owned()));
        check(Value::from([("id", Value::from("637366"))]));
        check(Value::from([("id", Value::Int(0))]));
    }

    #[test]
    fn member_that_cannot_be_read_is_a_gap() {
        fn check(name: &str, member: Value) {
            let value = Value::from([("id", Value::Int(1)), (name, member)]);
            let operation = Operation::read(&value, &Zone::UTC).unwrap();
            let notices = operation.gaps.notices();
            assert_eq!((notices.len(), notices[0].source.as_str()), (1, name));
            assert!(operation.attributes.fields.contains_key(name), "{name}");
            assert_eq!((operation.created, operation.created_text), (None, None));
        }
        check("type", Value::Int(3));
        check("step", Value::Int(3));
        check("last_error", Value::Int(3));
        check("date_created", Value::from("soon"));
        check("date_created", Value::DateTime("00000000T00:00:00".to_owned()));
        check("date_created", Value::DateTime("99999999T99:99:99".to_owned()));
    }
}
