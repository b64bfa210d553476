//! Services: what an account has, until when, and the ways to renew it. Amounts are without tax.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{moment, number};
use crate::money::Cents;

/// The renewal periods of the upstream's schema, and their months.
pub(super) const PERIODS: [(&str, i32); 6] =
    [("P1M", 1), ("P3M", 3), ("P6M", 6), ("P1Y", 12), ("P2Y", 24), ("P3Y", 36)];

/// A service to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSeed {
    /// The number.
    pub id: i64,
    /// The name, `vps112233.ovh.net`.
    pub name: String,
    /// Where its own calls are, `/vps/{serviceName}`; none for an option.
    pub route: Option<String>,
    /// What renewals call the kind of service.
    pub service_type: String,
    /// The plan's code.
    pub plan: String,
    /// The day on which it was made.
    pub created: String,
    /// The day on which it ends.
    pub expires: String,
    /// What each renewal period costs, without tax.
    pub prices: BTreeMap<String, Cents>,
    /// Services that can be renewed with it.
    #[serde(default)]
    pub with: Vec<i64>,
    /// Its options, which can be renewed with it when they are asked for.
    #[serde(default)]
    pub options: Vec<i64>,
}

/// A service as it is now.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) account: usize,
    pub(super) id: i64,
    pub(super) name: String,
    /// The name for people, where somebody has given it one.
    pub(super) display_name: Option<String>,
    pub(super) route: Option<String>,
    pub(super) service_type: String,
    pub(super) plan: String,
    pub(super) created: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) prices: BTreeMap<String, Cents>,
    pub(super) with: Vec<i64>,
    pub(super) options: Vec<i64>,
    pub(super) renew: Renew,
    pub(super) resource: Stage,
}

/// What happens at the end of the term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Renew {
    pub(super) automatic: bool,
    pub(super) delete_at_expiration: bool,
    pub(super) forced: bool,
    pub(super) period: i32,
}

/// What the resource does: a word until a moment, another one after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    pub(super) during: &'static str,
    pub(super) after: &'static str,
    pub(super) at: Timestamp,
}

/// One way to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strategy {
    pub(super) period: &'static str,
    pub(super) services: Vec<i64>,
    pub(super) amount: Cents,
}

impl Stage {
    pub(super) fn resting(word: &'static str) -> Self {
        Self { during: word, after: word, at: Timestamp::MIN }
    }

    pub(super) fn word(&self, now: Timestamp) -> &'static str {
        if now < self.at { self.during } else { self.after }
    }
}

impl Service {
    pub(super) fn new(seed: ServiceSeed, account: usize) -> Result<Self, String> {
        let day = |text: &str| {
            let date: Date = text.parse().map_err(|error: jiff::Error| error.to_string())?;
            let zoned = date.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
            Ok::<_, String>(zoned.timestamp())
        };
        let unknown =
            seed.prices.keys().find(|key| PERIODS.iter().all(|(period, _)| period != key));
        if let Some(unknown) = unknown {
            return Err(format!("{unknown:?} is no renewal period"));
        }
        Ok(Self {
            account,
            id: seed.id,
            name: seed.name,
            display_name: None,
            route: seed.route,
            service_type: seed.service_type,
            plan: seed.plan,
            created: day(&seed.created)?,
            expires: day(&seed.expires)?,
            prices: seed.prices,
            with: seed.with,
            options: seed.options,
            renew: Renew { automatic: true, delete_at_expiration: false, forced: false, period: 1 },
            resource: Stage::resting("ok"),
        })
    }

    /// A further term, added to the present end.
    pub(super) fn extend(&mut self, months: i32) {
        let later = self.expires.to_zoned(TimeZone::UTC).checked_add(months.months());
        self.expires = later.map_or(Timestamp::MAX, |later| later.timestamp());
    }

    /// Where its own calls are.
    pub(super) fn url(&self) -> Option<String> {
        self.route.as_ref().map(|route| route.replace("{serviceName}", &self.name))
    }

    /// As `/service/{serviceId}` tells it.
    ///
    /// Assumption: the end is a moment here and its day in serviceInfos.
    pub(super) fn told(&self, now: Timestamp) -> Value {
        let resource = self.resource.word(now);
        let state = if now >= self.expires { "expired" } else { "ok" };
        let mode = if self.renew.automatic { "automatic" } else { "manual" };
        let interval =
            PERIODS.iter().find(|(_, months)| *months == self.renew.period).map(|(text, _)| text);
        let route = self.route.as_ref().map(|route| {
            let vars = json!([{ "key": "serviceName", "value": self.name }]);
            json!({ "path": route, "url": self.url(), "vars": vars })
        });
        json!({
            "serviceId": self.id,
            "creationDate": moment(self.created),
            "expirationDate": moment(self.expires),
            "nextBillingDate": moment(self.expires),
            "engagementDate": null,
            "state": state,
            "quantity": 1,
            "plan": { "code": self.plan, "product": { "name": self.service_type } },
            "renew": {
                "mode": mode,
                "interval": interval,
                "dayOfMonth": null,
                "possibleIntervals": self.prices.keys().collect::<Vec<_>>(),
                "possibleModes": ["automatic", "manual"],
            },
            "resource": {
                "name": self.name,
                "displayName": self.display_name.as_ref().unwrap_or(&self.name),
                "state": resource,
            },
            "route": route,
            "details": [{ "key": "serviceType", "value": self.service_type }],
        })
    }

