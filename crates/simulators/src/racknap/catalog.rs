//! What the upstream sells: plans with their prices by currency and billing cycle. It must not know
//! services.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::mode::AmountStyle;
use crate::money::Cents;

/// The thirteen billing cycles, as the document lists them.
pub(super) const CYCLES: [&str; 13] = [
    "Free",
    "Free Trial",
    "One Time",
    "Hourly",
    "Monthly",
    "Quarterly",
    "Semi-Annually",
    "Annually",
    "Biennially",
    "Triennially",
    "Quadrennial",
    "Quinquennial",
    "Decennial",
];

/// The platforms of the document.
pub(super) const PLATFORMS: [&str; 2] = ["Linux", "Windows"];

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSeed {
    /// Its number.
    pub planid: i64,
    /// What people call it.
    pub name: String,
    /// Whether it is a cloud plan, which has details by platform.
    #[serde(default)]
    pub cloud: bool,
    /// Prices by the currency's number.
    pub prices: BTreeMap<i64, Vec<CyclePrice>>,
}

/// What one billing cycle costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CyclePrice {
    /// One of the thirteen.
    pub billingcycle: String,
    /// The first time.
    pub first_plan_price: Cents,
    /// Every further time.
    pub recuring_plan_price: Cents,
}

/// The plans that a simulator begins with: the numbers, the name and the price of the document, the
/// rest our own.
pub(super) fn plans() -> Vec<PlanSeed> {
    let price = |billingcycle: &str, first: i64, further: i64| CyclePrice {
        billingcycle: billingcycle.to_owned(),
        first_plan_price: Cents::new(first),
        recuring_plan_price: Cents::new(further),
    };
    let office = [
        (1, vec![price("Monthly", 4_800, 4_800), price("Annually", 52_814, 52_814)]),
        (2, vec![price("Monthly", 60, 60), price("Annually", 640, 640)]),
    ];
    let cloud = [
        (1, vec![price("Hourly", 150, 150), price("Monthly", 90_000, 99_900)]),
        (2, vec![price("Monthly", 1_100, 1_210)]),
    ];
    let plan = |planid, name: &str, cloud, prices: [_; 2]| PlanSeed {
        planid,
        name: name.to_owned(),
        cloud,
        prices: prices.into(),
    };
    vec![
        plan(172, "Office 365 ( Essential Suite )", false, office),
        plan(24, "Cloud VPS M", true, cloud),
    ]
}

impl PlanSeed {
    /// Whether it can be a plan.
    pub(super) fn check(&self) -> Result<(), String> {
        let cycles = self.prices.values().flatten();
        for price in cycles {
            if !CYCLES.contains(&price.billingcycle.as_str()) {
                return Err(format!("{:?} is no billing cycle", price.billingcycle));
            }
        }
        if self.planid < 1 { Err("a plan's number is positive".to_owned()) } else { Ok(()) }
    }

    /// The prices in one currency, as JSON.
    pub(super) fn pricing(&self, currency: i64, style: AmountStyle) -> Option<String> {
        let amount = |amount: Cents| match style {
            AmountStyle::Number => amount.to_string(),
            AmountStyle::Text => format!("\"{amount}\""),
        };
        let mut rows = String::new();
        for price in self.prices.get(&currency)? {
            let comma = if rows.is_empty() { "" } else { "," };
            // Writing to a text cannot fail.
            let _ = write!(
                rows,
                r#"{comma}{{"billingcycle":"{}","first_plan_price":{},"recuring_plan_price":{}}}"#,
                price.billingcycle,
                amount(price.first_plan_price),
                amount(price.recuring_plan_price),
            );
        }
        Some(format!("[{rows}]"))
    }
}
