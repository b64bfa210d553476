//! The calls that are simulated, by method and path. A call's name is method and path as the
//! upstream documents them, `GET /vps/{serviceName}/serviceInfos`; faults and counts go by it.

use http::StatusCode;
use jiff::SignedDuration;
use serde_json::Value;

use super::answer::Refusal;
use super::auth::Caller;
use super::state::{Moment, World};
use super::{auth_calls, order_calls, payment_calls, service_calls};

/// How many requests a consumer key has in [`RATE_PERIOD`].
const RATE_REQUESTS: usize = 60;
const RATE_PERIOD: SignedDuration = SignedDuration::from_secs(60);

/// A call under way.
pub(super) struct Visit<'a> {
    pub(super) world: &'a mut World,
    pub(super) moment: Moment<'a>,
    pub(super) caller: Caller,
    /// The call's name.
    pub(super) name: &'static str,
    /// What stands in the braces of the path, in order.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: &'a [u8],
    /// SHA-256 of method, path and body.
    pub(super) fingerprint: String,
}

/// What answers a call.
pub(super) type Handler = fn(&mut Visit<'_>) -> Result<Value, Refusal>;

/// One call.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) name: &'static str,
    pub(super) handler: Handler,
}

/// A call and the segments of its path.
pub(super) struct Found {
    pub(super) route: Route,
    pub(super) segments: Vec<String>,
}

const ROUTES: &[Route] = &[
    route("GET /auth/currentCredential", auth_calls::current),
    route("GET /me", auth_calls::me),
    route("GET /vps", service_calls::vps),
    route("GET /service", service_calls::list),
    route("GET /service/{serviceId}", service_calls::get),
    route("GET /service/{serviceId}/renew", service_calls::renewals),
    route("POST /service/{serviceId}/renew", service_calls::renew),
    route("POST /service/{serviceId}/suspend", service_calls::suspend),
    route("POST /service/{serviceId}/reopen", service_calls::reopen),
    route("POST /service/{serviceId}/terminate", service_calls::terminate),
    route("GET /vps/{serviceName}/serviceInfos", service_calls::infos),
    route("GET /domain/{serviceName}/serviceInfos", service_calls::infos),
    route("GET /hosting/web/{serviceName}/serviceInfos", service_calls::infos),
    route("PUT /vps/{serviceName}/serviceInfos", service_calls::put_infos),
    route("PUT /domain/{serviceName}/serviceInfos", service_calls::put_infos),
    route("PUT /hosting/web/{serviceName}/serviceInfos", service_calls::put_infos),
    route("GET /me/order", order_calls::list),
    route("GET /me/order/{orderId}", order_calls::get),
    route("GET /me/order/{orderId}/status", order_calls::status),
    route("GET /me/order/{orderId}/details", order_calls::details),
    route("GET /me/order/{orderId}/details/{orderDetailId}", order_calls::detail),
    route("GET /me/order/{orderId}/details/{orderDetailId}/extension", order_calls::extension),
    route("GET /me/order/{orderId}/payment", order_calls::payment),
    route("GET /me/order/{orderId}/availableRegisteredPaymentMean", payment_calls::available_means),
    route(
        "POST /me/order/{orderId}/payWithRegisteredPaymentMean",
        payment_calls::pay_with_registered_mean,
    ),
    route("POST /me/order/{orderId}/pay", payment_calls::pay),
    route("GET /me/paymentMean/{kind}", payment_calls::means),
    route("GET /me/paymentMean/{kind}/{id}", payment_calls::mean),
    route("GET /me/payment/method", payment_calls::methods),
    route("GET /me/payment/method/{paymentMethodId}", payment_calls::method),
];

const fn route(name: &'static str, handler: Handler) -> Route {
    Route { name, handler }
}

/// The call that a method and a path below the endpoint mean.
pub(super) fn find(method: &str, path: &str) -> Option<Found> {
    ROUTES.iter().find_map(|route| {
        let (of, pattern) = route.name.split_once(' ')?;
        let segments = (of == method).then(|| fit(pattern, path)).flatten()?;
        Some(Found { route: *route, segments })
    })
}

/// What stands in the braces, if the path fits.
fn fit(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    let (mut parts, mut words) = (pattern.split('/'), path.split('/'));
    loop {
        match (parts.next(), words.next()) {
            (None, None) => return Some(segments),
            (Some(part), Some(word)) if part.starts_with('{') && !word.is_empty() => {
                segments.push(decoded(word)?);
            }
            (Some(part), Some(word)) if part == word => {}
            _ => return None,
        }
    }
}

/// The fields of a query.
pub(super) fn query(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(&value.replace('+', " "))?))
    };
    text.split('&').filter(|pair| !pair.is_empty()).filter_map(pair).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        bytes.push(*hex::decode([*high, *low]).ok()?.first()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Counts a request of a consumer key against the limit.
///
/// Assumption: the limit that the upstream's staff name is enforced as 429, and refused requests do
/// not count.
pub(super) fn limit(world: &mut World, moment: Moment<'_>, consumer: &str) -> Result<(), Refusal> {
    if !world.mode.rate_limit {
        return Ok(());
    }
    let asked = world.asked.entry(consumer.to_owned()).or_default();
    while asked.front().is_some_and(|at| moment.now.duration_since(*at) >= RATE_PERIOD) {
        asked.pop_front();
    }
    if asked.len() >= RATE_REQUESTS {
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err(Refusal::service(status, "Client::TooManyRequests", "Too many requests"));
    }
    asked.push_back(moment.now);
    Ok(())
}

impl Visit<'_> {
    /// A segment that is a number.
    pub(super) fn number(&self, at: usize) -> Result<i64, Refusal> {
        let number = self.segments.get(at).and_then(|text| text.parse().ok());
        number.ok_or_else(|| Refusal::bad_request("The identifier is not a number"))
    }

    pub(super) fn word(&self, at: usize) -> &str {
        self.segments.get(at).map_or("", String::as_str)
    }

    /// The path of a service whose `serviceInfos` are called, `/vps/{serviceName}`.
    pub(super) fn route_pattern(&self) -> &'static str {
        let path = self.name.split_once(' ').map_or("", |(_, path)| path);
        path.strip_suffix("/serviceInfos").unwrap_or(path)
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body, which has to be of this form.
    pub(super) fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body).map_err(|error| Refusal::bad_request(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::{find, query};

    #[test]
    fn paths_and_calls() {
        let check = |method: &str, path: &str, expected: Option<(&str, &[&str])>| {
            let found = find(method, path);
            let found = found.as_ref().map(|found| {
                (found.route.name, found.segments.iter().map(String::as_str).collect::<Vec<_>>())
            });
            let expected = expected.map(|(name, segments)| (name, segments.to_vec()));
            assert_eq!(found, expected, "{method} {path}");
        };
        check("GET", "/service", Some(("GET /service", &[])));
        check("GET", "/service/12", Some(("GET /service/{serviceId}", &["12"])));
        check("POST", "/service", None);
        check("GET", "/service/", None);
        let infos = "GET /vps/{serviceName}/serviceInfos";
        check("GET", "/vps/a%2Fb/serviceInfos", Some((infos, &["a/b"])));
        check("GET", "/vps/%zz/serviceInfos", None);
    }

    #[test]
    fn queries() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let read = query(text);
            let read: Vec<_> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(read, expected, "{text}");
        };
        check("", &[]);
        check("includeOptions=false", &[("includeOptions", "false")]);
        check("a=1%3A2&b", &[("a", "1:2"), ("b", "")]);
    }
}
