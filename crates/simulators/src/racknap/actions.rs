//! The six actions. Each reads all of its parameters, checks them, and then does one thing or nothing;
//! none of them knows HTTP.

use serde_json::json;

use super::account::AccountSeed;
use super::catalog::{CYCLES, PLATFORMS};
use super::mode::{Repeats, Termination};
use super::params::{Params, amount, day, integer, text};
use super::refusal::{Cause, Refusal};
use super::state::{Change, Moment, Record, World};

/// One authenticated call.
pub(super) struct Visit<'a> {
    pub(super) world: &'a mut World,
    pub(super) moment: Moment<'a>,
    pub(super) account: &'a AccountSeed,
    pub(super) params: Params,
    pub(super) fingerprint: String,
}

/// Answers one action, with everything it changes: the text of a JSON object.
pub(super) type Run = fn(Visit<'_>) -> Result<String, Refusal>;

/// The actions by name.
pub(super) fn find(action: &str) -> Option<Run> {
    Some(match action {
        "create" => create,
        "suspend" => |visit| change(visit, Change::Suspend),
        "unsuspend" => |visit| change(visit, Change::Unsuspend),
        "terminate" => |visit| change(visit, Change::Terminate),
        "planDetail" => plan_detail,
        "cloud_linux_vps_details" => cloud_details,
        _ => return None,
    })
}

/// Writes the record of a new service.
///
/// Assumptions: customer, partner and plan have to exist; the next payment is not due before the
/// service begins; nothing compares the amounts or the dates with the plan.
fn create(mut visit: Visit<'_>) -> Result<String, Refusal> {
    let record = record(&mut visit.params)?;
    std::mem::take(&mut visit.params).finish()?;
    if !visit.account.customers.contains(&record.customer_id) {
        return Err(Refusal::new(Cause::CustomerUnknown, "Customer does not exist."));
    }
    check_partner(&visit, record.pid)?;
    let plan = visit.world.plans.get(&record.planid);
    let plan = plan.map(|plan| plan.name.clone()).ok_or_else(no_plan)?;
    if record.nextduedate < record.regdate {
        let message = "nextduedate is before regdate.";
        return Err(Refusal::new(Cause::ParameterWrong, message));
    }
    let service = visit.world.create(visit.moment, visit.account, record, visit.fingerprint)?;
    let id = service.serviceid;
    Ok(success(&format!("Service ID: {id} - {plan} service has been created successfully.")))
}

fn record(params: &mut Params) -> Result<Record, Refusal> {
    Ok(Record {
        customer_id: params.required("customer_id", integer)?,
        pid: params.optional("pid", integer)?.unwrap_or(0),
        planid: params.required("planid", integer)?,
        quantity: params.required("quantity", |text| integer(text).filter(|it| *it > 0))?,
        slserverid: params.optional("slserverid", text)?,
        serverid: params.optional("serverid", integer)?.unwrap_or(0),
        regdate: params.required("regdate", day)?,
        nextduedate: params.required("nextduedate", day)?,
        billingcycle: params.required("billingcycle", cycle)?,
        plan_billing_cycle: params.required("plan_billing_cycle", cycle)?,
        amount: params.required("amount", amount)?,
        recuring_amount: params.required("recuring_amount", amount)?,
        first_plan_price: params.required("first_plan_price", amount)?,
        recuring_plan_price: params.required("recuring_plan_price", amount)?,
        firstpayment: params.required("firstpayment", amount)?,
    })
}

fn cycle(text: &str) -> Option<String> {
    CYCLES.contains(&text).then(|| text.to_owned())
}

/// Suspends, resumes or terminates. The document misspells the message of a resumption and leaves the
/// answer of a termination blank.
fn change(mut visit: Visit<'_>, change: Change) -> Result<String, Refusal> {
    let serviceid = visit.params.required("serviceid", integer)?;
    std::mem::take(&mut visit.params).finish()?;
    let Visit { world, moment, account, fingerprint, .. } = visit;
    let changed = world.change(moment, account, (serviceid, change), fingerprint)?;
    let word = match change {
        Change::Suspend => "suspended",
        Change::Unsuspend => "unuspended",
        Change::Terminate => "terminated",
    };
    if !changed && world.mode.repeats == Repeats::Refused {
        let message = format!("Service is already {word}.");
        return Err(Refusal::new(Cause::NothingToDo, message));
    }
    if change == Change::Terminate && world.mode.termination == Termination::Blank {
        return Ok("{}".to_owned());
    }
    Ok(success(&format!("Service has been {word} successfully.")))
}

/// The document leaves the answer blank. Assumption: status, message, what was asked about, the plan's
/// name, and its prices by billing cycle under the names that `create` has for them.
fn plan_detail(mut visit: Visit<'_>) -> Result<String, Refusal> {
    let planid = visit.params.required("planid", integer)?;
    let currency = visit.params.required("currency", integer)?;
    let partner = visit.params.optional("pid", integer)?.unwrap_or(0);
    std::mem::take(&mut visit.params).finish()?;
    let asked = [("currency", currency.to_string()), ("pid", partner.to_string())];
    details(&visit, (planid, currency, partner), asked.into(), false)
}

/// As planDetail, for a cloud plan on one platform. Assumption: it tells what the machine is made of,
/// and refuses a plan that is none of the cloud.
fn cloud_details(mut visit: Visit<'_>) -> Result<String, Refusal> {
    let planid = visit.params.required("planid", integer)?;
    let platform = visit.params.required("platform", text)?;
    let currency = visit.params.required("currency_id", integer)?;
    let partner = visit.params.optional("partner_id", integer)?.unwrap_or(0);
    std::mem::take(&mut visit.params).finish()?;
    if !PLATFORMS.contains(&platform.as_str()) {
        let message = "platform is Linux or Windows.";
        return Err(Refusal::new(Cause::NoSuchPlatform, message));
    }
    let image = if platform == "Linux" { "Ubuntu 22.04 LTS" } else { "Windows Server 2022" };
    let asked = [
        ("platform", json!(platform).to_string()),
        ("currency_id", currency.to_string()),
        ("partner_id", partner.to_string()),
        ("cpu", "2".to_owned()),
        ("ram", json!({ "size": 4096, "unit": "MB" }).to_string()),
        ("templates", json!([image]).to_string()),
    ];
    details(&visit, (planid, currency, partner), asked.into(), true)
}

fn details(
    visit: &Visit<'_>,
    (planid, currency, partner): (i64, i64, i64),
    more: Vec<(&str, String)>,
    cloud: bool,
) -> Result<String, Refusal> {
    check_partner(visit, partner)?;
    let plan = visit.world.plans.get(&planid).ok_or_else(no_plan)?;
    if cloud && !plan.cloud {
        let message = "Plan has no platforms.";
        return Err(Refusal::new(Cause::NoSuchPlatform, message));
    }
    let pricing = plan.pricing(currency, visit.world.mode.amounts);
    let unknown = || Refusal::new(Cause::CurrencyUnknown, "Currency does not exist.");
    let pricing = pricing.ok_or_else(unknown)?;
    let mut members = vec![
        ("status", json!("Success").to_string()),
        ("message", json!("Plan details.").to_string()),
        ("planid", planid.to_string()),
        ("name", json!(plan.name).to_string()),
    ];
    members.extend(more);
    members.push(("pricing", pricing));
    // The amounts are digits that went through no float, so the object is put together as text.
    let members: Vec<_> =
        members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    Ok(format!("{{{}}}", members.join(",")))
}

fn check_partner(visit: &Visit<'_>, partner: i64) -> Result<(), Refusal> {
    if partner == 0 || visit.account.partners.contains(&partner) {
        return Ok(());
    }
    Err(Refusal::new(Cause::PartnerUnknown, "Partner does not exist."))
}

fn no_plan() -> Refusal {
    Refusal::new(Cause::PlanUnknown, "Plan does not exist.")
}

fn success(message: &str) -> String {
    json!({ "status": "Success", "message": message }).to_string()
}
