//! A product of the catalogue: as it is told, and as a request wants it.

use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::prost_types::{Struct, Timestamp, Value as Field, value::Kind};
use purveyor_sdk::rows::Gaps;
use purveyor_sdk::serde_json::{Map, Value, json};
use purveyor_sdk::v1::product::{Resource, ResourceKind, Shape};
use purveyor_sdk::v1::{Product, UpstreamRef};
use purveyor_sdk::{Error, Result};

use super::field::{Fields, not_understood};
use super::package::{PackagePart, PackageValues};

/// The seven words of the documents.
const WORDS: [(&str, ResourceKind); 7] = [
    ("backup", ResourceKind::Backup),
    ("bandwidth", ResourceKind::Bandwidth),
    ("cpu", ResourceKind::Cpu),
    ("ipaddr", ResourceKind::Ipaddr),
    ("memory", ResourceKind::Memory),
    ("storage", ResourceKind::Storage),
    ("local_disk", ResourceKind::LocalDisk),
];

/// The members that have a place of their own in every product, and in one without a package.
const PLACED: [&str; 4] = ["id", "label", "group", "package"];
const RESOURCE: [&str; 3] = ["resource_kind", "unit", "unit_type"];

/// Fields by which products are told apart.
pub(crate) const LABEL: &str = "label";
pub(crate) const PACKAGE: &str = "package";

/// A product as the upstream tells it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) label: String,
    group: Option<String>,
    resource_kind: Option<String>,
    unit: Option<i64>,
    unit_type: Option<String>,
    pub(crate) package: Option<PackagePart>,
    pub(crate) created: Option<Timestamp>,
    updated: Option<Timestamp>,
    rest: Struct,
    /// What of it could not be read.
    pub(crate) gaps: Gaps,
}

/// What a request wants of a product. The outer `None` is what it does not speak of, the inner one
/// what is to be nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) label: Option<String>,
    group: Option<Option<String>>,
    resource_kind: Option<Option<String>>,
    unit: Option<i64>,
    unit_type: Option<String>,
    pub(crate) package: Option<PackageValues>,
}

impl Row {
    /// Reads a product. Each member that cannot be read is a gap, and stays with what has no place.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it has no identifier.
    pub(crate) fn read(fields: &Fields) -> Result<Self> {
        let id = fields.id()?;
        let mut gaps = Gaps::default();
        let package = fields.object("package");
        let package = package.and_then(|it| it.as_ref().map(PackagePart::read).transpose());
        let package = gaps.keep("package", package);
        let label = fields.text(LABEL);
        let label = gaps.keep(LABEL, label.and_then(|it| it.ok_or_else(|| not_understood(LABEL))));
        let group = gaps.keep("group", fields.text("group"));
        let resource_kind = gaps.keep("resource_kind", fields.text("resource_kind"));
        let unit = gaps.keep("unit", fields.whole("unit"));
        let unit_type = gaps.keep("unit_type", fields.text("unit_type"));
        let (created, updated) = (fields.moment("created_at"), fields.moment("updated_at"));
        let mut placed = PLACED.to_vec();
        if package.is_none() {
            placed.extend(RESOURCE);
        }
        // A time that cannot be read stays with what has no place.
        placed.extend(created.map(|_| "created_at"));
        placed.extend(updated.map(|_| "updated_at"));
        placed.retain(|name| !gaps.has(name));
        let rest = fields.rest(&placed);
        Ok(Self {
            id,
            label,
            group,
            resource_kind,
            unit,
            unit_type,
            package,
            created,
            updated,
            rest,
            gaps,
        })
    }

    /// Refuses a write that depends on what could not be read of it.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE.
    pub(crate) fn check_whole(&self) -> Result<()> {
        self.gaps.check(&format!("product {}", self.id))
    }

