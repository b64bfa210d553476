//! What the plugin declares of the upstream: its calls, the answers that prove a refusal, and how
//! long things take. Nothing is decided here.

use std::time::Duration;

use purveyor_sdk::v1::Notice;
use purveyor_sdk::{Call, Credential, Note, Proof, Rate, Shape, Timing};

use crate::client::{CHANGE_PROOFS, PAY_PROOFS};
use crate::error::{
    BAD_REQUEST, CANNOT_BE_PAID, FORBIDDEN, INVALID_SIGNATURE, NOT_ACTIVE_YET, NOT_ADMITTED,
    NOT_FOUND, QUERY_TIME_OUT, proof,
};

/// The three keys that requests are signed with.
pub(crate) const APPLICATION_KEY: &str = "application-key";
pub(crate) const APPLICATION_SECRET: &str = "application-secret";
pub(crate) const CONSUMER_KEY: &str = "consumer-key";

/// What the upstream's staff call safe for one consumer key.
pub(crate) const RATE: Rate = Rate { requests: 60, period: Duration::from_secs(60) };

/// The upstream's own clients wait 180 seconds, and its staff name calls that take five minutes.
/// Assumptions: a front end drops idle connections within a minute, and a new order is listed within
/// one.
pub(crate) const TIMING: Timing = Timing {
    attempt_timeout: Duration::from_secs(180),
    upstream_idle: Duration::from_secs(60),
    upstream_processing: Duration::from_secs(300),
    listing_lag: Duration::from_secs(60),
};

pub(crate) const AUTO_RENEWS: Note = Note::new(
    "AUTO_RENEWS",
    "the upstream renews services by itself unless told otherwise; a renewal here comes on top",
    "GET /vps/{serviceName}/serviceInfos",
);

/// Where the secrets of an order stand in the upstream's answers.
pub(crate) const SECRET_POINTERS: &[&str] = &["/password", "/url", "/pdfUrl"];

pub(crate) const CREDENTIALS: &[Credential] = &[
    Credential::granted(APPLICATION_KEY, "names the application; in every request"),
    Credential::granted(APPLICATION_SECRET, "what the application signs requests with"),
    Credential::granted(CONSUMER_KEY, "names the account that the application acts for"),
];

pub(crate) const PROOFS: &[Proof] = &[
    Proof::new(proof::NOT_ADMITTED).statuses(403, 403).json().words("/errorCode", NOT_ADMITTED),
    Proof::new(proof::SIGNATURE).statuses(400, 400).json().equals("/errorCode", INVALID_SIGNATURE),
    Proof::new(proof::CLOCK)
        .statuses(400, 400)
        .json()
        .equals("/errorCode", QUERY_TIME_OUT)
        .may_repeat(),
    Proof::new(proof::PAYMENT_REFUSED).statuses(403, 403).json().prefix("/message", CANNOT_BE_PAID),
    Proof::new(proof::MISSING).statuses(404, 404).json().prefix("/class", NOT_FOUND),
    Proof::new(proof::PARAMETER).statuses(400, 400).json().prefix("/class", BAD_REQUEST),
    Proof::new(proof::FORBIDDEN).statuses(403, 403).json().prefix("/class", FORBIDDEN),
    Proof::new(proof::NOT_ACTIVE)
        .statuses(400, 400)
        .json()
        .suffix("/message", NOT_ACTIVE_YET)
        .may_repeat(),
];

pub(crate) const CALLS: &[Call] = &[
    Call::read("auth.time").get("/auth/time"),
    Call::read("auth.credential").get("/auth/currentCredential"),
    Call::read("me").get("/me"),
    Call::read("service.list").get("/service"),
    Call::read("service.get").get("/service/{}"),
    Call::read("service.renewals").get("/service/{}/renew"),
    // The address of a kind of service has one word (`/vps`) or two (`/hosting/web`).
    Call::read("infos.get.short").get("/{}/{}/serviceInfos"),
    Call::read("infos.get.long").get("/{}/{}/{}/serviceInfos"),
    Call::read("order.list").get("/me/order"),
    Call::read("order.get").get("/me/order/{}"),
    Call::read("order.status").get("/me/order/{}/status"),
    Call::read("order.details").get("/me/order/{}/details"),
    Call::read("order.detail").get("/me/order/{}/details/{}"),
    Call::read("order.extension").get("/me/order/{}/details/{}/extension"),
    Call::read("order.payment").get("/me/order/{}/payment"),
    Call::read("order.means").get("/me/order/{}/availableRegisteredPaymentMean"),
    Call::read("mean.list").get("/me/paymentMean/{}"),
    Call::read("mean.get").get("/me/paymentMean/{}/{}"),
    Call::read("method.list").get("/me/payment/method"),
    Call::read("method.get").get("/me/payment/method/{}"),
    // An unpaid order costs nothing and lapses within a day; a dry run makes none.
    Call::prepare("service.renew")
        .post("/service/{}/renew")
        .json()
        .success(Shape::json_id("/orderId", "order")),
    change("service.suspend", "POST", "/service/{}/suspend"),
    change("service.reopen", "POST", "/service/{}/reopen"),
    change("service.terminate", "POST", "/service/{}/terminate"),
    change("infos.put.short", "PUT", "/{}/{}/serviceInfos"),
    change("infos.put.long", "PUT", "/{}/{}/{}/serviceInfos"),
    payment("order.pay.mean", "/me/order/{}/payWithRegisteredPaymentMean"),
    payment("order.pay.method", "/me/order/{}/pay"),
];

/// Sending it again ends in the same state: a service that is suspended stays so.
const fn change(name: &'static str, method: &'static str, path: &'static str) -> Call {
    let call = Call::setting(name).http(method, path).json();
    call.success(Shape::json().is_null("")).rejected_by(CHANGE_PROOFS)
}

/// The only calls that move money. A bad request is no proof: an order that somebody has paid may answer
/// with one.
const fn payment(name: &'static str, path: &'static str) -> Call {
    let call = Call::spend(name).post(path).json();
    call.success(Shape::json().is_null("")).rejected_by(PAY_PROOFS)
}

/// A notice beside a resource.
pub(crate) fn notice(note: Note) -> Notice {
    Notice {
        reason: note.reason.to_owned(),
        message: note.message.to_owned(),
        source: note.source.to_owned(),
    }
}
