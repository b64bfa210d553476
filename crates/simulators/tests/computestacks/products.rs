//! The catalogue: shapes, pages, validations, packages that are made anew, deletions.

use std::time::Duration;

use purveyor_simulators::Kind;
use purveyor_simulators::computestacks::Mode;
use serde_json::{Value, json};

use crate::client::{PRODUCTS, call, create, package, resource, start, start_at};

#[tokio::test]
async fn a_package_and_a_resource_are_shown_as_the_source_has_it() {
    let simulator = start(Mode::default()).await;
    let id = create(&simulator, &package("s")).await;
    let answer = call(&simulator, "GET", &format!("{PRODUCTS}/{id}"), &Value::Null).await;
    let product = answer.json()["product"].clone();
    let package = product["package"].clone();
    let expected = json!({
        "id": id, "label": "s", "resource_kind": null, "unit": 1, "unit_type": null,
        "external_id": null, "group": "small", "package": package,
    });
    assert_eq!(product, expected);
    let expected = json!({
        "id": package["id"], "cpu": "2.5", "memory": 1536, "storage": null, "bandwidth": 2000,
        "local_disk": 9, "memory_swap": 512, "memory_swappiness": 15, "backup": 35,
    });
    assert_eq!(package, expected);

    let id = create(&simulator, &resource("traffic", "bandwidth")).await;
    let answer = call(&simulator, "GET", &format!("{PRODUCTS}/{id}"), &Value::Null).await;
    let expected = json!({ "product": {
        "id": id, "label": "traffic", "resource_kind": "bandwidth", "unit": 10,
        "unit_type": "GB", "external_id": null, "group": null, "package": null,
    } });
    assert_eq!(answer.json(), expected);
    let kinds: Vec<Kind> = simulator.ledger().iter().map(|entry| entry.sale.kind).collect();
    assert_eq!(kinds, [Kind::ProductAdd, Kind::ProductAdd]);
}