    /// The product without its offers, which are told elsewhere.
    pub(crate) fn show(&self, name: String) -> Product {
        let mut attributes = self.rest.clone();
        let shape = match &self.package {
            None if self.gaps.has(PACKAGE) => None,
            Some(package) => {
                if !package.rest.fields.is_empty() {
                    let kind = Some(Kind::StructValue(package.rest.clone()));
                    attributes.fields.insert("package".to_owned(), Field { kind });
                }
                Some(Shape::Package(package.show()))
            }
            None => Some(Shape::Resource(self.resource())),
        };
        Product {
            name,
            display_name: self.label.clone(),
            group: self.group.clone().unwrap_or_default(),
            shape,
            notices: self.gaps.notices(),
            create_time: self.created,
            update_time: self.updated,
            upstream: Some(self.upstream()),
            attributes: Some(attributes).filter(|attributes| !attributes.fields.is_empty()),
            ..Product::default()
        }
    }

    pub(crate) fn upstream(&self) -> UpstreamRef {
        UpstreamRef::of(self.id.to_string())
    }

    fn resource(&self) -> Resource {
        let word = self.resource_kind.clone().unwrap_or_default();
        let known = WORDS.iter().find(|(known, _)| *known == word);
        Resource {
            kind: known.map(|(_, kind)| (*kind).into()),
            unit: self.unit,
            unit_type: self.unit_type.clone().unwrap_or_default(),
            upstream_kind: word,
        }
    }

    /// The fields in which the product is not as a request wants it; none: it is. What cannot be read is
    /// not known to be.
    pub(crate) fn differs(&self, wanted: &Changes) -> Vec<&'static str> {
        fn other<T: PartialEq>(told: &T, wanted: Option<&T>, unread: bool) -> bool {
            wanted.is_some_and(|wanted| told != wanted || unread)
        }
        let unread = |name: &str| self.gaps.has(name);
        // Nothing and an empty word are one.
        let full = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let package = wanted.package.as_ref();
        let (kind, unit_type) = (wanted.resource_kind.as_ref(), wanted.unit_type.clone().map(Some));
        let fields = [
            (LABEL, other(&self.label, wanted.label.as_ref(), unread(LABEL))),
            ("group", other(&full(&self.group), wanted.group.as_ref(), unread("group"))),
            ("kind", other(&full(&self.resource_kind), kind, unread("resource_kind"))),
            ("unit", other(&self.unit, wanted.unit.map(Some).as_ref(), unread("unit"))),
            ("unit_type", other(&self.unit_type, unit_type.as_ref(), unread("unit_type"))),
            (PACKAGE, package.is_some_and(|it| !self.package.as_ref().is_some_and(|p| p.is(it)))),
        ];
        fields.into_iter().filter_map(|(field, differs)| differs.then_some(field)).collect()
    }

    /// As [`Row::differs`], for a product that is made: it has a package exactly if that has one.
    pub(crate) fn differs_as_made(&self, wanted: &Changes) -> Vec<&'static str> {
        let mut fields = self.differs(wanted);
        if (self.package.is_some() || self.gaps.has(PACKAGE)) && wanted.package.is_none() {
            fields.push(PACKAGE);
        }
        fields
    }
}

impl Changes {
    /// A whole product that is to be made.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION with every mistake.
    pub(crate) fn of_new(product: &Product) -> Result<Self> {
        let mut wrong = Vec::new();
        check_label(&product.display_name, &mut wrong);
        if product.attributes.as_ref().is_some_and(|it| !it.fields.is_empty()) {
            add(&mut wrong, "attributes", "the upstream takes none");
        }
        let mut wanted = Self {
            label: Some(product.display_name.clone()),
            group: Some(some(&product.group)),
            ..Self::default()
        };
        match &product.shape {
            Some(Shape::Package(package)) => match PackageValues::new(package) {
                Ok(package) => wanted.package = Some(package),
                Err(error) => wrong.extend(error.violations),
            },
            Some(Shape::Resource(resource)) => {
                wanted.resource(resource, &["resource"], &mut wrong);
            }
            None => add(&mut wrong, "package", "a package or a resource is required"),
        }
        if wrong.is_empty() { Ok(wanted) } else { Err(Error::fields(wrong)) }
    }

