//! The package of a product: as it is told, as it is wanted, as it is sent. It is always sent
//! whole, because the upstream makes it anew with every change.

use purveyor_sdk::money::Decimal;
use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::v1::Money;
use purveyor_sdk::v1::product::Package;
use purveyor_sdk::{Error, Result};

use super::field::{Fields, not_understood};

/// The upstream's least memory, and the step in which it grows, in MB.
const MEMORY_STEP: i64 = 256;

/// The members that have a place of their own.
const PLACED: [&str; 9] = [
    "id",
    "cpu",
    "memory",
    "memory_swap",
    "memory_swappiness",
    "bandwidth",
    "storage",
    "local_disk",
    "backup",
];

/// Every value of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackageValues {
    cpu: String,
    memory: i64,
    memory_swap: Option<i64>,
    memory_swappiness: Option<i32>,
    bandwidth: Option<i64>,
    storage: Option<i64>,
    local_disk: i64,
    backup: i64,
}

/// A package as the upstream tells it.
#[derive(Debug, Clone)]
pub(crate) struct PackagePart {
    pub(crate) id: String,
    /// What a package in the contract has; the identifier apart.
    shown: Package,
    pub(crate) rest: purveyor_sdk::prost_types::Struct,
}

impl PackagePart {
    pub(super) fn read(fields: &Fields) -> Result<Self> {
        let swappiness = fields.whole("memory_swappiness")?.map(i32::try_from).transpose();
        let shown = Package {
            upstream_id: String::new(),
            cpu_cores: fields.decimal("cpu")?,
            memory_mb: fields.whole("memory")?,
            memory_swap_mb: fields.whole("memory_swap")?,
            memory_swappiness: swappiness.map_err(|_| not_understood("memory_swappiness"))?,
            bandwidth_gb: fields.whole("bandwidth")?,
            storage_gb: fields.whole("storage")?,
            local_disk_gb: fields.whole("local_disk")?,
            backup_gb: fields.whole("backup")?,
        };
        Ok(Self { id: fields.id()?.to_string(), shown, rest: fields.rest(&PLACED) })
    }

    pub(crate) fn show(&self) -> Package {
        Package { upstream_id: self.id.clone(), ..self.shown.clone() }
    }

    /// Whether this is the wanted package, in whatever spelling the upstream keeps it.
    pub(crate) fn is(&self, wanted: &PackageValues) -> bool {
        let Package { cpu_cores, memory_mb, memory_swappiness, .. } = &self.shown;
        // The upstream keeps 0 as null in some members and null as 0 in others.
        let same = |told: Option<i64>, wanted: Option<i64>| {
            told.unwrap_or_default() == wanted.unwrap_or_default()
        };
        cpu_cores.as_deref().is_some_and(|told| equal(told, &wanted.cpu))
            && *memory_mb == Some(wanted.memory)
            && *memory_swappiness == wanted.memory_swappiness
            && same(self.shown.memory_swap_mb, wanted.memory_swap)
            && same(self.shown.bandwidth_gb, wanted.bandwidth)
            && same(self.shown.storage_gb, wanted.storage)
            && same(self.shown.local_disk_gb, Some(wanted.local_disk))
            && same(self.shown.backup_gb, Some(wanted.backup))
    }
}

impl PackageValues {
    /// A whole package. What is not set is nothing; cores and memory cannot be.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION with every mistake, named below `product.package`.
    pub(crate) fn new(wanted: &Package) -> Result<Self> {
        let mut wrong = Vec::new();
        let mut add = |field: &str, description: String| {
            wrong.push(FieldViolation { field: format!("product.package.{field}"), description });
        };
        let cpu = wanted.cpu_cores.clone().unwrap_or_default();
        match Money::parse("", &cpu) {
            _ if cpu.is_empty() => add("cpu_cores", "is required by the upstream".to_owned()),
            Ok(cores) if cores.units >= 0 && cores.nanos >= 0 && !cores.is_zero() => {}
            _ => add("cpu_cores", "has to be a decimal above 0".to_owned()),
        }
        let memory = wanted.memory_mb.unwrap_or_default();
        if memory < MEMORY_STEP || memory % MEMORY_STEP != 0 {
            let message = format!("has to be a multiple of {MEMORY_STEP} MB, and at least that");
            add("memory_mb", message);
        }
        let sizes = [
            ("memory_swap_mb", wanted.memory_swap_mb),
            ("memory_swappiness", wanted.memory_swappiness.map(i64::from)),
            ("bandwidth_gb", wanted.bandwidth_gb),
            ("storage_gb", wanted.storage_gb),
            ("local_disk_gb", wanted.local_disk_gb),
            ("backup_gb", wanted.backup_gb),
        ];
        for (field, size) in sizes {
            if size.is_some_and(|size| size < 0) {
                add(field, "must not be negative".to_owned());
            }
        }
        if wanted.memory_swappiness.is_some_and(|swappiness| swappiness > 100) {
            add("memory_swappiness", "has to be 0 to 100".to_owned());
        }
        if !wrong.is_empty() {
            return Err(Error::fields(wrong));
        }
        Ok(Self {
            cpu,
            memory,
            memory_swap: wanted.memory_swap_mb.filter(|swap| *swap > 0),
            memory_swappiness: wanted.memory_swappiness,
            bandwidth: wanted.bandwidth_gb,
            storage: wanted.storage_gb,
            local_disk: wanted.local_disk_gb.unwrap_or_default(),
            backup: wanted.backup_gb.unwrap_or_default(),
        })
    }

