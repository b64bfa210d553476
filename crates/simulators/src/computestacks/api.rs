//! From a request to its method: the limit, the route, the version, who calls. The order in which
//! they are checked is an assumption; none of them is a method's business.

use http::header::ACCEPT;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::answer::{Answer, Refusal, errors};
use super::state::{By, Moment, World};
use super::{plans, prices, products};
use crate::server::Request;

/// The version of a request that names none.
const DEFAULT_VERSION: &str = "80";

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
enum Route {
    Version,
    Token,
    OldToken,
    Products,
    Product(i64),
    Plans,
    Plan(i64),
    Resources(i64),
    Resource(i64, i64),
    Phases(i64, i64),
    Phase(i64, i64, i64),
    Prices(i64, i64, i64),
    Price(i64, i64, i64, i64),
    /// Below `/api`, and nothing.
    Unknown,
    /// Not of the API.
    Elsewhere,
}

/// What a request is called: its method and its path with `{id}` for every identifier.
pub(super) fn name(request: &Request) -> String {
    let parts = request.path.split('/');
    let named = parts.map(|part| if is_id(part) { "{id}" } else { part });
    format!("{} {}", request.method, named.collect::<Vec<_>>().join("/"))
}

fn is_id(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Takes a request to its answer.
pub(super) fn answer(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
) -> Result<Answer, Refusal> {
    if let Some(quota) = world.count_request(moment.now).filter(|quota| quota.exceeded) {
        let answer = Answer::text(StatusCode::TOO_MANY_REQUESTS, "Throttled\n");
        let answer = answer.header("ratelimit-limit", quota.limit);
        let answer = answer.header("ratelimit-remaining", 0);
        return Ok(answer.header("ratelimit-reset", quota.reset));
    }
    let route = route(&request.path);
    match route {
        Route::Elsewhere => return Ok(Answer::text(StatusCode::NOT_FOUND, "not found")),
        Route::Unknown => return Err(unknown()),
        Route::Token if request.method == Method::POST => {
            return world.access.grant(request, &world.mode, moment.now);
        }
        _ => {}
    }
    let deprecated = version(world, &request.headers)?;
    let answer = match (route, &request.method) {
        (Route::Version, &Method::GET) => Ok(told_version(world)),
        (Route::OldToken, &Method::POST) => Err(errors(
            StatusCode::BAD_REQUEST,
            [
                "this authentication method has been replaced with oauth2.",
                "Please see the api documentation: /documentation/api",
            ],
        )),
        _ => {
            let method = &request.method;
            let user = world.access.admin(&request.headers, method, &world.mode, moment.now);
            user.and_then(|user| call(world, moment, request, (route, &user)))
        }
    };
    let answer = answer.unwrap_or_else(Answer::from);
    Ok(if deprecated { answer.header("api-deprecated", true) } else { answer })
}

fn call(
    world: &mut World,
    moment: Moment<'_>,
    request: &Request,
    (route, user): (Route, &str),
) -> Result<Answer, Refusal> {
    let by = By { user, person: false };
    if request.method != Method::GET {
        world.remember(moment.now);
    }
    match (request.method.as_str(), route) {
        ("GET", Route::Products) => Ok(products::index(world, moment, request)),
        ("POST", Route::Products) => products::create(world, moment, request, (by, moment.now)),
        ("GET", Route::Product(id)) => products::show(world, moment, id),
        ("PATCH" | "PUT", Route::Product(id)) => products::update(world, moment, request, (by, id)),
        ("DELETE", Route::Product(id)) => products::destroy(world, moment, request, (by, id)),
        ("GET", Route::Plans) => Ok(plans::index(world, moment)),
        ("POST", Route::Plans) => plans::create(world, moment, request),
        ("GET", Route::Plan(id)) => plans::show(world, moment, id),
        ("PATCH" | "PUT", Route::Plan(id)) => plans::update(world, moment, request, id),
        ("DELETE", Route::Plan(id)) => plans::destroy(world, id),
        ("GET", Route::Resources(plan)) => plans::resources(world, moment, plan),
        ("POST", Route::Resources(plan)) => {
            plans::create_resource(world, moment, request, (by, plan))
        }
        ("DELETE", Route::Resource(plan, id)) => plans::destroy_resource(world, (plan, id)),
        ("POST", Route::Phases(plan, resource)) => {
            plans::create_phase(world, request, (plan, resource))
        }
        ("DELETE", Route::Phase(plan, resource, id)) => {
            plans::destroy_phase(world, (plan, resource, id))
        }
        ("GET", Route::Prices(plan, resource, phase)) => {
            prices::index(world, moment, (plan, resource, phase))
        }
        ("POST", Route::Prices(plan, resource, phase)) => {
            prices::create(world, moment, request, (by, (plan, resource, phase)))
        }
        ("DELETE", Route::Price(plan, resource, phase, id)) => {
            prices::destroy(world, ((plan, resource, phase), id))
        }
        _ => Err(unknown()),
    }
}

fn route(path: &str) -> Route {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let known = match parts.as_slice() {
        ["api", "version"] => Some(Route::Version),
        ["api", "oauth", "token"] => Some(Route::Token),
        ["api", "auth"] => Some(Route::OldToken),
        ["api", "admin", "products"] => Some(Route::Products),
        ["api", "admin", "products", id] => Some(Route::Product(number(id))),
        ["api", "admin", "billing_plans"] => Some(Route::Plans),
        ["api", "admin", "billing_plans", plan] => Some(Route::Plan(number(plan))),
        ["api", "admin", "billing_plans", plan, below @ ..] => in_plan(number(plan), below),
        ["api", ..] => None,
        _ => Some(Route::Elsewhere),
    };
    known.unwrap_or(Route::Unknown)
}

fn in_plan(plan: i64, below: &[&str]) -> Option<Route> {
    match below {
        ["billing_resources"] => Some(Route::Resources(plan)),
        ["billing_resources", id] => Some(Route::Resource(plan, number(id))),
        ["billing_resources", resource, below @ ..] => in_resource((plan, number(resource)), below),
        _ => None,
    }
}

fn in_resource((plan, resource): (i64, i64), below: &[&str]) -> Option<Route> {
    match below {
        ["billing_phases"] => Some(Route::Phases(plan, resource)),
        ["billing_phases", id] => Some(Route::Phase(plan, resource, number(id))),
        ["billing_phases", phase, "billing_resource_prices"] => {
            Some(Route::Prices(plan, resource, number(phase)))
        }
        ["billing_phases", phase, "billing_resource_prices", id] => {
            Some(Route::Price(plan, resource, number(phase), number(id)))
        }
        _ => None,
    }
}

/// An identifier; what is none belongs to no record.
fn number(part: &str) -> i64 {
    part.parse().unwrap_or(0)
}

/// Whether the version that is asked for is deprecated.
fn version(world: &World, headers: &HeaderMap) -> Result<bool, Refusal> {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
    let mut parts = accept.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    if !matches!(media, "application/json" | "*/*" | "") {
        let message = "the format is not known";
        return Err(Answer::text(StatusCode::NOT_ACCEPTABLE, message).refuse());
    }
    let asked = parts.find_map(|part| part.strip_prefix("api_version=")).unwrap_or(DEFAULT_VERSION);
    let number = asked.parse::<u32>().ok();
    match number.filter(|number| world.mode.supported_versions.contains(number)) {
        Some(number) => Ok(world.mode.deprecated_versions.contains(&number)),
        None => {
            let message = format!("You requested an unsupported version ({asked})");
            let body = json!({ "errors": [message] });
            let answer = Answer::json(StatusCode::UNPROCESSABLE_ENTITY, body);
            Err(answer.header("api-version-supported", false).refuse())
        }
    }
}

/// Assumption: anybody may ask.
fn told_version(world: &World) -> Answer {
    let versions = &world.mode.supported_versions;
    let body = json!({
        "version": world.mode.version,
        "api_latest_version": versions.iter().max(),
        "api_available_versions": versions,
    });
    Answer::json(StatusCode::OK, body)
}

fn unknown() -> Refusal {
    errors(StatusCode::NOT_FOUND, ["Unknown API Call. Please check the documentation."])
}