    /// What the paths name of a product, for the product that is there.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION with every mistake.
    pub(crate) fn of_update(product: &Product, paths: &[&str], present: &Row) -> Result<Self> {
        let mut wrong = Vec::new();
        let mut wanted = Self::default();
        if paths.contains(&"display_name") {
            check_label(&product.display_name, &mut wrong);
            wanted.label = Some(product.display_name.clone());
        }
        if paths.contains(&"group") {
            wanted.group = Some(some(&product.group));
        }
        let within = |shape: &str| paths.iter().any(|path| path.split('.').next() == Some(shape));
        if within("resource") {
            match (&product.shape, &present.package) {
                (_, Some(_)) => add(&mut wrong, "resource", "the product is a package"),
                (Some(Shape::Resource(resource)), None) => {
                    wanted.resource(resource, paths, &mut wrong);
                }
                _ => add(&mut wrong, "resource", "is required by the mask"),
            }
        }
        if within("package") {
            match (&product.shape, &present.package) {
                (_, None) => add(&mut wrong, "package", "the product is a single resource"),
                (Some(Shape::Package(package)), Some(present)) => {
                    match PackageValues::changed(present, package, paths) {
                        Ok(package) => wanted.package = Some(package),
                        Err(error) => wrong.extend(error.violations),
                    }
                }
                _ => add(&mut wrong, "package", "is required by the mask"),
            }
        }
        if wrong.is_empty() { Ok(wanted) } else { Err(Error::fields(wrong)) }
    }

    fn resource(&mut self, resource: &Resource, paths: &[&str], wrong: &mut Vec<FieldViolation>) {
        let named = |field| paths.contains(&"resource") || paths.contains(&field);
        if named("resource.kind") {
            let word = WORDS.iter().find(|(_, kind)| *kind == resource.kind());
            let word = word.map(|(word, _)| *word).unwrap_or_default();
            match (word, resource.upstream_kind.as_str()) {
                ("", given) => self.resource_kind = Some(some(given)),
                (word, given) if given.is_empty() || given == word => {
                    self.resource_kind = Some(Some(word.to_owned()));
                }
                (word, _) => {
                    let message = format!("contradicts the kind, whose word is {word}");
                    add(wrong, "resource.upstream_kind", &message);
                }
            }
        }
        if named("resource.unit") {
            if resource.unit.is_none_or(|unit| unit < 1) {
                add(wrong, "resource.unit", "has to be above 0");
            }
            self.unit = resource.unit;
        }
        if named("resource.unit_type") {
            if resource.unit_type.trim().is_empty() {
                add(wrong, "resource.unit_type", "is required by the upstream");
            }
            self.unit_type = Some(resource.unit_type.clone());
        }
    }

    /// The body of a creation or a change: what is spoken of, and nothing else.
    pub(crate) fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        add("label", self.label.clone().map(Value::from));
        add("group", self.group.clone().map(Value::from));
        add("resource_kind", self.resource_kind.clone().map(Value::from));
        add("unit", self.unit.map(Value::from));
        add("unit_type", self.unit_type.clone().map(Value::from));
        add("package_attributes", self.package.as_ref().map(PackageValues::to_json));
        json!({ "product": members })
    }
}

/// The upstream keeps a label as it is given, and a label is what a lost product is found by: one
/// that could be kept otherwise is refused.
fn check_label(label: &str, wrong: &mut Vec<FieldViolation>) {
    if label.is_empty() {
        add(wrong, "display_name", "is required by the upstream");
    } else if label.trim() != label {
        add(wrong, "display_name", "must not begin or end with a space");
    }
}

fn add(wrong: &mut Vec<FieldViolation>, field: &str, description: &str) {
    let (field, description) = (format!("product.{field}"), description.to_owned());
    wrong.push(FieldViolation { field, description });
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