    /// The package that the paths leave of the present one and take of the wanted one.
    ///
    /// # Errors
    ///
    /// As [`PackageValues::new`].
    pub(crate) fn changed(present: &PackagePart, wanted: &Package, paths: &[&str]) -> Result<Self> {
        let named = |field: &str| {
            paths
                .iter()
                .any(|path| *path == "package" || path.strip_prefix("package.") == Some(field))
        };
        let mut whole = present.shown.clone();
        if named("cpu_cores") {
            whole.cpu_cores.clone_from(&wanted.cpu_cores);
        }
        if named("memory_mb") {
            whole.memory_mb = wanted.memory_mb;
        }
        if named("memory_swap_mb") {
            whole.memory_swap_mb = wanted.memory_swap_mb;
        }
        if named("memory_swappiness") {
            whole.memory_swappiness = wanted.memory_swappiness;
        }
        if named("bandwidth_gb") {
            whole.bandwidth_gb = wanted.bandwidth_gb;
        }
        if named("storage_gb") {
            whole.storage_gb = wanted.storage_gb;
        }
        if named("local_disk_gb") {
            whole.local_disk_gb = wanted.local_disk_gb;
        }
        if named("backup_gb") {
            whole.backup_gb = wanted.backup_gb;
        }
        Self::new(&whole)
    }

    /// Every member, as the upstream needs it: it refuses traffic and storage of null and keeps
    /// their 0 as null.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "memory": self.memory,
            "memory_swap": self.memory_swap,
            "memory_swappiness": self.memory_swappiness,
            "bandwidth": self.bandwidth.unwrap_or_default(),
            "storage": self.storage.unwrap_or_default(),
            "local_disk": self.local_disk,
            "backup": self.backup,
        })
    }
}

/// Whether two decimals are one number: `2.50` and `2.5`.
fn equal(left: &str, right: &str) -> bool {
    match (Decimal::parse(left), Decimal::parse(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::{Package, PackagePart, PackageValues};
    use purveyor_sdk::serde_json;

    fn wanted() -> Package {
        Package { cpu_cores: Some("1.0".to_owned()), memory_mb: Some(1024), ..Package::default() }
    }

    fn told(json: &str) -> PackagePart {
        PackagePart::read(&serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named() {
        fn check(change: impl FnOnce(&mut Package), expected: &[&str]) {
            let mut package = wanted();
            change(&mut package);
            let violations = PackageValues::new(&package).err().map(|error| error.violations);
            let fields: Vec<_> = violations
                .into_iter()
                .flatten()
                .map(|it| it.field.replace("product.package.", ""))
                .collect();
            assert_eq!(fields, expected);
        }
        check(|_| {}, &[]);
        check(|it| it.cpu_cores = None, &["cpu_cores"]);
        check(|it| it.cpu_cores = Some("0.0".to_owned()), &["cpu_cores"]);
        check(|it| it.cpu_cores = Some("-1".to_owned()), &["cpu_cores"]);
        check(|it| it.memory_mb = None, &["memory_mb"]);
        check(|it| it.memory_mb = Some(1000), &["memory_mb"]);
        check(|it| it.memory_mb = Some(0), &["memory_mb"]);
        check(|it| it.memory_swappiness = Some(101), &["memory_swappiness"]);
        check(
            |it| {
                it.storage_gb = Some(-1);
                it.backup_gb = Some(-1);
            },
            &["storage_gb", "backup_gb"],
        );
    }

    #[test]
    fn a_package_is_recognised_in_the_upstreams_spelling() {
        fn check(json: &str, expected: bool) {
            assert_eq!(told(json).is(&PackageValues::new(&wanted()).unwrap()), expected, "{json}");
        }
        let rest = r#""local_disk":0,"backup":0,"memory_swappiness":null"#;
        check(&format!(r#"{{"id":1,"cpu":"1.0","memory":1024,"storage":null,{rest}}}"#), true);
        check(&format!(r#"{{"id":1,"cpu":1,"memory":"1024","storage":0,{rest}}}"#), true);
        check(&format!(r#"{{"id":1,"cpu":"1.5","memory":1024,"storage":null,{rest}}}"#), false);
        check(&format!(r#"{{"id":1,"cpu":"1.0","memory":512,"storage":null,{rest}}}"#), false);
        check(&format!(r#"{{"id":1,"cpu":"1.0","memory":1024,"storage":5,{rest}}}"#), false);
        check(r#"{"id":1,"cpu":"1.0","memory":1024,"memory_swappiness":60}"#, false);
    }

    #[test]
    fn a_part_is_filled_up_from_what_is_there() {
        let present = told(
            r#"{"id":7,"cpu":"2.5","memory":1536,"memory_swap":512,"memory_swappiness":15,
            "bandwidth":2000,"storage":null,"local_disk":9,"backup":35}"#,
        );
        let more = Package { memory_mb: Some(2048), backup_gb: None, ..Package::default() };
        let paths = ["display_name", "package.memory_mb", "package.backup_gb"];
        let changed = PackageValues::changed(&present, &more, &paths).unwrap();
        let expected = r#"{"backup":0,"bandwidth":2000,"cpu":"2.5","local_disk":9,"memory":2048,"memory_swap":512,"memory_swappiness":15,"storage":0}"#;
        assert_eq!(changed.to_json().to_string(), expected);
        let whole = PackageValues::changed(&present, &wanted(), &["package"]).unwrap();
        assert_eq!(whole, PackageValues::new(&wanted()).unwrap());
    }
}