    /// As `serviceInfos` tells it.
    pub(super) fn infos(&self, nichandle: &str, now: Timestamp) -> Value {
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date().to_string();
        let Renew { automatic, delete_at_expiration, forced, period } = self.renew;
        let months = PERIODS.iter().filter(|(text, _)| self.prices.contains_key(*text));
        json!({
            "serviceId": self.id,
            "domain": self.name,
            "status": if now >= self.expires { "expired" } else { "ok" },
            "creation": day(self.created),
            "expiration": day(self.expires),
            "engagedUpTo": null,
            "contactAdmin": nichandle,
            "contactBilling": nichandle,
            "contactTech": nichandle,
            "canDeleteAtExpiration": true,
            "renewalType": "automaticV2016",
            "renew": {
                "automatic": automatic,
                "deleteAtExpiration": delete_at_expiration,
                "forced": forced,
                "manualPayment": false,
                "period": period,
            },
            "possibleRenewPeriod": months.map(|(_, months)| *months).collect::<Vec<_>>(),
        })
    }
}

/// Every combination of a service with those that can be renewed with it, by period.
pub(super) fn strategies(
    services: &BTreeMap<i64, Service>,
    id: i64,
    include_options: bool,
) -> Vec<Strategy> {
    let Some(service) = services.get(&id) else { return Vec::new() };
    let mut others = service.with.clone();
    if include_options {
        others.extend(&service.options);
    }
    let mut found = Vec::new();
    for (period, _) in PERIODS {
        for chosen in 0_u32..1 << others.len().min(8) {
            let together = others.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            let together: Vec<i64> =
                together.map(|(_, other)| *other).chain(std::iter::once(id)).collect();
            let amount = together.iter().try_fold(Cents::ZERO, |sum, id| {
                services.get(id)?.prices.get(period).map(|price| sum + *price)
            });
            if let Some(amount) = amount {
                found.push(Strategy { period, services: together, amount });
            }
        }
    }
    found
}

/// The strategies as `/service/{serviceId}/renew` lists them.
pub(super) fn described(
    strategies: &[Strategy],
    services: &BTreeMap<i64, Service>,
    currency: Option<&str>,
) -> Value {
    let detail = |id: &i64| {
        let service = services.get(id)?;
        let mut detail = json!({ "serviceType": service.service_type, "serviceId": id });
        if currency.is_some() {
            detail["serviceName"] = json!(service.name);
        }
        Some(detail)
    };
    let strategy = |strategy: &Strategy| {
        let mut price = json!({ "value": number(strategy.amount) });
        if let Some(currency) = currency {
            price["currencyCode"] = json!(currency);
            price["text"] = json!(format!("{} €", strategy.amount));
        }
        let details: Vec<Value> = strategy.services.iter().filter_map(detail).collect();
        let mut told = json!({
            "services": strategy.services,
            "price": price,
            "servicesDetails": details,
        });
        if currency.is_some() {
            told["priceInUcents"] = json!(strategy.amount.hundredths() * 1_000_000);
        }
        told
    };
    let periods = PERIODS.iter().filter_map(|(period, _)| {
        let of_period = strategies.iter().filter(|strategy| strategy.period == *period);
        let told: Vec<Value> = of_period.map(strategy).collect();
        (!told.is_empty()).then(|| json!({ "renewPeriod": period, "strategies": told }))
    });
    periods.collect()
}

impl ServiceSeed {
    /// A VPS with an option, and a domain name with its hosting plan.
    pub fn examples() -> Vec<Self> {
        let seed = |id, name: &str, route: Option<&str>, service_type: &str, plan: &str| Self {
            id,
            name: name.to_owned(),
            route: route.map(str::to_owned),
            service_type: service_type.to_owned(),
            plan: plan.to_owned(),
            created: "2024-03-31".to_owned(),
            expires: "2099-03-31".to_owned(),
            prices: BTreeMap::new(),
            with: Vec::new(),
            options: Vec::new(),
        };
        let prices = |rows: &[(&str, i64)]| {
            let row = |(period, cents): &(&str, i64)| ((*period).to_owned(), Cents::new(*cents));
            rows.iter().map(row).collect()
        };
        let vps = Some("/vps/{serviceName}");
        let domain = Some("/domain/{serviceName}");
        let hosting = Some("/hosting/web/{serviceName}");
        vec![
            Self {
                prices: prices(&[("P1M", 499), ("P3M", 1497), ("P1Y", 5988)]),
                options: vec![12346],
                ..seed(12345, "vps112233.ovh.net", vps, "VPS SSD 1", "vps-ssd-1")
            },
            Self {
                prices: prices(&[("P1M", 200), ("P3M", 600), ("P1Y", 2400)]),
                ..seed(12346, "vps112233-backup", None, "VPS backup", "vps-option-backup")
            },
            Self {
                prices: prices(&[("P1Y", 199)]),
                with: vec![67890],
                ..seed(54321, "example.ovh", domain, "Domain .ovh", "ovh")
            },
            Self {
                prices: prices(&[("P1Y", 3588)]),
                ..seed(67890, "example.ovh", hosting, "Hosting Perso 2014", "perso2014")
            },
        ]
    }
}