#[tokio::test]
async fn reuse_ids_gives_a_new_product_the_id_of_a_deleted_one() {
    let simulator = start(Mode { reuse_ids: true, ..Mode::default() }).await;
    let first = create(&simulator, &package("a")).await;
    let second = create(&simulator, &package("b")).await;
    let path = format!("{PRODUCTS}/{first}");
    assert_eq!(call(&simulator, "DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(create(&simulator, &package("c")).await, first);
    assert_eq!(create(&simulator, &package("d")).await, second + 1);
}

#[tokio::test]
async fn the_documents_have_times_and_other_types() {
    let mode = Mode { documented_times: true, documented_types: true, ..Mode::default() };
    let simulator = start_at("2024-05-06T07:08:09Z", mode).await;
    let id = create(&simulator, &package("s")).await;
    simulator.advance(Duration::from_secs(1));
    let path = format!("{PRODUCTS}/{id}");
    let answer = call(&simulator, "PATCH", &path, &json!({ "product": { "group": "g" } })).await;
    let product = answer.json()["product"].clone();
    assert_eq!(product["created_at"], "2024-05-06T07:08:09Z");
    assert_eq!(product["updated_at"], "2024-05-06T07:08:10Z");
    assert_eq!(product["package"]["memory"], "1536");
    assert_eq!(product["package"]["cpu"], json!(2.5));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let simulator = start(Mode::default()).await;
    for number in 0..31 {
        create(&simulator, &resource(&format!("r{number}"), "cpu")).await;
    }
    let check = async |query: &str, rows: usize, links: &[&str]| {
        let answer = call(&simulator, "GET", &format!("{PRODUCTS}{query}"), &Value::Null).await;
        assert_eq!(answer.json()["products"].as_array().unwrap().len(), rows, "{query}");
        assert_eq!(answer.header("total"), Some("31"));
        let link = answer.header("link").unwrap_or_default();
        let told: Vec<&str> = ["first", "prev", "next", "last"]
            .into_iter()
            .filter(|rel| link.contains(&format!("rel=\"{rel}\"")))
            .collect();
        assert_eq!(told, links, "{query}: {link}");
    };
    check("", 30, &["next", "last"]).await;
    check("?page=2", 1, &["first", "prev"]).await;
    check("?page=0", 30, &["next", "last"]).await;
    check("?page=9", 0, &["first", "prev"]).await;
    check("?per_page=31", 31, &[]).await;
    check("?page=2&per_page=10", 10, &["first", "prev", "next", "last"]).await;
    let answer = call(&simulator, "GET", &format!("{PRODUCTS}?per_page=5"), &Value::Null).await;
    assert_eq!(answer.header("per-page"), Some("5"));
    assert_eq!(answer.json()["products"][4]["label"], "r4");
}

#[tokio::test]
async fn what_is_invalid_is_told_in_full_sentences() {
    let simulator = start(Mode::default()).await;
    let check = async |product: Value, expected: &[&str]| {
        let body = json!({ "product": product });
        let answer = call(&simulator, "POST", PRODUCTS, &body).await;
        assert_eq!((answer.status, answer.json()), (422, json!({ "errors": expected })), "{body}");
    };
    let with = |changes: Value| {
        let mut attributes = package("p")["product"]["package_attributes"].clone();
        for (name, value) in changes.as_object().unwrap() {
            attributes[name] = value.clone();
        }
        json!({ "label": "p", "package_attributes": attributes })
    };
    check(json!({ "unit": 1, "unit_type": "GB" }), &["Label can't be blank"]).await;
    check(json!({ "label": "r" }), &["Unit is not a number", "Unit type can't be blank"]).await;
    check(json!({ "label": "r", "unit": 0, "unit_type": "GB" }), &["Unit must be greater than 0"])
        .await;
    check(
        json!({ "label": "r", "kind": "thing" }),
        &["Kind Must be one of: resource, package, image, addon"],
    )
    .await;
    check(with(json!({ "cpu": "0" })), &["Package cpu must be greater than 0"]).await;
    check(with(json!({ "cpu": "x" })), &["Package cpu is not a number"]).await;
    check(with(json!({ "memory": 128 })), &["Package memory must be greater than or equal to 256"])
        .await;
    check(with(json!({ "memory": "1000" })), &["Package memory must be in units of 256 MB"]).await;
    check(
        with(json!({ "storage": null, "bandwidth": "" })),
        &["Package storage is not a number", "Package bandwidth is not a number"],
    )
    .await;
    check(
        with(json!({ "backup": -1, "memory_swappiness": 101 })),
        &[
            "Package backup must be greater than or equal to 0",
            "Package memory swappiness must be less than or equal to 100",
        ],
    )
    .await;
    assert!(simulator.ledger().is_empty());
    assert_eq!(call(&simulator, "POST", PRODUCTS, &json!({ "label": "x" })).await.status, 400);
    let answer = call(&simulator, "POST", PRODUCTS, &json!([1])).await;
    assert_eq!(
        (answer.status, answer.json()),
        (422, json!({ "errors": ["Bad Request. Please check the documentation."] }))
    );
}

#[tokio::test]
async fn the_documents_own_example_needs_a_switch() {
    let example = json!({ "product": {
        "label": "example", "package_attributes": { "cpu": "1.0", "memory": 1024 },
    } });
    let simulator = start(Mode::default()).await;
    assert_eq!(call(&simulator, "POST", PRODUCTS, &example).await.status, 422);
    let simulator = start(Mode { complete_packages: false, ..Mode::default() }).await;
    let answer = call(&simulator, "POST", PRODUCTS, &example).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["product"]["package"]["cpu"], "1.0");
}

#[tokio::test]
async fn a_changed_package_is_a_new_one() {
    let simulator = start(Mode::default()).await;
    let id = create(&simulator, &package("s")).await;
    let path = format!("{PRODUCTS}/{id}");
    let patch = async |product: Value| {
        let answer = call(&simulator, "PATCH", &path, &json!({ "product": product })).await;
        (answer.status, answer.json()["product"].clone())
    };
    let (_, before) = patch(json!({ "label": "t" })).await;
    assert_eq!(before["label"], "t");
    let given = json!({ "cpu": 1, "memory": 256, "storage": 5, "bandwidth": 0 });
    let (status, after) = patch(json!({ "package_attributes": given })).await;
    assert_eq!(status, 200);
    assert_ne!(after["package"]["id"], before["package"]["id"]);
    let package = &after["package"];
    assert_eq!((&package["memory_swap"], &package["backup"]), (&Value::Null, &json!(0)));
    assert_eq!(package["bandwidth"], Value::Null);
    let (status, _) = patch(json!({ "package_attributes": { "memory": 256 } })).await;
    assert_eq!(status, 422);
    let (_, kept) = patch(json!({})).await;
    assert_eq!(kept["package"], after["package"]);
}

#[tokio::test]
async fn a_product_that_is_used_stays() {
    let simulator = start(Mode::default()).await;
    let id = create(&simulator, &package("s")).await;
    let path = format!("{PRODUCTS}/{id}");
    simulator.subscribe(id, 1).unwrap();
    let answer = call(&simulator, "DELETE", &path, &Value::Null).await;
    let message = "Cannot delete record because dependent subscription products exist";
    assert_eq!((answer.status, answer.json()), (422, json!({ "errors": [message] })));
    simulator.subscribe(id, 0).unwrap();
    let answer = call(&simulator, "DELETE", &path, &Value::Null).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    for method in ["DELETE", "GET", "PATCH"] {
        let body = json!({ "product": {} });
        let answer = call(&simulator, method, &path, &body).await;
        assert_eq!((answer.status, answer.body.len()), (404, 0), "{method}");
    }
    assert!(simulator.subscribe(id, 1).is_err());
    let kinds: Vec<Kind> = simulator.ledger().iter().map(|entry| entry.sale.kind).collect();
    assert_eq!(kinds, [Kind::ProductAdd, Kind::ProductDelete]);
}

#[tokio::test]
async fn a_duplicate_is_a_second_product_and_a_lagging_list_hides_both() {
    let mode = Mode { listing_lag_ms: 5000, ..Mode::default() };
    let simulator = start_at("2024-05-06T07:08:09Z", mode).await;
    let ids = [create(&simulator, &package("s")).await, create(&simulator, &package("s")).await];
    assert_ne!(ids[0], ids[1]);
    let listed = async || {
        let answer = call(&simulator, "GET", PRODUCTS, &Value::Null).await;
        answer.json()["products"].as_array().unwrap().len()
    };
    assert_eq!(listed().await, 0);
    let shown = call(&simulator, "GET", &format!("{PRODUCTS}/{}", ids[0]), &Value::Null).await;
    assert_eq!(shown.status, 200);
    simulator.advance(Duration::from_secs(5));
    assert_eq!(listed().await, 2);
}
