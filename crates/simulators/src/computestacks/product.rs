//! A product and its package: what can be said of them, what makes them valid, how they are shown.
//! It must not know where they are kept.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::decimal::Decimal;
use super::mode::Mode;
use super::params::{Params, Whole};

const KINDS: [&str; 4] = ["resource", "package", "image", "addon"];

/// Packages have memory in steps of so many MB.
const MEMORY_STEP: i64 = 256;

/// One row of the catalogue.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) id: i64,
    pub(super) label: Option<String>,
    pub(super) kind: String,
    pub(super) resource_kind: Option<String>,
    pub(super) unit: Option<i64>,
    pub(super) unit_type: Option<String>,
    pub(super) group: Option<String>,
    pub(super) package: Option<Package>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// When it really was made: `created_at` may be dated ahead.
    pub(super) entered_at: Timestamp,
    /// Subscriptions that use it and so forbid its deletion.
    pub(super) subscriptions: u32,
}

/// What a package product bundles.
#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) id: i64,
    cpu: Decimal,
    memory: i64,
    storage: Option<i64>,
    bandwidth: Option<i64>,
    local_disk: i64,
    memory_swap: Option<i64>,
    memory_swappiness: Option<i64>,
    backup: i64,
}

impl Product {
    /// One that says nothing yet, dated `created_at`.
    pub(super) fn empty(created_at: Timestamp, now: Timestamp) -> Self {
        Self {
            id: 0,
            label: None,
            kind: String::new(),
            resource_kind: None,
            unit: None,
            unit_type: None,
            group: None,
            package: None,
            created_at,
            updated_at: now,
            entered_at: now,
            subscriptions: 0,
        }
    }

    /// Takes over what a call names and leaves the rest. A package that is named takes the place of
    /// the one before: the new one has only what the call says, and `package_id` for its
    /// identifier.
    ///
    /// # Errors
    /// Everything that is wrong with the result, as Rails words it; then it must not be kept.
    pub(super) fn assign(
        &mut self,
        params: &Params,
        package_id: i64,
        mode: &Mode,
    ) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        let text = |field: &mut Option<String>, name: &str| {
            if params.names(name) {
                *field = params.text(name);
            }
        };
        text(&mut self.label, "label");
        if mode.label_max > 0 {
            self.label = self.label.as_ref().map(|it| it.chars().take(mode.label_max).collect());
        }
        text(&mut self.resource_kind, "resource_kind");
        text(&mut self.unit_type, "unit_type");
        text(&mut self.group, "group");
        let unit = params.whole("unit");
        if params.names("unit") {
            self.unit = unit.number();
        }
        if let Some(package) = params.nested("package_attributes") {
            self.package = Package::read(&package, package_id, mode, &mut wrong);
            if self.kind.is_empty() && !params.names("kind") {
                "package".clone_into(&mut self.kind);
            }
        }
        if params.names("kind") {
            self.kind = params.text("kind").unwrap_or_default();
        } else if self.kind.is_empty() {
            "resource".clone_into(&mut self.kind);
        }
        if self.kind == "package" {
            self.unit = self.unit.or(Some(1));
        }
        self.check(unit, &mut wrong);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn check(&self, unit: Whole, wrong: &mut Vec<String>) {
        if self.label.is_none() {
            wrong.push("Label can't be blank".to_owned());
        }
        if !KINDS.contains(&self.kind.as_str()) {
            wrong.push(format!("Kind Must be one of: {}", KINDS.join(", ")));
        }
        if self.kind != "resource" {
            return;
        }
        match (unit, self.unit) {
            (Whole::NotANumber, _) | (_, None) => wrong.push("Unit is not a number".to_owned()),
            (_, Some(unit)) if unit <= 0 => wrong.push("Unit must be greater than 0".to_owned()),
            _ => {}
        }
        if self.unit_type.is_none() {
            wrong.push("Unit type can't be blank".to_owned());
        }
    }

    pub(super) fn show(&self, mode: &Mode) -> Value {
        let mut shown = json!({
            "id": self.id,
            "label": self.label,
            "resource_kind": self.resource_kind,
            "unit": self.unit,
            "unit_type": self.unit_type,
            "external_id": null,
            "group": self.group,
            "package": self.package.as_ref().map(|package| package.show(mode)),
        });
        if mode.documented_times
            && let Value::Object(members) = &mut shown
        {
            members.insert("created_at".to_owned(), json!(self.created_at));
            members.insert("updated_at".to_owned(), json!(self.updated_at));
        }
        shown
    }
}

impl Package {
    fn read(params: &Params, id: i64, mode: &Mode, wrong: &mut Vec<String>) -> Option<Self> {
        let before = wrong.len();
        let cpu = Decimal::read(params.value("cpu"));
        match &cpu {
            None => wrong.push("Package cpu is not a number".to_owned()),
            Some(cpu) if !cpu.is_positive() => {
                wrong.push("Package cpu must be greater than 0".to_owned());
            }
            Some(_) => {}
        }
        let memory = params.whole("memory");
        match memory.number() {
            None => wrong.push("Package memory is not a number".to_owned()),
            Some(memory) if memory < MEMORY_STEP => {
                let message =
                    format!("Package memory must be greater than or equal to {MEMORY_STEP}");
                wrong.push(message);
            }
            Some(memory) if memory % MEMORY_STEP != 0 => {
                wrong.push(format!("Package memory must be in units of {MEMORY_STEP} MB"));
            }
            Some(_) => {}
        }
        // Neither may be nothing, and 0 is kept as nothing.
        let blank = if mode.complete_packages { Blank::Refused } else { Blank::Nothing };
        let mut amount = |name: &str, blank| size(params, name, blank, wrong);
        let (storage, bandwidth) = (amount("storage", blank), amount("bandwidth", blank));
        let (local_disk, backup) =
            (amount("local_disk", Blank::Zero), amount("backup", Blank::Zero));
        let memory_swap = amount("memory_swap", Blank::Nothing);
        let memory_swappiness = amount("memory_swappiness", Blank::Nothing);
        if memory_swappiness.is_some_and(|swappiness| swappiness > 100) {
            let message = "Package memory swappiness must be less than or equal to 100";
            wrong.push(message.to_owned());
        }
        if wrong.len() > before {
            return None;
        }
        Some(Self {
            id,
            cpu: cpu?,
            memory: memory.number()?,
            storage: storage.filter(|storage| *storage > 0),
            bandwidth: bandwidth.filter(|bandwidth| *bandwidth > 0),
            local_disk: local_disk.unwrap_or_default(),
            memory_swap: memory_swap.filter(|swap| *swap > 0),
            memory_swappiness,
            backup: backup.unwrap_or_default(),
        })
    }

    fn show(&self, mode: &Mode) -> Value {
        let cpu = self.cpu.to_string();
        let number = cpu.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
        let documented = mode.documented_types;
        json!({
            "id": self.id,
            "cpu": if documented { json!(number) } else { json!(cpu) },
            "memory": if documented { json!(self.memory.to_string()) } else { json!(self.memory) },
            "storage": self.storage,
            "bandwidth": self.bandwidth,
            "local_disk": self.local_disk,
            "memory_swap": self.memory_swap,
            "memory_swappiness": self.memory_swappiness,
            "backup": self.backup,
        })
    }
}

/// What a size that is not given means.
#[derive(Clone, Copy)]
enum Blank {
    Refused,
    Nothing,
    Zero,
}

fn size(params: &Params, name: &str, blank: Blank, wrong: &mut Vec<String>) -> Option<i64> {
    let words = name.replace('_', " ");
    match (params.whole(name), blank) {
        (Whole::Blank, Blank::Nothing) => None,
        (Whole::Blank, Blank::Zero) => Some(0),
        (Whole::Blank, Blank::Refused) | (Whole::NotANumber, _) => {
            wrong.push(format!("Package {words} is not a number"));
            None
        }
        (Whole::Number(number), _) if number < 0 => {
            wrong.push(format!("Package {words} must be greater than or equal to 0"));
            None
        }
        (Whole::Number(number), _) => Some(number),
    }
}
